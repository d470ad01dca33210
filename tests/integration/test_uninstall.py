"""CRDs and namespaces that go with Backups in every phase: all ends, and no data goes with them.

In a lab of its own: nobody else's CRDs are there to be deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.lab import Lab, apply_crds
from tests.cluster.up import complete_lab
from tests.integration.faults import before_database, within
from tests.integration.hold_proxy import TABLE_DUMP, HoldProxy
from tests.integration.scene import Scene, make_scene, phase, why
from tests.integration.schedule_scene import NOBODY_HAS, Schedules, hourly_half_an_hour_from_now

pytestmark = pytest.mark.integration

NO_KEYS = {"secretName": "no-keys"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_lab() -> AsyncIterator[Lab]:
    """Everything that `make up` starts, once more."""
    async with complete_lab() as found:
        yield found


async def all_phases(scene: Scene, proxy: HoldProxy) -> None:
    """Backups that are Complete, Failed, Invalid, Scheduled, Running and, being deleted, CleanFailed: one of
    which the cleaning is tried again, and one of whose spec none can be made."""
    delete = {"cleanPolicy": "Delete"}
    source = {"host": "127.0.0.1", "port": proxy.port}
    for name in ("complete", "cleanfailed", "nonsense"):
        await scene.apply(scene.backup(name, **delete))
        await scene.until_phase("Complete", name)
    await scene.apply(scene.backup("failed", s3={"bucket": "never-made"}, **delete))
    await scene.apply(scene.backup("invalid", s3={"provider": "nobody"}, **delete))
    await scene.apply(scene.backup("scheduled", **delete, **NOBODY_HAS))
    await scene.apply(scene.backup("running", source=source, **delete))
    for name in ("failed", "invalid", "scheduled", "running"):
        await scene.until_phase(name.capitalize(), name)
    await within(proxy.reached)
    await scene.kubectl(
        "patch", "backup", "cleanfailed", "--type=merge", '-p={"spec":{"s3":{"secretName":"no-keys"}}}'
    )
    await scene.secret("no-keys", {"access_key": "nobody", "secret_key": "nothing-at-all"})
    await scene.delete("cleanfailed")
    await scene.kubectl(
        "patch", "backup", "nonsense", "--type=merge", '-p={"spec":{"s3":{"sse":"nonsense"}}}'
    )
    await scene.delete("nonsense")
    for name in ("cleanfailed", "nonsense"):
        await scene.until_phase("CleanFailed", name)


async def test_a_namespace_with_backups_in_every_phase_is_gone_within_a_minute(own_lab: Lab) -> None:
    scene = await make_scene(own_lab, "going")
    async with before_database(own_lab, TABLE_DUMP) as proxy:
        await all_phases(scene, proxy)
        before = await scene.objects()
        assert len(before) == 6

        await own_lab.plane.kubectl_run("delete", "namespace", "going", "--timeout=60s")

    assert await scene.objects() == before
    assert await own_lab.store.uploads("going") == []
    events = await own_lab.plane.api.get("/api/v1/namespaces/default/events")
    said = [item for item in events["items"] if item["reason"] == "NamespaceTerminating"]
    assert {item["involvedObject"]["name"] for item in said} == {"going"}
    assert any("Backup complete goes with its namespace" in item["message"] for item in said)
    metrics = await own_lab.controller.metrics()
    assert (
        'tidbbackup_data_kept_total{namespace="going",reason="NamespaceTerminating",schedule=""}' in metrics
    )


async def test_the_crds_with_backups_in_every_phase_are_gone_within_a_minute(own_lab: Lab) -> None:
    scene = await make_scene(own_lab, "uninstalled")
    plane = own_lab.plane
    await Schedules(scene).create("nightly", hourly_half_an_hour_from_now())
    async with before_database(own_lab, TABLE_DUMP) as proxy:
        await all_phases(scene, proxy)
        before = await scene.objects()
        assert len(before) == 6

        crds = [f"{kind}.pingcap.com" for kind in ("backups", "backupschedules", "restores")]
        await plane.kubectl_run("delete", "crd", *crds, "--timeout=60s")

    assert await scene.objects() == before
    assert await own_lab.store.uploads("uninstalled") == []
    assert "CRDTerminating" in [reason for _, reason, _ in await scene.events("complete")]
    assert (
        "complete: CRDTerminating: CustomResourceDefinition backups.pingcap.com" in own_lab.controller.log()
    )
    metrics = await own_lab.controller.metrics()
    assert (
        'tidbbackup_data_kept_total{namespace="uninstalled",reason="CRDTerminating",schedule=""}' in metrics
    )
    # Installed again, the same controller goes on.
    await apply_crds(plane)
    async with asyncio.timeout(60):
        await scene.apply(scene.backup("again"))
        backup = await scene.until_over("again")
    assert phase(backup) == "Complete", why(backup)
