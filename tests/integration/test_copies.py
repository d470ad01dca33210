"""Copies and restored objects of Backups, and a spec that is edited before its run has a status."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.control_plane import KubectlFailed
from tests.integration.faults import no_controller
from tests.integration.scene import Scene, phase, why
from tests.integration.test_die_after_a_write import die_after

pytestmark = pytest.mark.integration

BEGUN_UID = "tidb.pingcap.com/begun-uid"
FINALIZER = "tidb.pingcap.com/backup-protection"
OF_THE_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")


async def completed(scene: Scene, **spec: Any) -> dict[str, Any]:
    """A Backup that is Complete."""
    await scene.apply(scene.backup(**spec))
    backup = await scene.until_over()
    assert phase(backup) == "Complete", why(backup)
    return backup


def copy_of(backup: dict[str, Any], name: str) -> dict[str, Any]:
    """What `kubectl get -o yaml`, a cluster backup or Git keeps of it."""
    meta = {field: value for field, value in backup["metadata"].items() if field not in OF_THE_SERVER}
    return {**backup, "metadata": {**meta, "name": name}}


async def test_a_copy_is_left_alone_and_takes_nothing_with_it(scene: Scene) -> None:
    original = await completed(scene, cleanPolicy="Delete")
    meta = original["metadata"]
    assert (meta["annotations"][BEGUN_UID], meta["finalizers"]) == (meta["uid"], [FINALIZER])
    stored = await scene.objects()
    await scene.apply(scene.backup(cleanPolicy="Delete"))
    again = await scene.get()
    assert again is not None
    assert again["metadata"]["annotations"][BEGUN_UID] == meta["uid"], "applied again it is the same"

    await scene.apply(copy_of(original, "copy"))
    said = await scene.until_said("ForeignBackup", "copy")

    assert "neither run nor cleaned nor counted: it is a copy of another Backup or was restored" in said
    assert f"annotation {BEGUN_UID} is '{meta['uid']}'" in said
    assert [job["metadata"]["name"] for job in await scene.jobs()] == ["backup-bk"]
    assert phase(await scene.get("copy")) == ""
    await scene.kubectl("delete", "backup", "copy", "--timeout=5s")
    assert await scene.objects() == stored

    await scene.apply(copy_of(original, "copy"))
    await scene.until_said("ForeignBackup", "copy")
    await scene.kubectl("annotate", "backup", "copy", f"{BEGUN_UID}-")
    assert phase(await scene.until_over("copy")) == "Complete", "the cure that the Event names"
    assert len(await scene.objects()) == 2 * len(stored)


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "of-a-version-before"])
async def test_restored_with_its_status_it_takes_nothing_with_it(scene: Scene, marked: bool) -> None:
    original = await completed(scene, cleanPolicy="Retain")
    await scene.delete()
    await scene.until_gone()
    stored = await scene.objects()
    assert len(stored) == 2
    restored = copy_of(original, "bk")
    restored["spec"]["cleanPolicy"] = "Delete"
    if not marked:
        del restored["metadata"]["annotations"]
    async with no_controller(scene.lab):
        await scene.apply(restored)
        status = yaml.safe_dump({"status": original["status"]})
        await scene.kubectl("patch", "backup", "bk", "--subresource=status", "--type=merge", f"-p={status}")
    await scene.until_said("ForeignBackup")

    backup = await scene.get()
    assert backup is not None
    assert backup["status"] == original["status"]
    await scene.kubectl("delete", "backup", "bk", "--timeout=5s")

    assert await scene.objects() == stored
    assert "ArchiveDeleted" not in [reason for _, reason, _ in await scene.events()]
    assert [job for job in await scene.jobs() if job["metadata"]["name"] != "backup-bk"] == []


async def test_one_of_a_version_before_goes_on_and_is_marked(scene: Scene) -> None:
    original = await completed(scene, cleanPolicy="Delete")
    await scene.kubectl("annotate", "backup", "bk", f"{BEGUN_UID}-")

    marked = await scene.until(lambda found: BEGUN_UID in (found or {})["metadata"].get("annotations", {}))

    assert marked is not None
    assert marked["metadata"]["annotations"][BEGUN_UID] == original["metadata"]["uid"]
    await scene.delete()
    await scene.until_gone()
    assert await scene.objects() == {}


async def test_between_the_job_and_its_status_the_place_cannot_change(scene: Scene, tmp_path: Path) -> None:
    """Complete in one bucket and cleaned in another: the controller dies right after it has made the Job."""
    elsewhere = f"{scene.bucket}-b"
    await scene.lab.store.create_bucket(elsewhere)
    async with no_controller(scene.lab):
        await scene.apply(scene.backup(cleanPolicy="Delete"))
        await scene.apply(scene.backup(s3={"bucket": elsewhere}, cleanPolicy="Delete"))
        await scene.apply(scene.backup(cleanPolicy="Delete"))
        # Its writes: finalizer and annotation, status.backupPath, the Job.
        await die_after(scene.lab, tmp_path, "", 3)
        assert [job["metadata"]["name"] for job in await scene.jobs()] == ["backup-bk"]
        begun = await scene.get()
        assert phase(begun) == "", "no status tells of the Job yet"

        for change in ({"bucket": elsewhere}, {"prefix": "deep"}, {"endpoint": "http://127.0.0.1:1"}):
            with pytest.raises(KubectlFailed, match="cannot change once the backup has begun"):
                await scene.apply(scene.backup(s3=change, cleanPolicy="Delete"))
        await scene.apply(scene.backup(cleanPolicy="Delete", pendingDeadlineSeconds=100))

    backup = await scene.until_over()
    assert phase(backup) == "Complete", why(backup)
    assert len(await scene.objects()) == 2
    await scene.delete()
    await scene.until_gone()
    assert await scene.objects() == {}
    assert await scene.lab.store.objects(elsewhere) == {}
