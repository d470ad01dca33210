"""A restore into TiDB: from its own archive, and from the files that dumpling writes, after TiDB Operator."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio

from tests.cluster import dumpling
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.tidb_server import TiDB
from tests.cluster.tidb_server import tidb as tidb_server
from tests.integration.dump_files import DUMPLING, packed
from tests.worker.worker_process import Ended, Worker, backing_up
from tidbbackup.model.contract.task import DumperName, DumpSettings, RestoreSettings

pytestmark = pytest.mark.integration

BUCKET = "restored-tidb"
ZOO = [
    "CREATE DATABASE zoo",
    "CREATE TABLE zoo.random (id BIGINT PRIMARY KEY AUTO_RANDOM, v VARCHAR(20))",
    "INSERT INTO zoo.random (v) VALUES ('a'), ('b'), ('c')",
    "CREATE TABLE zoo.gbk (id INT PRIMARY KEY, v VARCHAR(20) CHARSET gbk, l VARCHAR(20) CHARSET latin1)",
    "INSERT INTO zoo.gbk VALUES (1, '中文', 'é')",
    "CREATE TABLE zoo.times (id INT AUTO_INCREMENT PRIMARY KEY, t TIMESTAMP NULL, d DATETIME, z DATE)",
    "SET time_zone = '+08:00'",
    "INSERT INTO zoo.times VALUES (1, '2026-01-01 08:00:00', '2026-01-01 08:00:00', '2026-01-01')",
    "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
    "INSERT INTO zoo.times VALUES (0, NULL, '0000-00-00 00:00:00', '2026-02-00')",
    "CREATE TABLE zoo.computed (a INT, b INT AS (a + 1) STORED, c INT AS (a + 2), j JSON, bits BIT(9))",
    "INSERT INTO zoo.computed (a, j, bits) VALUES (1, '{\"k\": [1, null]}', b'101010101')",
    "CREATE TABLE zoo.parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3",
    "INSERT INTO zoo.parts VALUES (1), (2), (3), (4)",
    "CREATE TABLE zoo.child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES zoo.times (id))",
    "INSERT INTO zoo.child VALUES (1, 1)",
    "CREATE SEQUENCE zoo.numbers START WITH 7",
    "SELECT NEXTVAL(zoo.numbers)",
    "CREATE VIEW zoo.z_base AS SELECT id FROM zoo.parts",
    "CREATE VIEW zoo.a_above AS SELECT id FROM zoo.z_base",
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tidb(servers: Processes, object_store: ObjectStore) -> AsyncIterator[TiDB]:
    """A TiDB, and the bucket."""
    await object_store.create_bucket(BUCKET)
    await asyncio.to_thread(dumpling.ensure)
    async with tidb_server(servers, name="restored-tidb") as server:
        yield server


async def rows_of(server: TiDB) -> dict[str, Any]:
    """Definition and rows of each table and view of the zoo."""
    found = {}
    await server.sql("SET GLOBAL time_zone = '+00:00'")
    for name, kind in await server.sql("SHOW FULL TABLES FROM zoo"):
        if kind == "SEQUENCE":
            continue
        definition = (await server.sql(f"SHOW CREATE TABLE zoo.`{name}`"))[0][1]
        # A server takes new ids from the next batch: the base moves with each that asks.
        definition = re.sub(r"(AUTO_INCREMENT|AUTO_RANDOM_BASE)=\d+", r"\1", definition)
        found[name] = definition, sorted(map(repr, await server.sql(f"SELECT * FROM zoo.`{name}`")))
    return found


async def restored(worker: Worker, **settings: Any) -> Ended:
    return await attrs.evolve(worker, restore=RestoreSettings(**settings)).run("restore")


@pytest.mark.parametrize("dumper", list(DumperName))
async def test_a_database_of_tidb_comes_back_as_it_was(
    tidb: TiDB, object_store: ObjectStore, tmp_path: Path, dumper: DumperName
) -> None:
    await tidb.load(ZOO)
    before = await rows_of(tidb)
    worker = backing_up(tidb, object_store, BUCKET, f"backup-{dumper}.tgz", tmp_path)
    worker.dump = DumpSettings(dumper=dumper)
    ended = await worker.run()
    assert ended.code == 0, ended.log
    await tidb.sql("DROP DATABASE zoo")

    ended = await restored(worker)

    assert ended.code == 0, ended.log
    assert await rows_of(tidb) == before
    assert (ended.result.tables, ended.result.rows) == (6, 12)
    assert (await tidb.sql("SELECT NEXTVAL(zoo.numbers) > 7"))[0][0] == 1
    assert ended.result.commitTs
    assert ended.result.notices == ()
    await tidb.sql("DROP DATABASE zoo")


@pytest.mark.parametrize("top", ["backup-2", "dump/inside", ""])
async def test_files_of_dumpling_without_a_manifest(
    tidb: TiDB, object_store: ObjectStore, tmp_path: Path, top: str
) -> None:
    await object_store.put(BUCKET, "backup-2.tgz", packed(DUMPLING, top))
    worker = backing_up(tidb, object_store, BUCKET, "backup-2.tgz", tmp_path)

    ended = await restored(worker, overwrite=True)

    assert ended.code == 0, ended.log
    assert (ended.result.tables, ended.result.rows) == (1, 2)
    assert await tidb.sql("SELECT id, v FROM `odd/name`.t ORDER BY id") == [(1, "中文"), (2, "a;\nb")]
    assert await tidb.sql("SELECT NEXTVAL(`odd/name`.s)") == [(42,)]
    assert [notice.reason for notice in ended.result.notices] == ["ManifestMissing", "DefinerMissing"]
    assert "`gone`@`%`" in ended.result.notices[1].message
    await tidb.load(["DROP DATABASE `odd/name`", "DROP PLACEMENT POLICY p1"])
