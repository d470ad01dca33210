"""What the real worker takes of a real server, and with which rights."""

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.worker.worker_process import Ended, Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DumpSettings

pytestmark = pytest.mark.integration

BUCKET = "selected"
README = Path("README.md").read_text()
RIGHTS = "SELECT, RELOAD, LOCK TABLES, REPLICATION CLIENT, SHOW VIEW, TRIGGER, EVENT, EXECUTE"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="selected-source") as server:
        await server.load(
            [
                "CREATE DATABASE shop",
                "CREATE TABLE shop.t (id INT PRIMARY KEY, f FLOAT, exact FLOAT(10,3), d DOUBLE)",
                "INSERT INTO shop.t VALUES (1, 16777216, 12345.678, 0.010516252390057362)",
                "CREATE FUNCTION shop.fn (x INT) RETURNS INT DETERMINISTIC RETURN x + 1",
                "CREATE VIEW shop.v AS SELECT id, shop.fn(id) AS n FROM shop.t",
            ]
        )
        yield server


@pytest.fixture
def worker(source: Database, object_store: ObjectStore, tmp_path: Path) -> Worker:
    return backing_up(source, object_store, BUCKET, f"{tmp_path.name}.tgz", tmp_path)


async def complete(worker: Worker) -> Ended:
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    return ended


async def files_of(worker: Worker) -> set[str]:
    """Names of the files in its archive."""
    archive = await worker.store.get(BUCKET, worker.target.key)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {name.partition("/")[2] for name in tar.getnames()}


async def test_databases_with_almost_the_name_of_a_system_database(worker: Worker, source: Database) -> None:
    names = ("Sys", "MySQL", "metrics_schema", "INSPECTION_SCHEMA")
    try:
        for name in names:
            await source.sql(f"CREATE DATABASE {name}")
            await source.load(["CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)"], database=name)
        ended = await complete(worker)
        assert set(ended.result.databases) == {*names, "shop"}
        assert {f"{name}.t.sql" for name in names} <= await files_of(worker)
    finally:
        for name in names:
            await source.sql(f"DROP DATABASE IF EXISTS {name}")


async def test_with_exactly_the_rights_of_the_readme(worker: Worker, source: Database) -> None:
    assert f"`{RIGHTS}` on `*.*`" in README
    await source.sql("CREATE OR REPLACE USER few@'%' IDENTIFIED BY 'few'")
    await source.sql(f"GRANT {RIGHTS} ON *.* TO few@'%'")
    worker.database, worker.password = attrs.evolve(worker.database, user="few"), "few"
    ended = await complete(worker)
    assert {"shop.v-schema-view.sql", "shop-schema-post.sql"} <= await files_of(worker)

    for right in ("SELECT", "RELOAD", "SHOW VIEW", "TRIGGER", "EVENT", "EXECUTE"):
        await source.sql(f"GRANT {RIGHTS} ON *.* TO few@'%'")
        await source.sql(f"REVOKE {right} ON *.* FROM few@'%'")
        ended = await worker.run()
        assert (ended.code, ended.result.step) == (1, "preflight"), ended.log
        assert ended.result.reason == reasons.GRANTS_MISSING, ended.result.message
        assert f"GRANT {right} ON *.* TO `few`@`%`;" in ended.result.message
    assert "view `shop`.`v`" in ended.result.message
    assert "GRANT EXECUTE ON *.* TO `few`@`%`;" in ended.result.message

    # It looks at the views of sys too, and cannot open them: nobody is alarmed by what is left out.
    worker.dump = DumpSettings(tableRegex=r"^shop\.t$")
    ended = await complete(worker)
    assert "DEBUG tidbbackup.mydumper: Broken table detected, please review: sys." in ended.log
    assert "WARNING tidbbackup.mydumper" not in ended.log


async def test_values_that_mydumper_cannot_write_exactly(worker: Worker) -> None:
    (notice,) = (await complete(worker)).result.notices
    assert notice.reason == reasons.VALUES_ROUNDED
    assert notice.message.endswith(": `shop`.`t`: column `f`")
    archive = await worker.store.get(BUCKET, worker.target.key)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        (rows,) = [tar.extractfile(m) for m in tar.getmembers() if m.name.endswith("/shop.t.sql")]
        assert rows is not None
        # What it says is so: the one is rounded, the others are whole.
        assert b"(1,16777200,12345.678,0.010516252390057362)" in rows.read()
