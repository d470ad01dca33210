"""Runs that lose something halfway: a server, a volume, the worker. Each ends, says why, leaves nothing."""

from pathlib import Path

import pytest

from tests.cluster.local_volumes import volume
from tests.integration.faults import before_database, before_store, gone, mydumper_of, within
from tests.integration.hold_proxy import COMPLETION, MANIFEST, PART, TABLE_DUMP, HoldProxy
from tests.integration.scene import Scene, phase, why
from tests.worker.small_volume import small_volume

pytestmark = pytest.mark.integration

MIB = 1 << 20


async def test_killed_while_mydumper_runs(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        pod = await scene.running_pod()
        mydumper = mydumper_of(scene.lab, scene.namespace, pod)
        scene.lab.node.kill(scene.namespace, pod)
        await gone(mydumper)
        await killed_and_swept_up(scene, archive_left=False)


@pytest.mark.parametrize(
    ("word", "archive_left"),
    [(PART, False), (COMPLETION, False), (MANIFEST, True)],
    ids=["upload", "end", "manifest"],
)
async def test_killed_while_it_uploads(scene: Scene, word: bytes, archive_left: bool) -> None:
    async with before_store(scene.lab, word) as proxy:
        await scene.apply(scene.backup(s3={"endpoint": proxy.url}, cleanPolicy="OnFailure"))
        await within(proxy.reached)
        scene.lab.node.kill(scene.namespace, await scene.running_pod())
        proxy.cut()
        proxy.release()
        await killed_and_swept_up(scene, archive_left=archive_left)


async def killed_and_swept_up(scene: Scene, *, archive_left: bool) -> None:
    """Failed as killed, at most an archive without manifest is there, and its deletion leaves nothing."""
    reason, message = why(await scene.until_phase("Failed"))
    assert reason == "Killed"
    assert "was killed (SIGKILL) from outside" in message
    assert ("is there without its manifest: it is not whole" in message) == archive_left
    names = list(await scene.objects())
    assert [name.endswith(".tgz") for name in names] == [True] * archive_left
    assert bool(await scene.lab.store.uploads(scene.bucket)) != archive_left
    await scene.delete()
    await scene.until_gone()
    assert await scene.objects() == {}


async def test_the_database_is_lost_halfway(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        proxy.cut()

        reason, message = why(await scene.until_phase("Failed"))

    assert reason == "DatabaseLost"
    assert message.startswith("mydumper: Error ")
    assert "the database went away during the dump: see its own log, then make a new Backup" in message
    assert await scene.objects() == {}
    assert await scene.lab.store.uploads(scene.bucket) == []


async def test_the_staging_volume_is_full(scene: Scene, tmp_path: Path) -> None:
    # One table, one file: what can leave the volume while the dump goes on needs no room in it.
    rows = "SELECT HEX(RANDOM_BYTES(500)) FROM mysql.seq_1_to_2000"
    await scene.lab.database.load(["CREATE DATABASE wide", f"CREATE TABLE wide.t AS {rows}"])
    try:
        with small_volume(tmp_path / "small", MIB // 4):
            await tiny_class(scene, tmp_path / "small")
            await scene.apply(scene.backup(storageClassName="tiny", storageSize="256Ki"))
            reason, message = why(await scene.until_over())
            await scene.until_no_pod_runs()
    finally:
        await scene.lab.database.load(["DROP DATABASE wide"])

    assert reason == "StagingFull"
    assert "the staging volume of 256 KiB is full" in message
    assert "raise spec.storageSize above the size of the data" in message
    assert await scene.objects() == {}


async def test_a_job_deleted_by_hand(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        await scene.until_phase("Running")
        await scene.kubectl("delete", "job", "backup-bk", "--wait=false")

        reason, message = why(await scene.until_phase("Failed"))

        assert reason == "JobDeleted"
        assert "Job backup-bk was deleted from outside while the backup ran" in message
        # That Job stays for its log.
        await scene.until_no_job(but="aftermath-bk")
        await scene.delete()
        await scene.until_gone()


async def test_a_pod_deleted_by_hand(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        pod = await scene.running_pod()
        await scene.kubectl("delete", "pod", pod, "--wait=false")

        reason, message = why(await scene.until_phase("Failed"))

    assert reason == "PodDeleted"
    assert f"the worker's pod {pod} was deleted from outside" in message
    made = [job["metadata"]["name"] for job in await scene.jobs()]
    assert [name for name in made if name.startswith("backup-")] == ["backup-bk"], "no second try"


async def test_an_evicted_pod(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        words = "The node was low on resource: ephemeral-storage."
        scene.lab.node.evict(scene.namespace, await scene.running_pod(), words)

        assert why(await scene.until_phase("Failed")) == ("Evicted", words)


async def test_an_evicted_pod_is_retried_where_the_policy_says_so(scene: Scene) -> None:
    policy = {"minRetryDuration": "1s", "maxRetryTimes": 1}
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        source = {"host": "127.0.0.1", "port": proxy.port}
        await scene.apply(scene.backup(source=source, backoffRetryPolicy=policy))
        await within(proxy.reached)
        scene.lab.node.evict(scene.namespace, await scene.running_pod(), "low on disk")
        proxy.release()

        backup = await scene.until_over()

    assert phase(backup) == "Complete", why(backup)
    (record,) = backup["status"]["backoffRetryStatus"]
    assert (record["retryNum"], record["retryReason"], record["originalReason"]) == (
        *(1, "Evicted"),
        "low on disk",
    )
    assert record["realRetryAt"] >= record["expectedRetryAt"] > record["detectFailedAt"]
    assert [job["metadata"]["name"] for job in await scene.jobs()] == ["backup-bk-r2"]
    await scene.delete()
    await scene.until_gone()


async def test_out_of_memory(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        scene.lab.node.oom_kill(scene.namespace, await scene.running_pod())

        reason, message = why(await scene.until_phase("Failed"))

    assert reason == "OOMKilled"
    assert "raise spec.resources.limits.memory" in message
    await scene.delete()
    await scene.until_gone()


async def test_longer_than_its_deadline(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        source = {"host": "127.0.0.1", "port": proxy.port}
        await scene.apply(scene.backup(source=source, activeDeadlineSeconds=4))

        reason, message = why(await scene.until_phase("Failed"))

    assert reason == "DeadlineExceeded"
    assert "spec.activeDeadlineSeconds" in message


async def test_the_storage_is_lost_halfway(storage_lost: tuple[Scene, HoldProxy]) -> None:
    scene, proxy = storage_lost

    backup = await scene.until_over(seconds=200)

    assert phase(backup) == "Failed"
    reason, message = why(backup)
    assert reason == "StorageUnreachable"
    assert "check spec.s3.endpoint, DNS and network policies" in message
    (warning,) = [c for c in backup["status"]["conditions"] if c["type"] == "Warning"]
    assert warning["reason"] == "UploadLeftOpen"
    assert len(await scene.lab.store.uploads(scene.bucket)) == 1
    proxy.release()
    await scene.delete()
    await scene.until_gone()
    assert await scene.lab.store.uploads(scene.bucket) == []


async def tiny_class(scene: Scene, folder: Path) -> None:
    """A StorageClass with one volume, which lies in this folder."""
    await scene.lab.plane.api.create(
        "/apis/storage.k8s.io/v1/storageclasses",
        {
            "metadata": {"name": "tiny"},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )
    one = volume("tiny", "node-1", folder, "256Ki")
    one["metadata"].pop("labels")
    one["spec"]["storageClassName"] = "tiny"
    await scene.lab.plane.api.create("/api/v1/persistentvolumes", one)
