"""The specification's example, from `kubectl apply` to the archive, by the shipped image and manifests."""

import hashlib
import json
import signal

import pytest

from tests.e2e.installation import SYSTEM, Installation, Site, reason

pytestmark = [pytest.mark.integration, pytest.mark.e2e]

BACKUP = "demo1-backup-s3"


def take_from_everybody_but_root(installed: Installation) -> None:
    """Volumes as a cluster's provisioner makes them: root's own. Those of the test cluster are anybody's."""
    folders = list((installed.plane.folder / "volumes").iterdir())
    assert folders
    for folder in folders:
        folder.chmod(0o755)


async def test_example_on_s3_completes(installed: Installation, site: Site) -> None:
    """Non-root, with a read-only root file system and a volume of root's, it leaves archive and result."""
    take_from_everybody_but_root(installed)

    await completes(site, "backup-s3.yaml")


async def test_example_on_ceph_completes(site_on_ceph: Site) -> None:
    """The specification's other kind of example, against a real radosgw."""
    await completes(site_on_ceph, "backup-ceph.yaml")


async def completes(site: Site, example: str) -> None:
    """An example ends as Complete, and what its status says is true of the archive."""
    backup = await site.over(await site.apply(site.example(example)))

    status = backup["status"]
    assert (status["phase"], reason(backup)) == ("Complete", "ArchiveStored"), status
    key = status["backupPath"].removeprefix(f"s3://{site.name}/")
    archive = await site.store.get(site.name, key)
    assert len(archive) == status["backupSize"]
    assert f"sha256:{hashlib.sha256(archive).hexdigest()}" == status["checksum"]
    assert status["databases"] == ["mysql_app", "shop", "test"]
    assert await site.store.uploads(site.name) == []


async def test_worker_pod_is_what_it_says(installed: Installation, site: Site) -> None:
    """The pod that did it: restricted, without credentials of the cluster, its result in its status."""
    await site.over(await site.apply(site.example("backup-s3.yaml")))
    # The Backup believes its container, which has ended; the pod's phase follows.
    await site.kubectl("wait", "pods", "--all", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")

    (pod,) = json.loads(await site.kubectl("get", "pods", "-ojson"))["items"]
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (pod["status"]["phase"], ended["exitCode"], ended["reason"]) == ("Succeeded", 0, "Completed")
    assert json.loads(ended["message"])
    assert pod["spec"]["securityContext"]["runAsUser"] == 65532
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    volumes = json.dumps(pod["spec"]["volumes"])
    assert "serviceAccountToken" not in volumes
    log = await site.kubectl("logs", pod["metadata"]["name"])
    assert installed.database.password not in log
    assert installed.store.secret_key not in log


async def test_describe_tells_the_story(installed: Installation, site: Site) -> None:
    """`kubectl describe bk`, from Scheduled to Complete."""
    # So small a backup can be over before anybody sees it run: it has to wait for the storage.
    installed.store.child.signal(signal.SIGSTOP)
    try:
        name = await site.apply(site.example("backup-s3.yaml"))
        await site.until(name, lambda found: found.get("status", {}).get("phase") == "Running")
    finally:
        installed.store.child.signal(signal.SIGCONT)
    await site.over(name)

    story = await site.kubectl("describe", "bk", BACKUP)

    told = story[story.index("Events:") :]
    positions = [told.find(word) for word in ("Scheduled", "Running", "Complete")]
    assert positions == sorted(positions), told
    assert -1 not in positions, told
    assert f"s3://{site.name}/" in story


async def test_deleting_with_clean_policy_delete(installed: Installation, site: Site) -> None:
    """The archive goes with a Backup whose policy says so, by a pod of the same image."""
    await site.over(await site.apply(site.example("backup-s3.yaml", cleanPolicy="Delete")))
    assert await installed.store.objects(site.name)

    await site.kubectl("delete", "bk", BACKUP, "--timeout=60s")

    assert await installed.store.objects(site.name) == {}


async def test_controller_is_at_ease(installed: Installation) -> None:
    """After all of the above it was neither restarted nor refused anything."""
    pods = json.loads(await installed.plane.kubectl_run("-n", SYSTEM, "get", "pods", "-ojson"))["items"]
    assert [each["status"]["containerStatuses"][0]["restartCount"] for each in pods] == [0]
    log = await installed.controller_log()
    assert "orbidden" not in log
    assert "Traceback" not in log
