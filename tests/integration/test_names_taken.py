"""Names are locks: what stands where our Job should, and Backups that another operator has left behind."""

from typing import Any

import pytest

from tests.integration.faults import no_controller
from tests.integration.scene import Scene, phase, why

pytestmark = pytest.mark.integration

OURS = {
    "app.kubernetes.io/name": "tidbbackup",
    "app.kubernetes.io/component": "backup",
    "app.kubernetes.io/managed-by": "tidbbackup",
    "tidb.pingcap.com/backup": "bk",
}


@pytest.mark.parametrize("labels", [{}, OURS], ids=["without-labels", "with-ours"])
async def test_a_job_of_somebody_else_has_our_name(scene: Scene, labels: dict[str, str]) -> None:
    await make_job(scene, {"labels": labels})
    await scene.apply(scene.backup())

    reason, message = why(await scene.until_phase("Failed", seconds=15))

    assert reason == "NameTaken"
    assert "a Job backup-bk that is not ours" in message
    assert "delete it, or create this Backup under another name" in message
    assert len(await scene.jobs()) == 1, "it is left alone"
    await scene.delete()
    await scene.until_gone(seconds=5)
    assert len(await scene.jobs()) == 1


@pytest.mark.parametrize("verb", ["backup", "aftermath"])
async def test_a_job_of_another_operators_backup_is_left_alone(scene: Scene, verb: str) -> None:
    """CloudNativePG and K8up have a kind Backup as well, and may name its Jobs as we do."""
    owner = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "name": "bk", "uid": "0-1-2-3"}
    meta = {"name": f"{verb}-bk", "labels": {**OURS, "app.kubernetes.io/component": verb}}
    await make_job(scene, meta | {"ownerReferences": [{**owner, "controller": True}]})
    await scene.apply(scene.backup(cleanPolicy="Delete"))
    if verb == "aftermath":
        assert phase(await scene.until_over()) == "Complete"
        await scene.delete()

    reason, message = why(
        await scene.until_phase("CleanFailed" if verb == "aftermath" else "Failed", seconds=15)
    )

    assert reason == "NameTaken"
    assert f"a Job {verb}-bk that is not ours (Backup bk, postgresql.cnpg.io/v1)" in message
    (left,) = [job for job in await scene.jobs() if job["metadata"]["name"] == f"{verb}-bk"]
    assert "deletionTimestamp" not in left["metadata"]
    if verb == "aftermath":
        assert len(await scene.objects()) == 2, "nor is anything deleted in the storage"
        keep = {"spec": {"cleanPolicy": "Retain"}}
        await scene.lab.plane.api.patch(
            f"/apis/pingcap.com/v1alpha1/namespaces/{scene.namespace}/backups/bk", keep
        )
        await scene.until_gone()


async def test_a_job_of_a_former_backup_of_this_name_makes_room(scene: Scene) -> None:
    former = {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup", "name": "bk", "uid": "0-1-2-3"}
    await make_job(scene, {"labels": OURS, "ownerReferences": [{**former, "controller": True}]})
    await scene.apply(scene.backup())

    backup = await scene.until_over()

    assert phase(backup) == "Complete", why(backup)
    (job,) = await scene.jobs()
    assert job["metadata"]["ownerReferences"][0]["uid"] == backup["metadata"]["uid"]


async def test_a_foreign_backup_is_never_run_and_goes_at_once(scene: Scene) -> None:
    async with no_controller(scene.lab):
        manifest = scene.backup(cleanPolicy="Delete")
        manifest["metadata"]["finalizers"] = ["tidb.pingcap.com/backup-protection"]
        await scene.apply(manifest)
        status = '{"status":{"phase":"Complete","backupPath":"s3://elsewhere/old"}}'
        await scene.kubectl("patch", "backup", "bk", "--subresource=status", "--type=merge", f"-p={status}")
    await scene.until_said("ForeignBackup")

    (said,) = [(kind, message) for kind, reason, message in await scene.events() if reason == "ForeignBackup"]
    assert said[0] == "Warning"
    assert "neither run nor cleaned nor counted: it was run by another operator" in said[1]
    assert "to run it again, create it under another name" in said[1]
    backup = await scene.get()
    assert backup is not None
    assert "conditions" not in backup["status"]
    assert await scene.jobs() == []
    await scene.kubectl("delete", "backup", "bk", "--timeout=5s")
    assert await scene.jobs() == []


async def make_job(scene: Scene, meta: dict[str, Any]) -> None:
    """A Job that holds the name `backup-bk` and never ends."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "command": ["sleep", "60"]}]}
    body = {
        "metadata": {"name": "backup-bk", **meta},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }
    await scene.lab.plane.api.create(f"/apis/batch/v1/namespaces/{scene.namespace}/jobs", body)
