"""Staging volumes that are smaller than the dump: the worker holds mydumper, or says what is too small."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.relay import slow_server
from tests.cluster.tidb_server import LIFE_TIME_COMMENT, tidb
from tests.worker.cut_proxy import cut_proxy
from tests.worker.endings import alive, children, gone, kill, state
from tests.worker.small_volume import small_volume
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Data
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DumpSettings
from tidbbackup.model.providers import Transfer

pytestmark = pytest.mark.integration

BUCKET = "volume"
KEY = "backup-7.tgz"
MB = 1_000_000
DUMP_BYTES = 80 * MB
CHUNKS = DumpSettings(options=("--threads=2", "--rows=2000", "--verbose=3"))
"""About 100 files of 800 KB."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    """80 MB of rows in one table."""
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="volume-source") as server:
        text = "HEX(RANDOM_BYTES(190))"
        await server.load(
            [
                "CREATE DATABASE shop",
                "CREATE TABLE shop.orders (id INT PRIMARY KEY, t TEXT)",
                f"INSERT INTO shop.orders SELECT seq, {text} FROM shop.seq_1_to_{DUMP_BYTES // 395}",
                "ANALYZE TABLE shop.orders",
            ]
        )
        yield server


def _orders_of_tidb() -> list[str]:
    """The same table with 32 MB of rows: a TiDB takes them more slowly, and has no sequences of MariaDB's."""
    batches = [
        ", ".join(f"({number}, HEX(RANDOM_BYTES(190)))" for number in range(first, first + 2000))
        for first in range(1, 80_000, 2000)
    ]
    table = "CREATE TABLE shop.orders (id INT PRIMARY KEY, t TEXT)"
    return [
        table,
        *(f"INSERT INTO shop.orders VALUES {batch}" for batch in batches),
        "ANALYZE TABLE shop.orders",
    ]


@pytest.fixture
def worker(source: Database, object_store: ObjectStore, tmp_path: Path) -> Worker:
    return backing_up(source, object_store, BUCKET, KEY, tmp_path, CHUNKS)


async def test_a_dump_ten_times_as_large_as_its_volume(worker: Worker) -> None:
    worker.staging_bytes = 8 * MB
    # Room for an overrun while the machine is busy, but not for the dump.
    with small_volume(worker.staging, 48 * MB):
        ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert "mydumper is suspended" in ended.log
    assert ", held for " in ended.log
    manifest = await worker.store.get(BUCKET, worker.target.manifest_key)
    assert manifest.count(b"shop.orders.0") > 80
    worker.data = Data.DELETE
    assert (await worker.run("clean")).code == 0


async def test_the_same_of_a_tidb_which_is_held_from_its_first_byte_on(
    worker: Worker, servers: Processes
) -> None:
    """There mydumper takes no lock that it could tell the end of. Both ways are slow, the one to the storage
    more so: little more than the budget is ever on the volume, or it would be full."""
    worker.staging_bytes = 8 * MB
    # A TiDB does not tell mydumper how many rows there are: --rows cuts nothing.
    worker.dump = DumpSettings(options=("--threads=2", "--chunk-filesize=1", "--verbose=3"))
    direct = worker.target
    worker.retarget(transfer=Transfer(partBytes=5 << 20, concurrency=1))
    async with (
        tidb(servers, name="volume-tidb", password=worker.password) as server,
        slow_server("127.0.0.1", server.port, 12 * MB) as from_database,
        slow_server("127.0.0.1", worker.store.port, 2 * MB) as to_store,
    ):
        await server.load(["CREATE DATABASE shop", *_orders_of_tidb()])
        worker.database = attrs.evolve(worker.database, port=from_database)
        worker.retarget(endpoint=f"http://127.0.0.1:{to_store}")
        with small_volume(worker.staging, 12 * MB):
            ended = await worker.run()
        assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
        assert "mydumper is suspended" in ended.log
        assert await server.life_time() == ("10m0s", LIFE_TIME_COMMENT)
    worker.target, worker.data = direct, Data.DELETE
    manifest = await worker.store.get(BUCKET, worker.target.manifest_key)
    assert manifest.count(b"shop.orders.0") > 12
    assert (await worker.run("clean")).code == 0


async def test_a_table_that_is_larger_than_the_volume(worker: Worker) -> None:
    worker.staging_bytes = 8 * MB
    worker.dump = DumpSettings(options=("--threads=2", "--chunk-filesize=0"))
    ended = await worker.run()
    assert (ended.code, ended.result.step) == (1, "dump"), ended.log
    assert ended.result.reason == reasons.STAGING_TOO_SMALL
    for words in ("shop.orders.sql (", "6 MiB that may be used", "spec.storageSize", "--chunk-filesize"):
        assert words in ended.result.message
    assert await worker.left_in_bucket() == (set(), [])


async def test_the_same_cut_as_the_worker_does_it_by_itself(worker: Worker) -> None:
    worker.staging_bytes = 8 * MB
    worker.dump = DumpSettings()
    ended = await worker.run()
    assert ended.code == 0, ended.log
    assert "--chunk-filesize=1 " in ended.log
    worker.data = Data.DELETE
    assert (await worker.run("clean")).code == 0


async def test_a_full_volume_while_others_wait_for_its_locks(worker: Worker, source: Database) -> None:
    await source.load(
        ["CREATE DATABASE old", "CREATE TABLE old.orders ENGINE=MyISAM AS SELECT * FROM shop.orders"]
    )
    worker.dump = DumpSettings(tableRegex=r"^old\.", options=("--threads=2", "--verbose=3"))
    try:
        with small_volume(worker.staging, 20 << 20):
            ended = await worker.run()
    finally:
        await source.load(["DROP DATABASE old"])
    assert (ended.code, ended.result.step) == (1, "dump"), ended.log
    assert ended.result.reason == reasons.STAGING_FULL, ended.log
    # Once the tables are unlocked nobody waits any more: in its last moments it may be held.
    locked, unlocking, _ = ended.log.partition("unlocking tables")
    assert unlocking, ended.log
    assert "mydumper is suspended" not in locked
    assert "20 MiB" in ended.result.message
    assert "spec.storageSize" in ended.result.message
    assert await worker.left_in_bucket() == (set(), [])


async def test_a_hold_that_is_longer_than_the_server_waits_for_its_reader(
    worker: Worker, source: Database
) -> None:
    """The server blocks in a write meanwhile, and by default ends such a connection after 60 s."""
    worker.staging_bytes = 8 * MB
    worker.dump = DumpSettings()
    await source.sql("SET GLOBAL net_write_timeout = 1")
    try:
        async with cut_proxy("127.0.0.1", worker.store.port) as proxy:
            proxy.limit, proxy.freeze = 1 * MB, True
            # What little travels does not take the whole dump into memory.
            few = Transfer(partBytes=5 << 20, concurrency=1)
            worker.retarget(endpoint=f"http://127.0.0.1:{proxy.port}", transfer=few)
            process = await worker.start()
            await proxy.reached.wait()
            await stopped(process.pid)
            await asyncio.sleep(4)
            (dumper,) = children(process.pid)
            assert state(dumper) == "T", "held all the time, or for most of it"
            proxy.thaw.set()
            ended = await worker.ended(process)
    finally:
        await source.sql("SET GLOBAL net_write_timeout = DEFAULT")
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    worker.retarget(endpoint=worker.store.endpoint)
    worker.data = Data.DELETE
    assert (await worker.run("clean")).code == 0


@contextlib.asynccontextmanager
async def held(worker: Worker) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A run whose mydumper is held; both of them. The block ends it, and its upload is cleaned away."""
    worker.staging_bytes = 8 * MB
    direct = worker.target
    async with cut_proxy("127.0.0.1", worker.store.port) as proxy:
        # The upload has been opened; its first part never arrives.
        proxy.limit, proxy.freeze = 1 * MB, True
        worker.retarget(endpoint=f"http://127.0.0.1:{proxy.port}")
        process = await worker.start()
        await worker.until("mydumper is suspended", process)
        async with asyncio.timeout(20):
            await stopped(process.pid)
        (dumper,) = children(process.pid)
        yield process, dumper
    worker.target = direct
    assert (await worker.run("clean")).code == 0
    assert await worker.left_in_bucket() == (set(), [])


async def test_sigterm_while_mydumper_is_held(worker: Worker) -> None:
    async with held(worker) as (process, dumper):
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            ended = await worker.ended(process)
        assert (ended.code, ended.result.reason) == (143, reasons.TERMINATED), ended.log
        assert not alive(dumper)
        assert list((worker.folder / "run").iterdir()) == []


async def test_sigkill_while_mydumper_is_held(worker: Worker) -> None:
    """A stopped process dies with its parent too."""
    async with held(worker) as (process, dumper):
        await kill(process)
        await gone(dumper)


async def stopped(worker_pid: int) -> None:
    """Wait until its child is stopped."""
    while True:
        for pid in children(worker_pid):
            if state(pid) == "T":
                return
        await asyncio.sleep(0.01)
