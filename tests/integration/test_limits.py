"""A namespace with a ResourceQuota or a LimitRange: what admits the backup's pod admits the cleaning's."""

from __future__ import annotations

import json
import ssl
from typing import Any

import aiohttp
import pytest

from tests.integration.faults import no_controller
from tests.integration.scene import Scene, phase, why
from tests.integration.schedule_scene import GROUP

pytestmark = pytest.mark.integration

OWN = {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "500m", "memory": "256Mi"}}
RANGES: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "min": ({"min": {"cpu": "500m", "memory": "256Mi"}}, OWN),
    "max": ({"max": {"cpu": "500m", "memory": "256Mi"}}, OWN),
    "ratio": ({"maxLimitRequestRatio": {"cpu": "1", "memory": "1"}}, OWN),
    "ratio and a small limit": (
        {"maxLimitRequestRatio": {"memory": "1"}},
        {"limits": {"memory": "100Mi"}, "requests": {"memory": "100Mi"}},
    ),
    "defaults": (
        {
            "default": {"cpu": "1", "memory": "512Mi"},
            "defaultRequest": {"cpu": "1", "memory": "512Mi"},
            "maxLimitRequestRatio": {"cpu": "1", "memory": "1"},
        },
        None,
    ),
}


@pytest.mark.parametrize("case", RANGES)
async def test_in_a_limit_range(scene: Scene, case: str) -> None:
    limits, resources = RANGES[case]
    meta = {"name": "range", "namespace": scene.namespace}
    spec = {"limits": [{"type": "Container", **limits}]}
    await scene.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": spec})
    await done_and_cleaned(scene, resources)


async def test_in_a_quota_on_limits(scene: Scene) -> None:
    hard = "limits.cpu=1,limits.memory=512Mi,requests.cpu=1,requests.memory=512Mi"
    await scene.kubectl("create", "quota", "all", f"--hard={hard}")
    await scene.until_quota_counts("all")
    await done_and_cleaned(scene, OWN)


async def test_what_a_quota_wants_named_is_called_a_quota(scene: Scene) -> None:
    await scene.kubectl("create", "quota", "cpu", "--hard=limits.cpu=1")
    await scene.until_quota_counts("cpu")
    await scene.apply(scene.backup(pendingDeadlineSeconds=3))
    reason, message = why(await scene.until_phase("Failed", seconds=20))
    assert reason == "QuotaExceeded", message
    assert "failed quota: cpu: must specify limits.cpu" in message
    assert "correct spec.resources" in message


async def test_one_that_is_nested_as_deep_as_the_api_server_takes_stops_nobody(scene: Scene) -> None:
    deep = b'{"a":' * 9_000 + b"1" + b"}" * 9_000
    body = json.dumps(scene.backup("deep", affinity={"nodeAffinity": "DEEP"})).encode()
    plane = scene.lab.plane
    headers = {"Authorization": f"Bearer {plane.token}", "Content-Type": "application/json"}
    url = f"{plane.url}{GROUP}/namespaces/{scene.namespace}/backups"
    tls = ssl.create_default_context(cafile=plane.ca)
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, data=body.replace(b'"DEEP"', deep), ssl=tls) as answer,
    ):
        assert answer.status == 201
    try:
        async with no_controller(scene.lab):
            pass
        await scene.apply(scene.backup())
        backup = await scene.until_over()
        assert phase(backup) == "Complete", why(backup)
    finally:
        # No other test has to read it.
        await scene.kubectl("delete", "backup", "deep", "--timeout=60s")


async def done_and_cleaned(scene: Scene, resources: dict[str, Any] | None) -> None:
    await scene.apply(scene.backup(cleanPolicy="Delete", resources=resources))
    backup = await scene.until_over()
    assert phase(backup) == "Complete", why(backup)
    assert len(await scene.objects()) == 2
    await scene.kubectl("delete", "backup", "bk", "--timeout=60s")
    assert await scene.objects() == {}
