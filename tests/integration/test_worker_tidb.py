"""The real worker and mydumper against a real TiDB: snapshot, held GC life time, and its ends.

Here is also what worker/gc/row.py promises.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.database import mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.tidb_proxy import TidbProxy, tidb_proxy
from tests.cluster.tidb_server import LIFE_TIME_COMMENT, VERSION, TiDB
from tests.cluster.tidb_server import tidb as tidb_server
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.worker.database.session import Login
from tidbbackup.worker.gc.ledger import MARK, Acquire, Release
from tidbbackup.worker.gc.row import change

pytestmark = pytest.mark.integration

BUCKET = "tidb"
AS_BEFORE = ("10m0s", LIFE_TIME_COMMENT)
EXPIRED = 601
"""Seconds after which the hold of a worker that gives no sign of life counts no more."""
TABLE_DUMP = "FROM `shop`.`items`"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def behind(servers: Processes, object_store: ObjectStore) -> AsyncIterator[TiDB]:
    await object_store.create_bucket(BUCKET)
    rows = ", ".join(f"({number}, 'item {number}')" for number in range(1, 1001))
    async with tidb_server(servers) as server:
        await server.load(
            [
                "CREATE DATABASE shop",
                "CREATE TABLE shop.items (id INT PRIMARY KEY, name TEXT)",
                f"INSERT INTO shop.items VALUES {rows}",
                "CREATE VIEW shop.few AS SELECT id FROM shop.items WHERE id < 10",
            ]
        )
        for user, grant in (
            ("backup", "UPDATE ON mysql.tidb"),
            ("reader", "SELECT ON mysql.tidb"),
        ):
            await server.sql(f"CREATE USER {user}@'%' IDENTIFIED BY 'pw'")
            await server.sql(f"GRANT SELECT, SHOW VIEW ON *.* TO {user}@'%'")
            await server.sql(f"GRANT {grant} TO {user}@'%'")
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def tidb(behind: TiDB) -> AsyncIterator[TidbProxy]:
    async with tidb_proxy(behind) as server:
        yield server


@pytest.fixture
def a_worker(tidb: TidbProxy, object_store: ObjectStore, tmp_path: Path) -> Callable[[str], Worker]:
    def make(uid: str) -> Worker:
        folder = tmp_path / uid
        folder.mkdir()
        made = backing_up(tidb.behind, object_store, BUCKET, f"backup-{uid}.tgz", folder)
        login = DatabaseTarget("127.0.0.1", tidb.port, "backup")
        return attrs.evolve(made, uid=uid, database=login, password="pw")

    return make


@pytest.fixture
def worker(a_worker: Callable[[str], Worker]) -> Worker:
    return a_worker("aaaaaaaa-aaaa")


async def halfway(worker: Worker, tidb: TidbProxy) -> asyncio.subprocess.Process:
    """Start it and wait until mydumper is about to read a table."""
    tidb.hold_at = TABLE_DUMP
    return await worker.start_until(tidb.held)


async def test_a_dump_reads_at_one_snapshot_and_holds_the_life_time_meanwhile(
    worker: Worker, tidb: TidbProxy
) -> None:
    process = await halfway(worker, tidb)
    value, comment = await tidb.behind.life_time()
    assert value == "72h0m0s"
    assert comment.startswith(MARK)
    assert "aaaaaaaa-aaaa" in comment
    tidb.let_go.set()
    ended = await worker.ended(process)
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert not ended.result.notices
    assert VERSION in ended.log
    assert "Connected to a TiDB server" in ended.log
    assert await tidb.behind.life_time() == AS_BEFORE
    # The life time was raised before the snapshot was taken, and everybody has read at that one.
    snapshots = [s for s in tidb.statements if "tidb_snapshot" in s.lower()]
    assert len(snapshots) > 1
    assert all(ended.result.commitTs in s for s in snapshots)
    raised = next(i for i, s in enumerate(tidb.statements) if s.startswith("UPDATE mysql.tidb"))
    taken = next(i for i, s in enumerate(tidb.statements) if "tidb_current_ts" in s)
    assert raised < taken


async def test_a_failed_dump_puts_it_back(worker: Worker, tidb: TidbProxy) -> None:
    process = await halfway(worker, tidb)
    process.send_signal(signal.SIGTERM)
    ended = await worker.ended(process)
    assert (ended.code, ended.result.reason) == (143, reasons.TERMINATED), ended.log
    assert not ended.result.gcLifeTimeHeld
    assert await tidb.behind.life_time() == AS_BEFORE


async def test_asked_to_end_once_the_manifest_is_written_it_ends_as_complete(
    worker: Worker, tidb: TidbProxy
) -> None:
    # The statement is held while the bucket is looked at, however long that takes.
    worker.put_back = 60
    process = await halfway(worker, tidb)
    tidb.held.clear()
    tidb.hold_at, begun = "UPDATE mysql.tidb", tidb.let_go
    tidb.let_go = asyncio.Event()
    begun.set()
    await tidb.held.wait()
    manifest = {worker.target.key, worker.target.manifest_key}
    assert await worker.left_in_bucket() == (manifest, []), "all that is left is to put the life time back"
    process.send_signal(signal.SIGTERM)
    await worker.until("SIGTERM", process)
    tidb.let_go.set()
    ended = await worker.ended(process)
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert ended.result.checksum.startswith("sha256:")
    assert not ended.result.gcLifeTimeHeld
    assert await tidb.behind.life_time() == AS_BEFORE
    assert await worker.left_in_bucket() == (manifest, [])


async def test_after_sigkill_release_puts_it_back(worker: Worker, tidb: TidbProxy) -> None:
    process = await halfway(worker, tidb)
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    assert (await tidb.behind.life_time())[0] == "72h0m0s"
    for _ in range(2):
        ended = await worker.run("release")
        assert (ended.code, ended.result.outcome) == (0, Outcome.DONE), ended.log
        assert await tidb.behind.life_time() == AS_BEFORE


async def test_after_sigkill_the_next_run_puts_it_back(
    a_worker: Callable[[str], Worker], tidb: TidbProxy
) -> None:
    dead, next_one = a_worker("dddddddd-dddd"), a_worker("bbbbbbbb-bbbb")
    process = await halfway(dead, tidb)
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    tidb.let_go.set()
    tidb.later = EXPIRED
    ended = await next_one.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert await tidb.behind.life_time() == AS_BEFORE


async def test_of_two_at_once_the_last_one_puts_it_back(
    a_worker: Callable[[str], Worker], tidb: TidbProxy
) -> None:
    first, second = a_worker("aaaaaaaa-aaaa"), a_worker("bbbbbbbb-bbbb")
    second.gc_life_time = "24h"
    process = await halfway(first, tidb)
    tidb.hold_at = ""
    ended = await second.run()
    assert ended.code == 0, ended.log
    assert (await tidb.behind.life_time())[0] == "72h0m0s"
    tidb.let_go.set()
    assert (await first.ended(process)).code == 0
    assert await tidb.behind.life_time() == AS_BEFORE


async def test_what_the_user_sets_meanwhile_stays(worker: Worker, tidb: TidbProxy) -> None:
    worker.renewal = 0.2
    process = await halfway(worker, tidb)
    await tidb.behind.set("tikv_gc_life_time", "45m")
    await worker.until("somebody else has set tikv_gc_life_time to 45m", process)
    tidb.let_go.set()
    ended = await worker.ended(process)
    assert ended.code == 0, ended.log
    assert [notice.reason for notice in ended.result.notices] == [reasons.GC_LIFE_TIME_NOT_HELD]
    assert await tidb.behind.life_time() == ("45m", LIFE_TIME_COMMENT)


async def test_a_longer_life_time_is_not_touched(worker: Worker, tidb: TidbProxy) -> None:
    await tidb.behind.set("tikv_gc_life_time", "100h", "mine")
    ended = await worker.run()
    assert ended.code == 0, ended.log
    assert not [s for s in tidb.statements if s.startswith("UPDATE")]
    assert await tidb.behind.life_time() == ("100h", "mine")


async def test_without_the_right_to_it_is_a_warning_or_a_failure_where_it_was_asked_for(
    worker: Worker, tidb: TidbProxy
) -> None:
    worker.database = DatabaseTarget("127.0.0.1", tidb.port, "reader")
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    (notice,) = ended.result.notices
    assert notice.reason == reasons.GC_LIFE_TIME_NOT_HELD
    assert "GRANT SELECT, UPDATE ON mysql.tidb" in notice.message
    worker.gc_life_time = "24h"
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.GC_LIFE_TIME_NOT_HELD), ended.log
    assert "GRANT SELECT, UPDATE ON mysql.tidb" in ended.result.message
    assert await tidb.behind.life_time() == AS_BEFORE


async def test_a_safe_point_that_has_passed_is_told_with_a_cure(worker: Worker, tidb: TidbProxy) -> None:
    await tidb.behind.set("tikv_gc_safe_point", "20990101-00:00:00 +0000")
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.SNAPSHOT_LOST), ended.log
    assert "raise spec.tikvGCLifeTime" in ended.result.message
    assert await tidb.behind.life_time() == AS_BEFORE


async def test_a_safe_point_that_is_missing_is_told_with_a_cure(worker: Worker, tidb: TidbProxy) -> None:
    await tidb.behind.sql("DELETE FROM mysql.tidb WHERE variable_name = 'tikv_gc_safe_point'")
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.GC_SAFE_POINT_MISSING), ended.log
    assert await tidb.behind.life_time() == AS_BEFORE


async def test_a_snapshot_that_is_lost_before_mydumper_reads_at_it_is_told_so(
    worker: Worker, tidb: TidbProxy
) -> None:
    tidb.hold_at = "SHOW GRANTS"
    process = await worker.start()
    await tidb.held.wait()
    later = datetime.now(UTC) + timedelta(hours=1)
    await tidb.behind.set("tikv_gc_safe_point", later.strftime("%Y%m%d-%H:%M:%S +0000"))
    tidb.let_go.set()
    ended = await worker.ended(process)
    assert (ended.code, ended.result.reason) == (1, reasons.SNAPSHOT_LOST), ended.log
    assert await tidb.behind.life_time() == AS_BEFORE


async def test_a_database_that_is_gone_at_the_end_is_told_and_release_mends_it(
    worker: Worker, tidb: TidbProxy
) -> None:
    process = await halfway(worker, tidb)
    await tidb.behind.sql("ALTER USER backup@'%' IDENTIFIED BY 'other'")
    try:
        tidb.let_go.set()
        ended = await worker.ended(process)
        assert ended.result.gcLifeTimeHeld, ended.log
        assert reasons.GC_LIFE_TIME_STILL_RAISED in [n.reason for n in ended.result.notices]
        assert (await worker.run("release")).result.reason == reasons.LOGIN_FAILED
    finally:
        await tidb.behind.sql("ALTER USER backup@'%' IDENTIFIED BY 'pw'")
    assert (await worker.run("release")).code == 0
    assert await tidb.behind.life_time() == AS_BEFORE


async def test_runs_that_begin_and_end_at_the_same_instant_lose_nothing(tidb: TidbProxy) -> None:
    login = Login(DatabaseTarget("127.0.0.1", tidb.port, "backup"), b"pw")
    names = [f"run-{number}" for number in range(8)]
    lasting = timedelta(minutes=10)

    def acquire(name: str) -> None:
        wish = timedelta(hours=80 + names.index(name))
        change(login, lambda now: Acquire(name, wish, now + lasting))

    def release(name: str) -> None:
        change(login, lambda _: Release(name))

    await asyncio.gather(*(asyncio.to_thread(acquire, name) for name in names))
    value, comment = await tidb.behind.life_time()
    assert value == "87h0m0s"
    assert all(name in comment for name in names)
    await asyncio.gather(*(asyncio.to_thread(release, name) for name in names))
    assert await tidb.behind.life_time() == AS_BEFORE


async def test_a_commit_that_meets_another_is_tried_again(worker: Worker, tidb: TidbProxy) -> None:
    tidb.conflicts = 2
    process = await halfway(worker, tidb)
    assert (await tidb.behind.life_time())[0] == "72h0m0s"
    tidb.conflicts = 2
    tidb.let_go.set()
    ended = await worker.ended(process)
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert (tidb.conflicts, await tidb.behind.life_time()) == (0, AS_BEFORE)


async def test_a_life_time_of_nothing_leaves_it_alone(worker: Worker, tidb: TidbProxy) -> None:
    worker.gc_life_time = "0s"
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert not ended.result.notices
    assert not [s for s in tidb.statements if s.startswith("UPDATE")]
    assert await tidb.behind.life_time() == AS_BEFORE


async def test_release_on_another_server_is_fine(worker: Worker, servers: Processes) -> None:
    async with mariadb(servers, password=worker.password) as server:
        worker.database = DatabaseTarget(server.host, server.port, server.user)
        ended = await worker.run("release")
    assert (ended.code, ended.result.outcome) == (0, Outcome.DONE), ended.log
