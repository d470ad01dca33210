"""A restore that is killed, cut off or refused: what it leaves, and that a second one succeeds."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.comparison import content
from tests.cluster.database import Database, mariadb
from tests.cluster.fault_proxy import Fault, fault_proxy
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.sample_schema import sample_schema
from tests.integration.faults import within
from tests.integration.hold_proxy import hold_proxy
from tests.worker.cut_proxy import cut_proxy
from tests.worker.worker_process import Worker, archive_of
from tidbbackup.model import reasons
from tidbbackup.model.contract.task import DatabaseTarget, RestoreSettings

pytestmark = pytest.mark.integration

BUCKET = "restored-faults"
DATABASES = ("shop", "test", "mysql_app")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes) -> AsyncIterator[Database]:
    async with mariadb(servers, name="faults-source") as server:
        await server.load(sample_schema())
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(
    source: Database, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Worker:
    """The archive of the shop, and the worker that has made it."""
    await object_store.create_bucket(BUCKET)
    return await archive_of(source, object_store, BUCKET, "backup-1.tgz", tmp_path_factory.mktemp("made"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(servers: Processes) -> AsyncIterator[Database]:
    async with mariadb(servers, name="faults-target") as found:
        await found.sql("CREATE USER reader@'%' IDENTIFIED BY 'pw'")
        await found.sql("GRANT SELECT ON *.* TO reader@'%'")
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def target(server: Database) -> AsyncIterator[Database]:
    """Empty."""
    for name in DATABASES:
        await server.sql(f"DROP DATABASE IF EXISTS {name}")
    yield server


def restoring(
    made: Worker, target: Database, folder: Path, port: int = 0, *, overwrite: bool = False
) -> Worker:
    return made.into(target, folder, RestoreSettings(overwrite=overwrite), port)


@pytest.mark.parametrize(
    "word",
    [b"CREATE DATABASE", b"CREATE TABLE `orders`", b"INSERT INTO `orders`", b"TRIGGER", b"COUNT(*)"],
    ids=["database", "table", "rows", "trigger", "count"],
)
async def test_killed_anywhere_the_next_one_succeeds(
    made: Worker, source: Database, target: Database, tmp_path: Path, word: bytes
) -> None:
    async with hold_proxy(target.host, target.port, word) as proxy:
        process = await restoring(made, target, tmp_path, proxy.port).start("restore")
        await within(proxy.reached)
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    ended = await restoring(made, target, tmp_path).run("restore")
    if word != b"CREATE DATABASE":
        assert (ended.code, ended.result.reason) == (1, reasons.TARGET_NOT_EMPTY), ended.log
        ended = await restoring(made, target, tmp_path, overwrite=True).run("restore")

    assert ended.code == 0, ended.log
    assert await content(target) == await content(source)


async def test_asked_to_end_it_ends_at_once(made: Worker, target: Database, tmp_path: Path) -> None:
    async with hold_proxy(target.host, target.port, b"INSERT INTO `orders`") as proxy:
        worker = restoring(made, target, tmp_path, proxy.port)
        process = await worker.start("restore")
        await within(proxy.reached)
        process.terminate()
        ended = await worker.ended(process)
    assert (ended.code, ended.result.reason, ended.result.step) == (143, reasons.TERMINATED, "load"), (
        ended.log
    )


async def test_a_server_that_is_lost_halfway(made: Worker, target: Database, tmp_path: Path) -> None:
    async with cut_proxy(target.host, target.port) as proxy:
        proxy.word = b"INSERT INTO `order_lines`"
        ended = await restoring(made, target, tmp_path, proxy.port).run("restore")
    assert (ended.code, ended.result.reason) == (1, reasons.DATABASE_LOST), ended.log
    assert "then restore again with overwrite: Tables; " in ended.result.message
    assert " of 7 tables have all their rows" in ended.result.message


async def test_a_user_who_may_not(made: Worker, target: Database, tmp_path: Path) -> None:
    worker = restoring(made, target, tmp_path)
    worker.database, worker.password = DatabaseTarget(target.host, target.port, "reader"), "pw"
    ended = await worker.run("restore")
    assert (ended.code, ended.result.reason) == (1, reasons.GRANTS_MISSING), ended.log
    assert "loading database `" in ended.result.message


async def test_a_storage_in_trouble(
    made: Worker, target: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    async with fault_proxy("127.0.0.1", object_store.port) as proxy:
        worker = restoring(made, target, tmp_path)
        worker.retarget(endpoint=f"http://127.0.0.1:{proxy.port}")
        body = b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>"
        slow = {"matches": "backup-1.tgz", "excludes": "HEAD", "status": 503, "body": body}
        proxy.faults += [
            Fault(**slow),  # type: ignore[arg-type]
            Fault(matches="backup-1.tgz", excludes="HEAD", cut_at=2000),
            Fault(matches="backup-1.tgz", excludes="HEAD", cut_at=1000, reset=True),
        ]
        ended = await worker.run("restore")
        assert ended.code == 0, ended.log
        assert proxy.faulted == 3

        proxy.faults = [Fault(**slow, times=None)]  # type: ignore[arg-type]
        worker.restore = RestoreSettings(overwrite=True)
        ended = await worker.run("restore")
    assert (ended.code, ended.result.reason) == (1, reasons.STORAGE_UNREACHABLE), ended.log
    assert "SlowDown" in ended.result.message
    assert [row[0] for row in await target.sql("SHOW TABLES FROM shop LIKE 'orders'")] == ["orders"]
