"""The worker's restore on real servers: what was dumped is what is loaded, and nothing is overwritten.

Here is also what worker/restore.py, worker/load/restoration.py, worker/load/connections.py,
worker/load/definitions.py, worker/load/clashes.py and worker/load/comparison.py promise.
"""

import io
import json
import tarfile
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.comparison import content
from tests.cluster.database import Database, mariadb
from tests.cluster.fault_proxy import fault_proxy
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.integration.dump_files import MYDUMPER_1, packed
from tests.worker.odd_schema import DATABASES, odd_schema
from tests.worker.worker_process import Ended, Worker, archive_of, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.task import DumpSettings, RestoreSettings
from tidbbackup.storage.download import RANGE_BYTES

pytestmark = pytest.mark.integration

BUCKET, KEY = "restored", "some/backup-1.tgz"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    """A server with the odd databases, and the bucket."""
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="restored-source") as server:
        await server.load(odd_schema())
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(
    source: Database, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Worker:
    """Its archive, and the worker that has made it."""
    return await archive_of(source, object_store, BUCKET, KEY, tmp_path_factory.mktemp("made"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(servers: Processes) -> AsyncIterator[Database]:
    """A server to load into."""
    async with mariadb(servers, name="restored-target") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def target(server: Database) -> AsyncIterator[Database]:
    """The same, empty."""
    yield server
    for name in DATABASES:
        await server.sql(f"DROP DATABASE IF EXISTS `{name}`")


async def restored(made: Worker, target: Database, folder: Path, settings: RestoreSettings) -> Ended:
    """Load the archive into a server."""
    return await made.into(target, folder, settings).run("restore")


async def test_what_is_loaded_equals_its_source(
    made: Worker, source: Database, target: Database, tmp_path: Path
) -> None:
    ended = await restored(made, target, tmp_path, RestoreSettings())

    assert ended.code == 0, ended.log
    before, after = await content(source), await content(target)
    assert after.databases == before.databases
    assert after.tables.keys() == before.tables.keys()
    for name, table in before.tables.items():
        assert after.tables[name] == table, name
    assert after.programs == before.programs
    assert ended.result.tables == len(before.tables)
    assert ended.result.rows == sum(table[1] for table in before.tables.values())
    (notice,) = ended.result.notices
    assert notice.reason == reasons.DEFINER_MISSING
    assert "`somebody`@`%`" in notice.message


async def test_an_archive_in_zstd_that_is_loaded(
    source: Database, target: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    worker = backing_up(source, object_store, BUCKET, "some/backup-2.tar.zst", tmp_path)
    ended = await worker.run()
    assert ended.code == 0, ended.log

    ended = await restored(worker, target, tmp_path, RestoreSettings())

    assert ended.code == 0, ended.log
    assert await content(target) == await content(source)


async def test_where_definitions_come_first_one_reading_is_enough(
    made: Worker, source: Database, target: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    archive = await object_store.get(BUCKET, KEY)
    manifest = json.loads(await object_store.get(BUCKET, made.target.manifest_key))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {member.name.rpartition("/")[2]: tar.extractfile(member) for member in tar if member.isreg()}
        texts = {name: file.read() for name, file in files.items() if file}
    ordered = dict(sorted(texts.items(), key=lambda item: "-schema" not in item[0]))
    archive = packed(ordered, "backup-4")
    manifest |= {"size": len(archive), "sha256": sha256(archive).hexdigest()}
    manifest["files"] = [{"name": name, "size": len(text)} for name, text in ordered.items()]
    worker = attrs.evolve(made, target=attrs.evolve(made.target, key="ordered/backup-4.tgz"))
    await object_store.put(BUCKET, worker.target.key, archive)
    await object_store.put(BUCKET, worker.target.manifest_key, json.dumps(manifest).encode())

    async with fault_proxy("127.0.0.1", object_store.port) as proxy:
        worker.retarget(endpoint=f"http://127.0.0.1:{proxy.port}")
        ended = await restored(worker, target, tmp_path, RestoreSettings())
        assert ended.code == 0, ended.log
        read = [line for line in proxy.requests if line.startswith("GET") and "backup-4.tgz" in line]
    assert len(read) == -(-len(archive) // RANGE_BYTES)
    assert await content(target) == await content(source)


async def test_rows_of_other_tables_are_not_counted_as_ones_own(
    source: Database, target: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    merged = [
        *("CREATE TABLE test.one (id INT) ENGINE=MyISAM", "INSERT INTO test.one VALUES (1), (2)"),
        "CREATE TABLE test.all_of_them (id INT) ENGINE=MRG_MyISAM UNION=(test.one)",
    ]
    await source.load(merged)
    worker = backing_up(source, object_store, BUCKET, "merged/backup-5.tgz", tmp_path)
    worker.dump = DumpSettings(tableFilter=("test.*",))
    ended = await worker.run()
    assert ended.code == 0, ended.log
    await source.load(["DROP TABLE test.all_of_them", "DROP TABLE test.one"])

    ended = await restored(worker, target, tmp_path, RestoreSettings())

    assert ended.code == 0, ended.log
    assert ended.result.rows == 3
    assert await target.sql("SELECT COUNT(*) FROM test.all_of_them") == [(2,)]


async def test_files_of_mydumper_1(
    source: Database, target: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    await object_store.put(BUCKET, "one/backup-3.tgz", packed(MYDUMPER_1, "export-1"))
    worker = backing_up(source, object_store, BUCKET, "one/backup-3.tgz", tmp_path)

    ended = await restored(worker, target, tmp_path, RestoreSettings())

    assert ended.code == 0, ended.log
    assert (ended.result.tables, ended.result.rows) == (1, 3)
    rows = await target.sql("SELECT id, b FROM `odd/name`.`quo't``e` ORDER BY id")
    assert rows == [(1, b"a\0;\n"), (2, None), (3, b"x")]
    assert await target.sql("SELECT COUNT(*) FROM `odd/name`.v") == [(3,)]
    assert await target.sql("SELECT NEXTVAL(`odd/name`.s)") == [(41,)]
    await target.sql("DROP DATABASE `odd/name`")


async def test_nothing_that_exists_is_touched_unless_it_is_asked_for(
    made: Worker, target: Database, tmp_path: Path
) -> None:
    await target.load(
        [
            *("CREATE DATABASE odd", "CREATE TABLE odd.log (mine INT)", "INSERT INTO odd.log VALUES (1)"),
            *("CREATE TABLE odd.others (mine INT)", "CREATE PROCEDURE odd.proc() SELECT 1"),
        ]
    )

    ended = await restored(made, target, tmp_path, RestoreSettings())

    assert (ended.code, ended.result.reason) == (1, reasons.TARGET_NOT_EMPTY), ended.log
    assert "has `odd`.`log`, `odd`.`proc` already" in ended.result.message
    assert await target.sql("SELECT * FROM odd.log") == [(1,)]
    assert [row[0] for row in await target.sql("SHOW TABLES FROM odd")] == ["log", "others"]
    assert [row[0] for row in await target.sql("SHOW DATABASES LIKE 'test1'")] == []

    ended = await restored(made, target, tmp_path, RestoreSettings(overwrite=True))

    assert ended.code == 0, ended.log
    assert [row[0] for row in await target.sql("SHOW TABLES FROM odd LIKE 'others'")] == ["others"]
    assert [row[0] for row in await target.sql("SHOW COLUMNS FROM odd.log")] == ["id", "what"]


async def test_only_what_the_filter_takes(made: Worker, target: Database, tmp_path: Path) -> None:
    ended = await restored(made, target, tmp_path, RestoreSettings(tableFilter=("odd.myisam", "test1.*")))

    assert ended.code == 0, ended.log
    assert (ended.result.tables, ended.result.rows) == (2, 2)
    assert await target.sql("SHOW TABLES FROM odd") == [("myisam",)]
    assert await target.sql("SHOW TABLES FROM test1") == [("kept",)]

    ended = await restored(made, target, tmp_path, RestoreSettings(tableFilter=("odd.nowhere",)))

    assert (ended.code, ended.result.reason) == (1, reasons.NOTHING_TO_RESTORE), ended.log
    assert "does not hold `odd`.`nowhere`" in ended.result.message


async def test_tables_of_the_server_itself_are_never_overwritten(
    source: Database, target: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    worker = backing_up(source, object_store, BUCKET, "system/backup-1.tgz", tmp_path)
    worker.dump = DumpSettings(tableFilter=("mysql.time_zone",))
    ended = await worker.run()
    assert ended.code == 0, ended.log

    for overwrite in (False, True):
        ended = await restored(worker, target, tmp_path, RestoreSettings(overwrite=overwrite))

        assert (ended.code, ended.result.reason) == (1, reasons.TARGET_NOT_EMPTY), ended.log
        assert "`mysql`.`time_zone`" in ended.result.message


async def test_an_archive_that_is_not_what_was_stored(
    made: Worker, target: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    archive = await object_store.get(BUCKET, KEY)
    manifest = await object_store.get(BUCKET, made.target.manifest_key)
    worker = attrs.evolve(made, target=attrs.evolve(made.target, key="broken/backup-1.tgz"))
    # Bits at twenty places: test_worker_restore_faults.py.
    flipped = bytearray(archive)
    flipped[len(archive) // 2] ^= 1
    await object_store.put(BUCKET, worker.target.key, bytes(flipped))
    await object_store.put(BUCKET, worker.target.manifest_key, manifest)
    ended = await restored(worker, target, tmp_path, RestoreSettings())
    assert (ended.code, ended.result.reason) == (1, reasons.ARCHIVE_BROKEN), ended.log
    # It is read once: what came before the damage may have been loaded.
    for name in DATABASES:
        await target.sql(f"DROP DATABASE IF EXISTS `{name}`")

    await object_store.put(BUCKET, worker.target.key, archive[:-1000])
    ended = await restored(worker, target, tmp_path, RestoreSettings())
    assert (ended.code, ended.result.reason) == (1, reasons.ARCHIVE_BROKEN), ended.log
    assert f"it has {len(archive) - 1000} bytes, its manifest says {len(archive)}" in ended.result.message

    # Without a manifest, as those of TiDB Operator, only what cannot be unpacked is seen.
    async with object_store.client() as client:
        await client.delete_object(Bucket=BUCKET, Key=worker.target.manifest_key)
    ended = await restored(worker, target, tmp_path, RestoreSettings())
    assert (ended.code, ended.result.reason) == (1, reasons.ARCHIVE_BROKEN), ended.log
    await object_store.put(BUCKET, worker.target.key, archive)
    ended = await restored(worker, target, tmp_path, RestoreSettings())
    assert ended.code == 0, ended.log
    assert reasons.MANIFEST_MISSING in {notice.reason for notice in ended.result.notices}


async def test_an_archive_that_is_not_there(made: Worker, target: Database, tmp_path: Path) -> None:
    worker = attrs.evolve(made, target=attrs.evolve(made.target, key="nowhere/backup-1.tgz"))
    ended = await restored(worker, target, tmp_path, RestoreSettings())
    assert (ended.code, ended.result.reason) == (1, reasons.ARCHIVE_NOT_FOUND), ended.log
