"""The specification's example, from `kubectl apply` to the archive, by the shipped image and manifests."""

import hashlib
import json
import signal
from pathlib import Path

import pytest

from tests.cluster.lab import EXAMPLES, ROOT
from tests.e2e import documented
from tests.e2e.installation import JSON, SYSTEM, Installation, Site, reason
from tests.integration.account import deeds

pytestmark = [pytest.mark.integration, pytest.mark.e2e]

BACKUP = "demo1-backup-s3"


@pytest.mark.side_by_side
async def test_example_on_s3_completes(installed: Installation, site: Site) -> None:
    """Non-root, with a read-only root file system and a volume of root's, it leaves archive and result."""
    await completes(site, site.example("backup-s3.yaml"))

    (claim,) = json.loads(await site.kubectl("get", "pvc", "-ojson"))["items"]
    volume = (installed.plane.folder / "volumes" / claim["spec"]["volumeName"]).stat()
    assert (volume.st_uid, volume.st_mode & 0o002) == (0, 0), "a volume as provisioners make them"


@pytest.mark.side_by_side(waits=5)
async def test_example_on_ceph_completes(installed: Installation) -> None:
    """The specification's other kind of example, against a real radosgw."""
    async with installed.site_on_ceph("example-on-ceph") as site:
        await completes(site, site.example("backup-ceph.yaml"))


@pytest.mark.side_by_side
async def test_readmes_first_backup(installed: Installation, site: Site) -> None:
    """README's three commands, in a folder with its two files filled in."""
    folder = installed.plane.folder / site.name
    examples = folder / EXAMPLES.relative_to(ROOT)
    examples.mkdir(parents=True)
    for file in ("secrets.yaml", "backup-s3.yaml"):
        (examples / file).write_text(site.filled_in(file))

    said = await installed.shell(documented.first_backup(), folder)

    assert said.splitlines()[-1] == f"backup.pingcap.com/{BACKUP} condition met"
    assert {Path(key).suffix for key in await site.store.objects(site.name)} == {".json", ".log", ".tgz"}


@pytest.mark.side_by_side
async def test_a_tidb_completes(installed: Installation, site: Site) -> None:
    """A real TiDB, read at one TSO, whose GC life time is as before afterwards."""
    example = site.example("backup-s3.yaml", compression="zstd")
    example["spec"]["from"]["port"] = installed.tidb.port

    status = await completes(site, example)

    assert status["commitTs"].isdecimal(), status
    assert status["backupPath"].endswith(".tar.zst")
    assert (await installed.tidb.life_time())[0] == "10m0s"


async def completes(site: Site, example: JSON) -> JSON:
    """An example ends as Complete, and what its status says is true of the archive; the status."""
    backup = await site.over(await site.apply(example))

    status: JSON = backup["status"]
    assert (status["phase"], reason(backup)) == ("Complete", "ArchiveStored"), status
    key = status["backupPath"].removeprefix(f"s3://{site.name}/")
    archive = await site.store.get(site.name, key)
    assert len(archive) == status["backupSize"]
    assert f"sha256:{hashlib.sha256(archive).hexdigest()}" == status["checksum"]
    assert status["databases"] == ["mysql_app", "shop", "test"]
    assert await site.store.uploads(site.name) == []
    return status


@pytest.mark.side_by_side
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
    assert site.store.secret_key not in log


@pytest.mark.side_by_side
async def test_describe_tells_the_story(site: Site) -> None:
    """`kubectl describe bk`, from Scheduled to Complete."""
    # So small a backup can be over before anybody sees it run: it has to wait for the storage.
    site.store.child.signal(signal.SIGSTOP)
    try:
        name = await site.apply(site.example("backup-s3.yaml"))
        await site.until(name, lambda found: found.get("status", {}).get("phase") == "Running")
    finally:
        site.store.child.signal(signal.SIGCONT)
    await site.over(name)

    story = await site.kubectl("describe", "bk", BACKUP)

    told = story[story.index("Events:") :]
    positions = [told.find(word) for word in ("Scheduled", "Running", "Complete")]
    assert positions == sorted(positions), told
    assert -1 not in positions, told
    assert f"s3://{site.name}/" in story


@pytest.mark.side_by_side
async def test_deleting_with_clean_policy_delete(site: Site) -> None:
    """The archive goes with a Backup whose policy says so, by a pod of the same image."""
    await site.over(await site.apply(site.example("backup-s3.yaml", cleanPolicy="Delete")))
    assert await site.store.objects(site.name)

    await site.kubectl("delete", "bk", BACKUP, "--timeout=60s")

    assert await site.store.objects(site.name) == {}


async def test_controller_is_at_ease(installed: Installation) -> None:
    """After all of the above neither replica was restarted or refused anything."""
    pods = json.loads(await installed.plane.kubectl_run("-n", SYSTEM, "get", "pods", "-ojson"))["items"]
    assert [each["status"]["containerStatuses"][0]["restartCount"] for each in pods] == [0, 0]
    asked = list(deeds(installed.plane))
    assert asked
    assert [deed for deed in asked if deed.code in (401, 403)] == []
    assert "Traceback" not in await installed.controller_log(-1)
