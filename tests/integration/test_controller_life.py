"""A controller that dies and comes back, and one that must not start."""

import pytest

from tests.cluster.lab import start_controller
from tests.cluster.processes import ProcessDied
from tests.integration.faults import before_database, no_controller, within
from tests.integration.hold_proxy import TABLE_DUMP
from tests.integration.scene import Scene, phase, why

pytestmark = pytest.mark.integration

LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/managed-by")


async def test_killed_between_the_job_and_the_status_it_goes_on(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        (job,) = await scene.jobs()
        async with no_controller(scene.lab):
            # What it had written after the Job's creation is taken back: so it stood at that moment.
            path = f"/apis/pingcap.com/v1alpha1/namespaces/{scene.namespace}/backups/bk/status"
            await scene.lab.plane.api.patch(path, {"status": None})
            assert phase(await scene.get()) == ""
        backup = await scene.until_phase("Running")
        assert backup["status"]["backupPath"].endswith(f"-{backup['metadata']['uid'][:8]}.tgz")
        proxy.release()
        backup = await scene.until_over()

    assert phase(backup) == "Complete", why(backup)
    assert [found["metadata"]["uid"] for found in await scene.jobs()] == [job["metadata"]["uid"]]


async def test_a_run_that_ends_while_it_is_away_is_complete(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        async with no_controller(scene.lab):
            proxy.release()
            await scene.until_no_pod_runs()
        backup = await scene.until_over()

    assert phase(backup) == "Complete", why(backup)


async def test_deleted_while_it_is_away_nothing_is_left(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        async with no_controller(scene.lab):
            await scene.delete()
        await scene.until_gone()
    assert await scene.objects() == {}
    await scene.until_no_job()


@pytest.mark.parametrize("crd", ["backups", "backupschedules", "restores"])
async def test_beside_tidb_operator_it_stops_with_the_cure(scene: Scene, crd: str) -> None:
    plane = scene.lab.plane
    await plane.kubectl_run("label", "crd", f"{crd}.pingcap.com", *(f"{each}-" for each in LABELS))
    try:
        with pytest.raises(ProcessDied) as died:
            await start_controller(plane, name=f"beside-{crd}")
    finally:
        await plane.kubectl_run(
            "label", "crd", f"{crd}.pingcap.com", *(f"{each}=tidbbackup" for each in LABELS)
        )
    said = str(died.value)
    assert f"CustomResourceDefinition {crd}.pingcap.com is not ours" in said
    assert "TiDB Operator v1 uses the same names" in said
    assert "uninstall it, then apply manifests/crd" in said
    assert "Traceback" not in said
