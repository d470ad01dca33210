"""Definitions are read by the worker itself: what is loaded back is what was there, on MariaDB and on TiDB.

Here is also what worker/definitions/reading.py and worker/pipeline/definitions.py promise.
"""

import asyncio
import contextlib
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pymysql
import pytest
import pytest_asyncio

from tests.cluster.comparison import content
from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.plain_loader import load_plainly
from tests.cluster.processes import Processes
from tests.cluster.tidb_server import TiDB
from tests.cluster.tidb_server import tidb as tidb_server
from tests.worker.definition_zoo import mariadb_zoo, tidb_zoo
from tests.worker.worker_process import Ended, Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.task import DatabaseTarget, DumperName, DumpSettings, RestoreSettings
from tidbbackup.worker.archive.manifest import read_manifest

pytestmark = pytest.mark.integration

BUCKET = "definitions"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tidb(servers: Processes, object_store: ObjectStore) -> AsyncIterator[TiDB]:
    await object_store.create_bucket(BUCKET)
    async with tidb_server(servers) as server:
        yield server


async def whole(worker: Worker) -> tuple[Ended, bytes]:
    """Make a backup that has to be Complete; its archive."""
    ended = await worker.run()
    assert ended.code == 0, ended.log
    return ended, await worker.store.get(BUCKET, worker.target.key)


@asynccontextmanager
async def two_servers(servers: Processes) -> AsyncIterator[tuple[Database, Database]]:
    async with mariadb(servers) as source, mariadb(servers) as destination:
        yield source, destination


async def check_equal(source: Database, destination: Database) -> None:
    """Every definition and every row."""
    before, after = await content(source), await content(destination)
    assert after.databases == before.databases
    assert after.tables == before.tables
    assert after.programs == before.programs


async def restored(worker: Worker, destination: Database) -> None:
    """Load its archive by our own restore."""
    login = DatabaseTarget(destination.host, destination.port, destination.user)
    loading = attrs.evolve(worker, database=login, password=destination.password, restore=RestoreSettings())
    ended = await loading.run("restore")
    assert ended.code == 0, ended.log


async def test_all_that_mariadb_knows_of_an_object(
    servers: Processes, object_store: ObjectStore, tidb: TiDB, tmp_path: Path
) -> None:
    """The SQL mode, the time zone and the character sets that it was made under, where a sequence stands."""
    async with two_servers(servers) as (source, destination):
        await source.load(mariadb_zoo())
        worker = backing_up(source, object_store, BUCKET, "zoo.tgz", tmp_path)
        _, archive = await whole(worker)
        await load_plainly(archive, destination)
        await check_equal(source, destination)
        assert await destination.sql("SELECT NEXTVAL(zoo.numbers)") == [(55,)]
        with pytest.raises(pymysql.Error, match="has run out"):
            await destination.sql("SELECT NEXTVAL(zoo.`used up`)")

        await destination.load(["DROP DATABASE zoo", "DROP DATABASE zoo2"])
        await restored(worker, destination)
        await check_equal(source, destination)


async def test_all_that_tidb_knows_of_an_object(
    servers: Processes, object_store: ObjectStore, tidb: TiDB, tmp_path: Path
) -> None:
    await tidb.load(tidb_zoo())
    worker = backing_up(tidb, object_store, BUCKET, "zoo-tidb.tgz", tmp_path)
    _, archive = await whole(worker)
    async with tidb_server(servers, name="tidb-destination") as destination:
        await load_plainly(archive, destination)
        await check_equal(tidb, destination)
        policies = await destination.sql("SELECT policy_name FROM information_schema.placement_policies")
        assert policies == [("near",)], "those that are used"
        assert await destination.sql("SELECT NEXTVAL(zoo.numbers) > 5") == [(1,)]
        with pytest.raises(pymysql.Error, match="run out"):
            await destination.sql("SELECT NEXTVAL(zoo.`used up`)")

        await destination.sql("DROP DATABASE zoo")
        await restored(worker, destination)
        await check_equal(tidb, destination)
    await tidb.sql("DROP DATABASE zoo")


@pytest.mark.parametrize("dumper", DumperName)
async def test_tables_come_and_go_meanwhile(
    object_store: ObjectStore, tidb: TiDB, tmp_path: Path, dumper: DumperName
) -> None:
    """Eight are made and eight dropped each second: every backup has the tables of its own TSO."""
    await tidb.load(
        ["CREATE DATABASE churn", "USE churn", *(f"CREATE TABLE kept{n} (id INT)" for n in range(8))]
    )

    async def churn() -> None:
        for number in range(100_000):
            await tidb.load(
                [f"CREATE TABLE churn.t{number} (id INT)", f"INSERT INTO churn.t{number} VALUES (1)"]
            )
            if number >= 4:
                await tidb.sql(f"DROP TABLE churn.t{number - 4}")
            await asyncio.sleep(0.125)

    churning = asyncio.create_task(churn())
    try:
        for number in range(3):
            key, settings = f"churn-{dumper}-{number}.tgz", DumpSettings(dumper=dumper)
            worker = backing_up(tidb, object_store, BUCKET, key, tmp_path, settings)
            ended, _ = await whole(worker)
            manifest = read_manifest(await object_store.get(BUCKET, worker.target.manifest_key))
            files = {file.name for file in manifest.files}
            tables = await at(tidb, ended.result.commitTs)
            assert {f"churn.{table}-schema.sql" for table in tables} == {
                f for f in files if "-schema.sql" in f
            }
            assert {f"churn.{table}" for table, rows in tables.items() if rows} == {
                re.sub(r"(\.\d{13})?\.sql\Z", "", file)
                for file in files
                if file.startswith("churn.") and "-schema" not in file
            }
    finally:
        churning.cancel()
        await asyncio.gather(churning, return_exceptions=True)
        await tidb.sql("DROP DATABASE churn")


async def at(server: TiDB, tso: str) -> dict[str, int]:
    """The tables that can be opened at a TSO, with the number of their rows."""
    found = {}
    names = await server.sql(
        f"SET tidb_snapshot = '{tso}'; "
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'churn'"
    )
    for (name,) in names:
        # One that was just being made or dropped is listed and is not there.
        with contextlib.suppress(pymysql.err.ProgrammingError):
            rows = await server.sql(f"SET tidb_snapshot = '{tso}'; SELECT COUNT(*) FROM churn.{name}")
            found[name] = rows[0][0]
    return found


def first(worker: Worker, server: Database, *statements: str) -> None:
    """Have these statements run when the definitions have been read and mydumper begins."""
    real = shutil.which("mydumper")
    folder = worker.folder / "bin"
    folder.mkdir()
    login = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    script = (
        f"#!{sys.executable}\nimport os, sys, pymysql\n"
        f"if any('--outputdir' in argument for argument in sys.argv):\n"
        f"    cursor = pymysql.connect(**{login!r}).cursor()\n"
        f"    for statement in {statements!r}:\n        cursor.execute(statement)\n"
        f"    cursor.connection.commit()\n"
        f"os.execv({real!r}, [{real!r}, *sys.argv[1:]])\n"
    )
    (folder / "mydumper").write_text(script)
    (folder / "mydumper").chmod(0o755)
    worker.environ["PATH"] = f"{folder}:{os.environ['PATH']}:/usr/sbin"


async def test_a_definition_that_changes_meanwhile_fails_the_run_by_name(
    object_store: ObjectStore, database: Database, tidb: TiDB, tmp_path: Path
) -> None:
    await database.load(["CREATE DATABASE changing", "CREATE VIEW changing.v AS SELECT 1 AS one"])
    try:
        worker = backing_up(database, object_store, BUCKET, "changing.tgz", tmp_path)
        worker.dump = DumpSettings(tableFilter=("changing.*",))
        first(worker, database, "CREATE OR REPLACE VIEW changing.v AS SELECT 2 AS two")
        ended = await worker.run()
        assert (ended.code, ended.result.reason) == (1, reasons.DUMP_INCOMPLETE), ended.log
        assert "changing.v-schema-view.sql" in ended.result.message
    finally:
        await database.sql("DROP DATABASE changing")


async def test_a_table_that_comes_with_its_rows_has_its_definition_behind_them(
    object_store: ObjectStore, database: Database, tidb: TiDB, tmp_path: Path
) -> None:
    await database.load(
        ["CREATE DATABASE growing", "CREATE TABLE growing.t (id INT)", "CREATE SEQUENCE growing.s"]
    )
    try:
        worker = backing_up(database, object_store, BUCKET, "growing.tgz", tmp_path)
        worker.dump = DumpSettings(tableFilter=("growing.*",))
        made = (
            "CREATE TABLE growing.new (id INT)",
            "INSERT INTO growing.new VALUES (1)",
        )
        first(worker, database, *made, "DO NEXTVAL(growing.s)", "DROP TABLE growing.t")
        await whole(worker)
        manifest = read_manifest(await object_store.get(BUCKET, worker.target.manifest_key))
        names = [file.name for file in manifest.files]
        assert names[0] == "growing-schema-create.sql"
        assert {"growing.new.sql", "growing.new-schema.sql", "growing.s.sql", "growing.t-schema.sql"} <= {
            *names
        }
    finally:
        await database.sql("DROP DATABASE growing")


TIDB_GRANTS = re.findall(
    r"^    (GRANT .* TO 'backup'@'%');", Path("docs/explanation/tidb.md").read_text(), re.MULTILINE
)


async def test_with_exactly_the_rights_of_the_docs_tidb_is_backed_up(
    object_store: ObjectStore, tidb: TiDB, tmp_path: Path
) -> None:
    assert len(TIDB_GRANTS) == 2
    await tidb.load(tidb_zoo())
    worker = backing_up(tidb, object_store, BUCKET, "rights.tgz", tmp_path)
    worker.database, worker.password = attrs.evolve(worker.database, user="backup"), "pw"
    try:
        for lost in (None, "SHOW VIEW", "SELECT", "UPDATE"):
            await tidb.load(
                ["DROP USER IF EXISTS backup", "CREATE USER backup IDENTIFIED BY 'pw'", *TIDB_GRANTS]
            )
            if lost:
                where = "mysql.tidb" if lost == "UPDATE" else "*.*"
                await tidb.sql(f"REVOKE {lost} ON {where} FROM backup")
            ended = await worker.run()
            told = [(ended.result.reason, ended.result.message)]
            told += [(notice.reason, notice.message) for notice in ended.result.notices]
            if lost in ("SHOW VIEW", "SELECT"):
                assert (ended.code, ended.result.step, told[0][0]) == (1, "preflight", reasons.GRANTS_MISSING)
                assert f"GRANT {lost} ON *.* TO 'backup'@'%';" in told[0][1].replace("`", "'")
            else:
                assert ended.code == 0, ended.log
                reason = reasons.GC_LIFE_TIME_NOT_HELD if lost else ""
                assert told[-1][0] == reason, told
            # What mydumper says of the server's own views does not reach the user.
            assert "WARNING tidbbackup.mydumper" not in ended.log
    finally:
        await tidb.load(["DROP USER backup", "DROP DATABASE zoo"])


async def test_members_in_gbk_are_left_to_dumpling(
    object_store: ObjectStore, tidb: TiDB, tmp_path: Path
) -> None:
    """mydumper writes them in gbk, and TiDB does not read them back so."""
    await tidb.load(
        ["CREATE DATABASE chinese", "CREATE TABLE chinese.t (e ENUM('a', '漢') CHARACTER SET gbk, f CHAR(9))"]
    )
    try:
        ended = await backing_up(tidb, object_store, BUCKET, "chinese.tgz", tmp_path).run()
        assert (ended.code, ended.result.reason) == (1, reasons.UNSUPPORTED_TABLE), ended.log
        assert "the members of `e` in gbk" in ended.result.message
        assert ended.result.message.endswith("or set spec.dumper: dumpling")
        await tidb.sql("ALTER TABLE chinese.t MODIFY e ENUM('a', 'b') CHARACTER SET gbk")
        await whole(backing_up(tidb, object_store, BUCKET, "chinese.tgz", tmp_path))
    finally:
        await tidb.sql("DROP DATABASE chinese")
