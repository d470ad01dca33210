"""The end of the worker's log in the bucket: named by the status, and gone when the data is to go."""

import pytest

from tests.integration.faults import before_database, within
from tests.integration.hold_proxy import TABLE_DUMP
from tests.integration.scene import Scene, why

pytestmark = pytest.mark.integration


async def kept_log(scene: Scene, url: str) -> str:
    """What the bucket has under that URL."""
    return (await scene.lab.store.get(scene.bucket, url.removeprefix(f"s3://{scene.bucket}/"))).decode()


async def fails(scene: Scene, policy: str) -> str:
    """A Backup whose database is lost halfway; the URL of its log."""
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        source = {"host": "127.0.0.1", "port": proxy.port}
        await scene.apply(scene.backup(source=source, cleanPolicy=policy))
        await within(proxy.reached)
        proxy.cut()
        backup = await scene.until_phase("Failed")
    assert why(backup)[0] == "DatabaseLost"
    status = backup["status"]
    assert status["log"] == f"{status['backupPath']}.log"
    return str(status["log"])


@pytest.mark.parametrize("policy", ["Retain", "OnFailure", "Delete"])
async def test_of_a_complete_backup_it_stays_and_goes_with_the_archive(scene: Scene, policy: str) -> None:
    await scene.apply(scene.backup(cleanPolicy=policy))
    status = (await scene.until_phase("Complete"))["status"]
    url = status["log"]
    assert url == f"{status['backupPath']}.log"
    text = await kept_log(scene, url)
    assert "INFO tidbbackup.mydumper: Finished dump at" in text
    assert text.endswith(f"Complete: {status['backupPath']}\n")

    await scene.kubectl("delete", "backup", "bk", "--timeout=30s")

    assert await scene.logs() == (set() if policy == "Delete" else {url})
    assert len(await scene.objects()) == (0 if policy == "Delete" else 2)


@pytest.mark.parametrize("policy", ["Retain", "OnFailure", "Delete"])
async def test_of_a_failed_backup_it_stays_until_the_backup_is_deleted(scene: Scene, policy: str) -> None:
    url = await fails(scene, policy)
    assert "ERROR tidbbackup.worker.main: DatabaseLost in step" in await kept_log(scene, url)
    # Its Job may be gone by then, and with it the pod and its log.
    await scene.leave()

    await scene.kubectl("delete", "backup", "bk", "--timeout=30s")

    assert await scene.logs() == ({url} if policy == "Retain" else set())
    if policy != "Retain":
        assert f"{url} is deleted, the run has left nothing else" in await scene.until_said("DataKept")


async def test_where_the_bucket_cannot_be_written_the_run_fails_as_it_would(scene: Scene) -> None:
    await scene.apply(scene.backup(s3={"bucket": "never-made"}, cleanPolicy="Delete"))
    backup = await scene.until_phase("Failed")
    assert why(backup)[0] == "BucketNotFound"
    assert "log" not in backup["status"]

    # There is nothing to clean.
    await scene.kubectl("delete", "backup", "bk", "--timeout=5s")
