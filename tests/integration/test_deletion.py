"""What deleting a Backup does, by its phase and its cleanPolicy; what was not asked for stays."""

import pytest

from tests.cluster.control_plane import KubectlFailed
from tests.integration.bare import eventually
from tests.integration.faults import (
    before_database,
    before_store,
    gone,
    mydumper_of,
    other_controller,
    within,
)
from tests.integration.hold_proxy import PART, TABLE_DUMP
from tests.integration.scene import Scene, phase, why

pytestmark = pytest.mark.integration

FINALIZER = "tidb.pingcap.com/backup-protection"


@pytest.mark.parametrize(
    ("policy", "kept"), [(None, True), ("Retain", True), ("OnFailure", True), ("Delete", False)]
)
async def test_a_complete_backup(scene: Scene, policy: str | None, kept: bool) -> None:
    neighbour = "backup-20261123T030000Z-00000000.tgz"
    await scene.lab.store.put(scene.bucket, neighbour, b"another's")
    await scene.apply(scene.backup(cleanPolicy=policy))
    backup = await scene.until_phase("Complete")
    assert backup["metadata"]["finalizers"] == [FINALIZER]
    before = await scene.objects()
    assert len(before) == 3

    await scene.kubectl("delete", "backup", "bk", "--timeout=30s")

    await scene.until_nothing_made()
    assert await scene.objects() == (before if kept else {neighbour: 9})
    said = [(reason, message) for _, reason, message in await scene.events()]
    path = backup["status"]["backupPath"]
    assert (("DataKept", f"{path} is kept") if kept else ("ArchiveDeleted", f"{path} is deleted")) in said


async def test_a_foreground_deletion_cleans_too(scene: Scene) -> None:
    """The garbage collector, which deletes a Backup's Jobs first, leaves the one alone that cleans."""
    await scene.apply(scene.backup(cleanPolicy="Delete"))
    await scene.until_phase("Complete")

    await scene.kubectl("delete", "backup", "bk", "--cascade=foreground", "--timeout=30s")

    assert await scene.objects() == {}
    await scene.until_no_job()


async def test_the_finalizer_is_there_before_the_job(scene: Scene) -> None:
    await scene.kubectl("create", "quota", "none", "--hard=count/jobs.batch=0")
    await scene.until_quota_counts("none")
    await scene.apply(scene.backup())

    await scene.until(lambda found: (found or {})["metadata"].get("finalizers") == [FINALIZER])

    assert await scene.jobs() == []
    await scene.kubectl("delete", "backup", "bk", "--timeout=10s")


@pytest.mark.parametrize("policy", ["Retain", "OnFailure", "Delete"])
async def test_a_running_backup_is_stopped_and_leaves_nothing(scene: Scene, policy: str) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}, cleanPolicy=policy))
        await within(proxy.reached)
        mydumper = mydumper_of(scene.lab, scene.namespace, await scene.running_pod())

        await scene.kubectl("delete", "backup", "bk", "--timeout=40s")

        await gone(mydumper)
    assert await scene.objects() == {}
    assert await scene.lab.store.uploads(scene.bucket) == []
    await scene.until_no_job()


async def test_a_backup_that_uploads_is_stopped_and_leaves_nothing(scene: Scene) -> None:
    async with before_store(scene.lab, PART) as proxy:
        await scene.apply(scene.backup(s3={"endpoint": proxy.url}))
        await within(proxy.reached)
        pod = await scene.running_pod()

        async def is_told_to_stop() -> bool:
            return "SIGTERM" in scene.lab.node.log(scene.namespace, pod, "backup")

        await scene.delete()
        # Released before that, its worker might complete what it has begun.
        await eventually(is_told_to_stop)
        proxy.release()
        await scene.until_gone()
    assert await scene.objects() == {}
    assert await scene.lab.store.uploads(scene.bucket) == []


async def test_a_pending_backup_goes_at_once(scene: Scene) -> None:
    await scene.apply(scene.backup(nodeSelector={"disk": "nobody-has-it"}, cleanPolicy="Delete"))
    await scene.until_phase("Scheduled")

    await scene.kubectl("delete", "backup", "bk", "--timeout=20s")

    await scene.until_no_job()


async def test_a_failed_backup_with_a_reason_goes_at_once(scene: Scene) -> None:
    await scene.apply(scene.backup(s3={"bucket": "never-made"}, cleanPolicy="Delete"))
    await scene.until_phase("Failed")

    await scene.kubectl("delete", "backup", "bk", "--timeout=5s")


async def test_a_cleaning_that_fails_says_so_and_retain_lets_it_go(scene: Scene) -> None:
    lab = scene.lab
    await scene.apply(scene.backup(cleanPolicy="Delete"))
    await scene.until_phase("Complete")
    await scene.secret("s3-secret", {"access_key": lab.store.access_key, "secret_key": "wrong-secret-key"})
    with pytest.raises(KubectlFailed, match="timed out"):
        await scene.kubectl("delete", "backup", "bk", "--timeout=1s")

    backup = await scene.until_phase("CleanFailed")

    reason, message = why(backup)
    assert reason == "CredentialsRefused"
    assert "check `access_key` and `secret_key` in the Secret of spec.s3.secretName" in message
    assert "set spec.cleanPolicy to Retain" in message
    await scene.kubectl("patch", "backup", "bk", "--type=merge", '-p={"spec":{"cleanPolicy":"Retain"}}')
    await scene.until_gone(seconds=5)
    assert len(await scene.objects()) == 2


async def until_keys_are_missing(scene: Scene) -> None:
    """Wait until it says that it is not cleaned for want of a Secret."""
    reason, message = why(await scene.until_phase("CleanFailed"))
    assert reason == "CredentialsMissing"
    assert "the Secret of spec.s3.secretName is missing" in message


async def test_a_cleaning_needs_no_secret_of_the_database(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        source = {"host": "127.0.0.1", "port": proxy.port}
        await scene.apply(scene.backup(source=source, cleanPolicy="Delete"))
        await within(proxy.reached)
        await scene.kubectl("delete", "secret", "backup-demo1-tidb-secret")
        scene.lab.node.kill(scene.namespace, await scene.running_pod())
        assert why(await scene.until_phase("Failed"))[0] == "Killed"
    assert len(await scene.lab.store.uploads(scene.bucket)) == 1

    await scene.delete()

    await scene.until_said("ArchiveDeleted")
    assert await scene.lab.store.uploads(scene.bucket) == []
    await scene.secret("backup-demo1-tidb-secret", {"password": scene.lab.database.password})
    await scene.until_gone()


async def test_a_cleaning_is_tried_again_with_the_keys_mended(scene: Scene) -> None:
    lab = scene.lab
    await scene.apply(scene.backup(cleanPolicy="Delete"))
    await scene.until_phase("Complete")
    await scene.kubectl("delete", "secret", "s3-secret")
    await scene.delete()
    await until_keys_are_missing(scene)

    await scene.secret("s3-secret", {"access_key": lab.store.access_key, "secret_key": lab.store.secret_key})

    await scene.until_gone()
    assert await scene.objects() == {}


@pytest.mark.parametrize("state", ["missing", "wrong"])
async def test_it_is_tried_again_at_once_with_another_secret(scene: Scene, state: str) -> None:
    lab = scene.lab
    await scene.apply(scene.backup(cleanPolicy="Delete"))
    await scene.until_phase("Complete")
    if state == "missing":
        await scene.kubectl("delete", "secret", "s3-secret")
        await scene.delete()
        await until_keys_are_missing(scene)
    else:
        wrong = {"access_key": lab.store.access_key, "secret_key": "wrong-secret-key"}
        await scene.secret("s3-secret", wrong)
        await scene.delete()
        await scene.until_phase("CleanFailed")

    keys = {"access_key": lab.store.access_key, "secret_key": lab.store.secret_key}
    await scene.secret("renewed", keys)
    await scene.kubectl(
        "patch", "backup", "bk", "--type=merge", '-p={"spec":{"s3":{"secretName":"renewed"}}}'
    )

    await scene.until_gone(seconds=10)
    assert await scene.objects() == {}


async def test_it_is_tried_again_at_once_with_the_controllers_image_mended(scene: Scene) -> None:
    """A controller is rolled out with an image that is nowhere; the next one makes again what waits."""
    await scene.apply(scene.backup(cleanPolicy="Delete"))
    await scene.until_phase("Complete")
    async with other_controller(scene.lab, ["--worker-image", "missing.invalid/tidbbackup"]):
        await scene.delete()
        await scene.until_waiting("ImagePullBackOff", "aftermath")

    await scene.until_gone(seconds=10)
    assert await scene.objects() == {}


async def test_where_an_upload_may_be_open_the_way_out_is_told(scene: Scene) -> None:
    lab = scene.lab
    async with before_database(lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        lab.node.kill(scene.namespace, await scene.running_pod())
        await scene.until_phase("Failed")
    await scene.secret("s3-secret", {"access_key": lab.store.access_key, "secret_key": "wrong-secret-key"})
    await scene.delete()

    reason, message = why(await scene.until_phase("CleanFailed"))

    assert reason == "CredentialsRefused"
    assert message.endswith(
        f"a multipart upload may be open; to leave it so, remove the finalizer {FINALIZER}"
    )
    await scene.secret("s3-secret", {"access_key": lab.store.access_key, "secret_key": lab.store.secret_key})
    await scene.until_gone()
    assert await lab.store.uploads(scene.bucket) == []


async def test_a_namespace_goes_and_the_data_stays(scene: Scene) -> None:
    await scene.apply(scene.backup(cleanPolicy="Delete"))
    await scene.until_phase("Complete")
    before = await scene.objects()

    await scene.lab.plane.kubectl_run("delete", "namespace", scene.namespace, "--timeout=60s")

    assert await scene.objects() == before


@pytest.mark.parametrize("deleted_before", [False, True])
async def test_a_namespace_goes_although_a_spec_in_it_has_become_nonsense(
    scene: Scene, deleted_before: bool
) -> None:
    await scene.apply(scene.backup(cleanPolicy="Delete"))
    await scene.until_phase("Complete")
    before = await scene.objects()
    await scene.kubectl("patch", "backup", "bk", "--type=merge", '-p={"spec":{"s3":{"sse":"nonsense"}}}')
    if deleted_before:
        await scene.delete()
        assert why(await scene.until_phase("CleanFailed"))[0] == "InvalidSpec"

    await scene.lab.plane.kubectl_run("delete", "namespace", scene.namespace, "--timeout=60s")

    assert await scene.objects() == before


async def test_deleted_and_made_again_at_once_it_is_another(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        manifest = scene.backup(source={"host": "127.0.0.1", "port": proxy.port}, cleanPolicy="Delete")
        await scene.apply(manifest)
        await within(proxy.reached)
        first = await scene.get()
        assert first is not None
        pod = await scene.running_pod()
        await scene.kubectl("delete", "backup", "bk", "--timeout=40s")
        proxy.cut()
        proxy.release()
        await scene.apply(manifest)
        second = await scene.until_over()

    assert phase(second) == "Complete", why(second)
    uid = second["metadata"]["uid"]
    assert uid != first["metadata"]["uid"]
    assert second["status"]["backupPath"].endswith(f"-{uid[:8]}.tgz")
    assert pod not in [found["metadata"]["name"] for found in await scene.pods()]
    assert len(await scene.objects()) == 2, "the archive and the manifest of the second alone"
