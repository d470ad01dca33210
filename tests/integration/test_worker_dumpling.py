"""The real worker and dumpling against a real TiDB: rows, and what can go wrong while they are read."""

import asyncio
import os
import re
import shutil
import signal
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pymysql
import pytest
import pytest_asyncio

from tests.cluster import dumpling
from tests.cluster.certificates import Certificates, write_certificates
from tests.cluster.comparison import content
from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore
from tests.cluster.plain_loader import load_plainly
from tests.cluster.processes import Processes
from tests.cluster.relay import slow_server
from tests.cluster.restore import load_archive
from tests.cluster.tidb_proxy import TidbProxy, tidb_proxy
from tests.cluster.tidb_server import TiDB
from tests.cluster.tidb_server import tidb as tidb_server
from tests.worker.cut_proxy import cut_proxy
from tests.worker.endings import children, gone
from tests.worker.small_volume import small_volume
from tests.worker.tidb_zoo import DATABASES, zoo
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DatabaseTarget, DumperName, DumpSettings, RestoreSettings
from tidbbackup.model.providers import Transfer

pytestmark = pytest.mark.integration

BUCKET = "dumpling"
MB = 1_000_000
ROWS = "FROM `shop`.`items`"
"""In the statement that reads the rows of the table of this name, and in no other."""
NAMES = ("127.0.0.1",)
# What counts on, and what is a comment that makes no other table cached.
_PASSING = re.compile(r" /\*T!\[auto_rand_base\] AUTO_RANDOM_BASE=\d+ \*/| /\* CACHED ON \*/")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("dumpling-tls"), NAMES)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def behind(
    servers: Processes, object_store: ObjectStore, certificates: Certificates
) -> AsyncIterator[TiDB]:
    """A shop, and its large table of 32 MB."""
    await asyncio.to_thread(dumpling.ensure)
    await object_store.create_bucket(BUCKET)
    text = "HEX(RANDOM_BYTES(190))"
    batches = (range(first, first + 2000) for first in range(0, 80_000, 2000))
    async with tidb_server(servers, name="dumpling", certificates=certificates) as server:
        await server.load(
            [
                "CREATE DATABASE shop",
                "CREATE TABLE shop.items (id INT PRIMARY KEY, name TEXT)",
                "INSERT INTO shop.items VALUES (1, 'first'), (2, 'second')",
                "CREATE TABLE shop.orders (id INT PRIMARY KEY, t TEXT)",
                *(
                    f"INSERT INTO shop.orders VALUES {', '.join(f'({number}, {text})' for number in batch)}"
                    for batch in batches
                ),
                "CREATE USER backup@'%' IDENTIFIED BY 'pw'",
                "GRANT SELECT, SHOW VIEW ON *.* TO backup@'%'",
                "GRANT UPDATE ON mysql.tidb TO backup@'%'",
            ]
        )
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def tidb(behind: TiDB) -> AsyncIterator[TidbProxy]:
    async with tidb_proxy(behind) as server:
        yield server


@pytest.fixture
def worker(tidb: TidbProxy, object_store: ObjectStore, tmp_path: Path) -> Worker:
    """One that dumps the shop."""
    settings = DumpSettings(tableFilter=("shop.*",), dumper=DumperName.DUMPLING)
    made = backing_up(tidb.behind, object_store, BUCKET, f"{tmp_path.name}.tgz", tmp_path, settings)
    return attrs.evolve(made, database=DatabaseTarget("127.0.0.1", tidb.port, "backup"), password="pw")


async def held(worker: Worker, tidb: TidbProxy, word: str = ROWS) -> asyncio.subprocess.Process:
    """Start it and wait until a statement with that word is on its way."""
    tidb.hold_at = word
    return await worker.start_until(tidb.held)


async def unpacked(worker: Worker) -> dict[str, bytes]:
    """The files of the archive."""
    path = worker.folder / "archive.tgz"
    path.write_bytes(await worker.store.get(BUCKET, worker.target.key))
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if (file := archive.extractfile(member)) is not None:
                found[member.name.rpartition("/")[2]] = file.read()
    return found


async def test_the_zoo_arrives_in_another_tidb(worker: Worker, servers: Processes) -> None:
    """By a client that sends each statement as it stands, and by our own restore."""
    async with (
        tidb_server(servers, name="zoo-source", password="pw") as source,
        tidb_server(servers, name="zoo-target", password="pw") as target,
    ):
        await source.load(zoo())
        await target.sql("SET GLOBAL allow_auto_random_explicit_insert = 1, GLOBAL sql_mode = ''")
        worker.database = DatabaseTarget("127.0.0.1", source.port, "root")
        worker.dump = DumpSettings(dumper=DumperName.MYDUMPER)
        ended = await worker.run()
        assert (ended.code, ended.result.reason) == (1, reasons.UNSUPPORTED_NAME), ended.log
        assert "or set spec.dumper: dumpling" in ended.result.message
        worker.dump = DumpSettings(dumper=DumperName.DUMPLING)
        ended = await worker.run()
        assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
        await load_plainly(await worker.store.get(BUCKET, worker.target.key), target)
        await check_equal(source, target)

        await target.load([f"DROP DATABASE `{name}`" for name in DATABASES])
        worker.database = DatabaseTarget("127.0.0.1", target.port, "root")
        worker.restore = RestoreSettings()
        ended = await worker.run("restore")
        assert ended.code == 0, ended.log
        await check_equal(source, target)


async def check_equal(source: TiDB, target: TiDB) -> None:
    before, after = await content(source), await content(target)
    assert set(before.databases) >= set(DATABASES)
    assert after.databases == before.databases
    assert after.tables.keys() == before.tables.keys()
    for name, (definition, *rows) in before.tables.items():
        loaded, *its_rows = after.tables[name]
        assert _PASSING.sub("", loaded) == _PASSING.sub("", definition), name
        assert its_rows == rows, name
    assert after.programs == before.programs


async def test_myloader_loads_it_in_every_character_set(
    worker: Worker, behind: TiDB, servers: Processes
) -> None:
    await behind.load(
        [
            "CREATE DATABASE letters",
            "CREATE TABLE letters.t (g CHAR(9) CHARSET gbk, l CHAR(9) CHARSET latin1, b BLOB, t TIMESTAMP)",
            "INSERT INTO letters.t VALUES ('中文', 'ÄÖÜ', x'00ff27', '2026-01-01 00:00:00')",
            "CREATE VIEW letters.v AS SELECT g FROM letters.t",
        ]
    )
    worker.dump = attrs.evolve(worker.dump, tableFilter=("letters.*",))
    ended = await worker.run()
    assert (ended.code, ended.result.notices) == (0, ()), ended.log
    archive = await worker.store.get(BUCKET, worker.target.key)
    async with tidb_server(servers, name="myloaders") as target:
        await target.sql("SET GLOBAL time_zone = '+07:00'")
        await load_archive(archive, target, worker.folder / "loading")
        for query in ("SELECT g, l, b, UNIX_TIMESTAMP(t) FROM letters.t", "SELECT * FROM letters.v"):
            assert await target.sql(query) == await behind.sql(query)
    await behind.sql("DROP DATABASE letters")


async def test_a_large_table_is_in_pieces_and_progress_is_told(worker: Worker) -> None:
    worker.dump = attrs.evolve(worker.dump, options=("--filesize=4MiB", "--rows=1000", "--threads=3"))
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    pieces = [name for name in await unpacked(worker) if name.startswith("shop.orders.0")]
    assert len(pieces) > 6
    assert '"message":"progress"' in ended.log or ended.log.count("dumped") > 1


async def test_what_is_dropped_and_made_meanwhile_changes_nothing(worker: Worker, tidb: TidbProxy) -> None:
    await tidb.behind.load(
        [f"CREATE TABLE shop.lost{n} (id INT)" for n in range(8)]
        + [f"INSERT INTO shop.lost{n} VALUES ({n})" for n in range(8)]
    )
    process = await held(worker, tidb, "INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA IN")
    await tidb.behind.load(
        [f"DROP TABLE shop.lost{n}" for n in range(8)] + ["CREATE TABLE shop.late (id INT)"]
    )
    tidb.let_go.set()
    ended = await worker.ended(process)
    await tidb.behind.sql("DROP TABLE shop.late")
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    files = await unpacked(worker)
    assert sorted(name for name in files if ".lost" in name and "schema" not in name) == [
        f"shop.lost{n}.0000000000000.sql" for n in range(8)
    ]
    assert not [name for name in files if ".late" in name]


def shown(process: int) -> bytes:
    """What everybody on the node can see of a process, and its environment."""
    return b"".join(Path(f"/proc/{process}/{name}").read_bytes() for name in ("cmdline", "environ"))


async def test_a_killed_worker_takes_it_along(worker: Worker, tidb: TidbProxy) -> None:
    process = await held(worker, tidb)
    (dumpling,) = children(process.pid)
    assert b"pw" not in shown(dumpling)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await gone(dumpling)
    assert (await worker.run("release")).code == 0


async def test_asked_to_end_it_leaves_nothing(worker: Worker, tidb: TidbProxy) -> None:
    process = await held(worker, tidb)
    (dumpling,) = children(process.pid)
    process.send_signal(signal.SIGTERM)
    ended = await worker.ended(process)
    assert (ended.code, ended.result.reason) == (143, reasons.TERMINATED), ended.log
    await gone(dumpling)
    assert worker.target.key not in (await worker.left_in_bucket())[0]


async def test_a_password_that_has_changed(worker: Worker, tidb: TidbProxy) -> None:
    process = await held(worker, tidb, "SHOW GRANTS")
    await tidb.behind.sql("ALTER USER backup@'%' IDENTIFIED BY 'other'")
    try:
        tidb.let_go.set()
        ended = await worker.ended(process)
    finally:
        await tidb.behind.sql("ALTER USER backup@'%' IDENTIFIED BY 'pw'")
    assert (ended.code, ended.result.reason) == (1, reasons.LOGIN_FAILED), ended.log
    assert (await worker.run("release")).code == 0


async def test_a_snapshot_that_is_lost_midway(worker: Worker, tidb: TidbProxy) -> None:
    process = await held(worker, tidb)
    later = datetime.now(UTC) + timedelta(hours=1)
    await tidb.behind.collect_garbage(later)
    # The server looks at the row ten times a second.
    await asyncio.sleep(0.5)
    tidb.let_go.set()
    ended = await worker.ended(process)
    assert (ended.code, ended.result.reason) == (1, reasons.SNAPSHOT_LOST), ended.log
    assert "raise spec.tikvGCLifeTime" in ended.result.message


async def test_a_connection_that_breaks_in_the_middle_of_a_table(worker: Worker, behind: TiDB) -> None:
    """The library closes the file as if it were whole, and would read the rows again."""
    async with cut_proxy(behind.host, behind.port) as proxy:
        proxy.limit = 12 * MB
        worker.database = attrs.evolve(worker.database, port=proxy.port)
        process = await worker.start()
        await proxy.reached.wait()
        # The server is there again at once.
        proxy.limit = None
        proxy.reached.clear()
        ended = await worker.ended(process)
    assert (ended.code, ended.result.reason) == (1, reasons.DATABASE_LOST), ended.log
    assert worker.target.key not in (await worker.left_in_bucket())[0]


async def test_a_server_that_is_gone(worker: Worker, servers: Processes) -> None:
    async with tidb_server(servers, name="dumpling-gone", password="pw") as server:
        await server.load(["CREATE DATABASE shop", "CREATE TABLE shop.items (id INT)"])
        async with tidb_proxy(server) as proxy:
            worker.database = DatabaseTarget("127.0.0.1", proxy.port, "root")
            process = await held(worker, proxy)
            await servers.stop(server.child)
            proxy.let_go.set()
            ended = await worker.ended(process)
    assert (ended.code, ended.result.reason) == (1, reasons.DATABASE_LOST), ended.log


async def test_a_server_that_is_no_tidb(worker: Worker, database: Database) -> None:
    worker.database = DatabaseTarget(database.host, database.port, database.user)
    worker.password = database.password
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.INVALID_SPEC), ended.log
    assert "spec.dumper: mydumper" in ended.result.message


async def test_without_the_program(worker: Worker) -> None:
    worker.environ["PATH"] = "/usr/sbin:/usr/bin:/bin"
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.DUMP_FAILED), ended.log
    assert "tidbbackup-dumpling" in ended.result.message
    assert "set spec.dumper: mydumper" in ended.result.message


async def test_a_dump_larger_than_its_volume(worker: Worker, behind: TiDB) -> None:
    worker.staging_bytes = 8 * MB
    worker.dump = attrs.evolve(worker.dump, options=("--filesize=1MiB", "--threads=2"))
    worker.retarget(transfer=Transfer(partBytes=5 << 20, concurrency=1))
    direct = worker.target
    async with (
        slow_server("127.0.0.1", behind.port, 12 * MB) as from_database,
        slow_server("127.0.0.1", worker.store.port, 2 * MB) as to_store,
    ):
        worker.database = attrs.evolve(worker.database, port=from_database)
        worker.retarget(endpoint=f"http://127.0.0.1:{to_store}")
        with small_volume(worker.staging, 16 * MB):
            ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert "is suspended, " in ended.log
    worker.target = direct
    assert len([name for name in await unpacked(worker) if name.startswith("shop.orders.0")]) > 12


async def test_a_volume_that_is_full(worker: Worker) -> None:
    worker.dump = attrs.evolve(worker.dump, options=("--filesize=0",))
    with small_volume(worker.staging, 8 * MB):
        ended = await worker.run()
    assert ended.code == 1, ended.log
    assert ended.result.reason in (reasons.STAGING_FULL, reasons.STAGING_TOO_SMALL), ended.log


@pytest.mark.parametrize(
    ("plugin", "works"),
    [("mysql_native_password", True), ("caching_sha2_password", True), ("tidb_sm3_password", False)],
)
async def test_over_tls(
    worker: Worker, behind: TiDB, certificates: Certificates, plugin: str, works: bool
) -> None:
    await behind.load(
        [
            "SET GLOBAL require_secure_transport = ON",
            f"CREATE USER {plugin}@'%' IDENTIFIED WITH '{plugin}' BY 'only-over-tls'",
            f"GRANT SELECT, SHOW VIEW ON *.* TO {plugin}@'%'",
            f"GRANT UPDATE ON mysql.tidb TO {plugin}@'%'",
        ]
    )
    try:
        worker.database = DatabaseTarget("127.0.0.1", behind.port, plugin, tls=True)
        worker.password = "only-over-tls"
        (worker.folder / "db-tls").mkdir()
        shutil.copy(certificates.ca, worker.folder / "db-tls" / "ca.crt")
        ended = await worker.run()
    finally:
        tls = {"ca": str(certificates.ca)}
        with pymysql.connect(
            host=behind.host, port=behind.port, user="root", password=behind.password, ssl=tls
        ) as session:
            session.query("SET GLOBAL require_secure_transport = OFF")
    if works:
        assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    else:
        assert (ended.code, ended.result.reason) == (1, reasons.LOGIN_FAILED), ended.log
        assert "such as caching_sha2_password" in ended.result.message
