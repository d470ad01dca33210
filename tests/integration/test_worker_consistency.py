"""Backups of a real TiDB by each dumper while its rows change: an archive is of one moment."""

import asyncio
import random
import re
import tarfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import attrs
import pymysql
import pytest
import pytest_asyncio

from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.tidb_proxy import TidbProxy, tidb_proxy
from tests.cluster.tidb_server import TiDB, tidb
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DatabaseTarget, DumperName, DumpSettings

pytestmark = pytest.mark.integration

BUCKET = "consistency"
TABLES = 20
ACCOUNTS = 25
EACH = 1000
WRITERS = 3
SETTINGS = {name.value: DumpSettings(dumper=name) for name in DumperName}
HELD_AT = "FROM `bank`.`accounts_10`"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def behind(servers: Processes, object_store: ObjectStore) -> AsyncIterator[TiDB]:
    """Twenty tables with as much money in each."""
    await object_store.create_bucket(BUCKET)
    rows = ", ".join(f"({number}, {EACH})" for number in range(ACCOUNTS))
    async with tidb(servers, name="bank") as server:
        statements = ["CREATE DATABASE bank"]
        for name in map(table, range(TABLES)):
            statements.append(f"CREATE TABLE {name} (id INT PRIMARY KEY, amount BIGINT NOT NULL)")
            statements.append(f"INSERT INTO {name} VALUES {rows}")
        await server.load(statements)
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def bank(behind: TiDB) -> AsyncIterator[TidbProxy]:
    async with tidb_proxy(behind) as proxy:
        yield proxy


def table(number: int) -> str:
    return f"bank.accounts_{number:02}"


def session(server: Database) -> "pymysql.Connection[Any]":
    return pymysql.connect(host=server.host, port=server.port, user=server.user, password=server.password)


class Transfers:
    """Threads that move money from account to account, each time in one transaction."""

    def __init__(self, server: Database) -> None:
        self._server = server
        self._over = threading.Event()
        self._one_more = threading.Condition()
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in range(WRITERS)]
        self.done = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        for each in self._threads:
            each.start()
        try:
            yield
        finally:
            self._over.set()
            for each in self._threads:
                each.join()

    async def more(self, count: int) -> None:
        """Wait for so many more."""
        wanted = self.done + count
        assert await asyncio.to_thread(self._reached, wanted)

    def _reached(self, wanted: int) -> bool:
        with self._one_more:
            return self._one_more.wait_for(lambda: self.done >= wanted, timeout=60)

    def _run(self, seed: int) -> None:
        dice = random.Random(seed)
        with session(self._server) as connection, connection.cursor() as cursor:
            while not self._over.is_set():
                (one, other), amount = dice.sample(range(TABLES), 2), dice.randrange(1, 50)
                changes = ((one, -amount), (other, amount))
                try:
                    for number, change in changes:
                        account = dice.randrange(ACCOUNTS)
                        cursor.execute(
                            f"UPDATE {table(number)} SET amount = amount + %s WHERE id = %s",
                            (change, account),
                        )
                    connection.commit()
                except pymysql.MySQLError:
                    # Two that wait for each other: one of them is told to begin again.
                    connection.rollback()
                    continue
                with self._one_more:
                    self.done += 1
                    self._one_more.notify_all()


@pytest.mark.parametrize("dumper", SETTINGS)
async def test_the_sum_in_each_archive_is_exact(
    bank: TidbProxy, object_store: ObjectStore, tmp_path: Path, dumper: str
) -> None:
    transfers = Transfers(bank.behind)
    bank.hold_at = HELD_AT
    workers = [a_worker(bank, object_store, tmp_path, f"{dumper}-{number}", dumper) for number in range(2)]
    with transfers.running():
        processes = []
        for worker in workers:
            await transfers.more(20)
            processes.append(await worker.start())
            async with asyncio.timeout(60):
                await bank.held.wait()
            bank.held.clear()
        # Some tables have been read by now, others have not.
        await transfers.more(100)
        bank.let_go.set()
        ended = [await worker.ended(process) for worker, process in zip(workers, processes, strict=True)]
    found = []
    for worker, each in zip(workers, ended, strict=True):
        assert (each.code, each.result.outcome) == (0, Outcome.COMPLETE), each.log
        found.append(amounts(await object_store.get(BUCKET, worker.target.key)))
    for tables in found:
        assert tables.keys() == {table(number) for number in range(TABLES)}
        assert all(len(accounts) == ACCOUNTS for accounts in tables.values())
        assert sum(map(sum, tables.values())) == TABLES * ACCOUNTS * EACH
    assert found[0] != found[1], "of two moments"
    rows = await bank.behind.sql("SELECT amount FROM bank.accounts_00 ORDER BY id")
    assert [amount for (amount,) in rows] != found[1][table(0)], "much has changed since"


@pytest.mark.parametrize("dumper", SETTINGS)
async def test_garbage_collection_that_passes_the_snapshot_in_mid_dump(
    bank: TidbProxy, object_store: ObjectStore, tmp_path: Path, dumper: str
) -> None:
    bank.hold_at = HELD_AT
    worker = a_worker(bank, object_store, tmp_path, f"lost-{dumper}", dumper)
    process = await worker.start()
    async with asyncio.timeout(60):
        await bank.held.wait()
    assert any("FROM `bank`.`accounts_0" in statement for statement in bank.statements), "halfway"
    await bank.behind.collect_garbage(datetime.now(UTC) + timedelta(hours=1))
    await asyncio.to_thread(until_lost, bank.behind)
    bank.let_go.set()
    ended = await worker.ended(process)
    assert (ended.code, ended.result.reason) == (1, reasons.SNAPSHOT_LOST), ended.log
    assert "raise spec.tikvGCLifeTime" in ended.result.message
    objects, uploads = await worker.left_in_bucket()
    assert (worker.target.key in objects, uploads) == (False, [])
    assert (await bank.behind.life_time())[0] == "10m0s"


def until_lost(server: TiDB) -> None:
    """Until the server, which looks ten times a second, refuses a snapshot from before."""
    deadline = time.monotonic() + 20
    with session(server) as connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        while time.monotonic() < deadline:
            try:
                cursor.execute("SELECT COUNT(*) FROM bank.accounts_00")
            except pymysql.MySQLError:
                return
            cursor.fetchall()
    raise AssertionError("the snapshot can still be read")


def a_worker(bank: TidbProxy, store: ObjectStore, folder: Path, name: str, dumper: str) -> Worker:
    own = folder / name
    own.mkdir()
    made = backing_up(bank.behind, store, BUCKET, f"backup-{name}.tgz", own, SETTINGS[dumper])
    login = DatabaseTarget("127.0.0.1", bank.port, bank.behind.user)
    return attrs.evolve(made, uid=name, database=login)


def amounts(archive: bytes) -> dict[str, list[int]]:
    """What is in the accounts, by table, as the statements of the archive say."""
    found: dict[str, list[int]] = {}
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member)
            text = content.read().decode() if content else ""
            if match := re.search(r"INSERT INTO `(accounts_\d\d)`", text):
                rows = re.findall(r"\((\d+),(-?\d+)\)", text)
                found.setdefault(f"bank.{match[1]}", []).extend(int(amount) for _, amount in rows)
    return found
