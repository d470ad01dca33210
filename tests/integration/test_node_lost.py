"""A run whose node is lost, and the retry that `backoffRetryPolicy` promises for it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, worker_node
from tests.integration.faults import before_database, within
from tests.integration.hold_proxy import TABLE_DUMP
from tests.integration.scene import JSON, Scene, phase, why

pytestmark = pytest.mark.integration

REAL = Path(sys.executable).parent / "tidbbackup"
LEAVES_AT_ONCE = [
    {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}
    for what in ("not-ready", "unreachable")
]
"""Else a pod stays for five minutes on a node of which nothing is heard."""


@asynccontextmanager
async def node_1_lost(lab: Lab, spare: str) -> AsyncIterator[None]:
    """The lab's node says no more that it is ready; another one, of a name not used yet, takes its work."""
    async with worker_node(lab.plane, spare):
        lab.node.set_ready(False)
        try:
            yield
        finally:
            lab.node.set_ready(True)
            await untainted(lab, "node-1")
    await lab.plane.api.delete(f"/api/v1/nodes/{spare}")


async def untainted(lab: Lab, name: str, seconds: float = 30) -> None:
    """Wait until pods may run on the node."""
    async with asyncio.timeout(seconds):
        while (await lab.plane.api.get(f"/api/v1/nodes/{name}"))["spec"].get("taints"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def mute_worker(folder: Path) -> list[JSON]:
    """The environment for a worker that does all it has to, but whose last word is lost."""
    program = folder / "tidbbackup"
    program.write_text(
        f'#!/bin/sh\nif [ "$2" = dump ]; then TERMINATION_LOG=/dev/null; fi\nexec {REAL} "$@"\n'
    )
    program.chmod(0o755)
    return [{"name": "PATH", "value": f"{folder}:{os.environ['PATH']}"}]


@pytest.mark.parametrize(("mute", "spare"), [(False, "node-2"), (True, "node-3")])
async def test_it_is_retried_on_another_node(scene: Scene, tmp_path: Path, mute: bool, spare: str) -> None:
    """Without a word the storage is asked first; until that is known, the pod is long deleted."""
    policy = {"minRetryDuration": "1s", "maxRetryTimes": 1}
    spec: JSON = {"tolerations": LEAVES_AT_ONCE, "backoffRetryPolicy": policy}
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        source = {"host": "127.0.0.1", "port": proxy.port}
        env = mute_worker(tmp_path) if mute else None
        await scene.apply(scene.backup(source=source, env=env, **spec))
        await within(proxy.reached)
        await scene.running_pod()
        async with node_1_lost(scene.lab, spare):
            await scene.until(lambda found: bool((found or {})["status"].get("backoffRetryStatus")))
            proxy.release()
            backup = await scene.until_over(seconds=90)

    assert phase(backup) == "Complete", why(backup)
    assert why(backup)[0] == ("ArchiveFound" if mute else "ArchiveStored")
    (record,) = backup["status"]["backoffRetryStatus"]
    assert (record["retryNum"], record["retryReason"]) == (1, "NodeLost")
    pods = {pod["spec"]["nodeName"] for pod in await scene.pods()}
    assert pods == {spare}
