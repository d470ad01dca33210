"""Runs of the real worker that have to fail before a byte is dumped, and say why."""

from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.ports import free_port
from tests.cluster.processes import Processes
from tests.worker.worker_process import Ended, Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DumpSettings

pytestmark = pytest.mark.integration

BUCKET = "refused"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="refused-source") as server:
        await server.load(["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"])
        yield server


@pytest.fixture
def worker(source: Database, object_store: ObjectStore, tmp_path: Path) -> Worker:
    return backing_up(source, object_store, BUCKET, "backup-1.tgz", tmp_path)


async def refused(worker: Worker, reason: str, *, reachable: bool = True) -> Ended:
    """It failed for this reason, in the preflight, and left nothing, beside its log if it is `reachable`."""
    ended = await worker.run()
    assert (ended.code, ended.result.outcome, ended.result.reason) == (1, Outcome.FAILED, reason), ended.log
    assert ended.result.step == "preflight"
    assert "--outputdir" not in ended.log
    assert not ended.result.uploadLeftOpen
    assert await worker.store.uploads(BUCKET) == []
    stored = await worker.store.objects(BUCKET, worker.target.key)
    assert set(stored) - {worker.target.log_key} == set()
    assert ended.result.logKept == reachable, ended.log
    if reachable:
        assert f"{reason} in step preflight" in await worker.kept_log()
    return ended


async def test_a_wrong_password(worker: Worker) -> None:
    worker.password = "not-it"
    ended = await refused(worker, reasons.LOGIN_FAILED)
    assert "Access denied for user 'root'" in ended.result.message
    assert "white space" not in ended.result.message
    assert "not-it" not in ended.log + ended.message.decode()


async def test_a_password_with_a_trailing_line_feed_says_so(worker: Worker) -> None:
    worker.password += "\n"
    ended = await refused(worker, reasons.LOGIN_FAILED)
    assert "ends with white space" in ended.result.message


async def test_a_database_that_is_down(worker: Worker) -> None:
    worker.database = attrs.evolve(worker.database, port=free_port())
    ended = await refused(worker, reasons.DATABASE_UNREACHABLE)
    assert "spec.from.host" in ended.result.message


async def test_a_host_that_looks_like_an_option(worker: Worker) -> None:
    worker.database = attrs.evolve(worker.database, host="--exec=sh")
    await refused(worker, reasons.DATABASE_UNREACHABLE)


async def test_a_bucket_that_does_not_exist(worker: Worker) -> None:
    worker.retarget(bucket="no-such-bucket")
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.BUCKET_NOT_FOUND)
    assert "no-such-bucket" in ended.result.message
    assert "--outputdir" not in ended.log


async def test_wrong_keys(worker: Worker) -> None:
    worker.environ = {"AWS_SECRET_ACCESS_KEY": "wrong-secret-key-0123456789"}
    ended = await refused(worker, reasons.CREDENTIALS_REFUSED, reachable=False)
    assert "`access_key` and `secret_key`" in ended.result.message
    assert "wrong-secret" not in ended.log + ended.message.decode()


async def test_an_empty_key_never_falls_through_to_the_nodes_identity(worker: Worker) -> None:
    worker.environ = {"AWS_ACCESS_KEY_ID": ""}
    ended = await refused(worker, reasons.CREDENTIALS_MISSING, reachable=False)
    assert "`access_key`" in ended.result.message


async def test_a_storage_that_is_down(worker: Worker) -> None:
    worker.retarget(endpoint=f"http://127.0.0.1:{free_port()}")
    ended = await refused(worker, reasons.STORAGE_UNREACHABLE, reachable=False)
    assert "spec.s3.endpoint" in ended.result.message


async def test_no_database_at_all(worker: Worker) -> None:
    worker.dump = DumpSettings(tableRegex=r"^nothing\.")
    await refused(worker, reasons.NOTHING_TO_DUMP)


async def test_a_user_who_does_not_see_everything(worker: Worker, source: Database) -> None:
    await source.sql("CREATE OR REPLACE USER narrow@'%' IDENTIFIED BY 'narrow-pass'")
    await source.sql("GRANT SELECT, RELOAD ON *.* TO narrow@'%'")
    worker.database = attrs.evolve(worker.database, user="narrow")
    worker.password = "narrow-pass"
    ended = await refused(worker, reasons.GRANTS_MISSING)
    assert "GRANT SHOW VIEW, TRIGGER, EVENT ON *.* TO" in ended.result.message


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        (
            ["t", "t-schema"],
            "table `odd`.`t-schema` and table `odd`.`t` would share the file odd.t-schema.sql",
        ),
        (["t", "t.00001"], "`odd`.`t.00001`"),
        (["back`tick"], "a backtick in the name"),
        (["sla/sh"], "a slash in the name"),
    ],
)
async def test_names_that_mydumper_would_lose(
    worker: Worker, source: Database, tables: list[str], named: str
) -> None:
    await source.sql("CREATE DATABASE odd")
    try:
        for table in tables:
            await source.sql(f"CREATE TABLE odd.`{table.replace('`', '``')}` (id INT PRIMARY KEY)")
        ended = await refused(worker, reasons.UNSUPPORTED_NAME)
        assert named in ended.result.message
    finally:
        await source.sql("DROP DATABASE odd")


async def test_two_databases_that_share_a_file(worker: Worker, source: Database) -> None:
    try:
        for database, table in (("a", "b.c"), ("a.b", "c")):
            await source.sql(f"CREATE DATABASE `{database}`")
            await source.sql(f"CREATE TABLE `{database}`.`{table}` (id INT PRIMARY KEY)")
        ended = await refused(worker, reasons.UNSUPPORTED_NAME)
        assert "table `a.b`.`c` and table `a`.`b.c`" in ended.result.message
    finally:
        await source.sql("DROP DATABASE IF EXISTS `a.b`; DROP DATABASE a")


async def test_an_invisible_column_whose_values_would_be_lost(worker: Worker, source: Database) -> None:
    await source.sql("CREATE DATABASE odd")
    try:
        await source.sql("CREATE TABLE odd.hides (id INT PRIMARY KEY, secret INT INVISIBLE DEFAULT 7)")
        ended = await refused(worker, reasons.UNSUPPORTED_TABLE)
        assert "`odd`.`hides`" in ended.result.message
        assert "`secret`" in ended.result.message
    finally:
        await source.sql("DROP DATABASE odd")


async def test_no_task_is_a_usage_error(worker: Worker) -> None:
    worker.environ = {"TIDBBACKUP_TASK": "{"}
    ended = await worker.run()
    assert ended.code == 2
    assert "TIDBBACKUP_TASK" in ended.result.message
