"""The real worker with a real server that is busy, and with a mydumper that does not end."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pymysql
import pytest
import pytest_asyncio

from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome

pytestmark = pytest.mark.integration

BUCKET = "patience"
IN_THE_WAY = "UPDATE shop.t SET n = n + 1 WHERE 'secret' = 'secret' AND SLEEP(600) = 0"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="patience-source") as server:
        await server.load(
            [
                "CREATE DATABASE shop",
                "CREATE TABLE shop.t (n INT)",
                "INSERT INTO shop.t VALUES (1)",
                "CREATE TABLE shop.other (n INT)",
            ]
        )
        yield server


@pytest.fixture
def worker(source: Database, object_store: ObjectStore, tmp_path: Path) -> Worker:
    return backing_up(source, object_store, BUCKET, f"{tmp_path.name}.tgz", tmp_path)


@pytest_asyncio.fixture(loop_scope="session")
async def in_the_way(source: Database) -> AsyncIterator[int]:
    """The number of a statement that keeps the global read lock from being given until it is killed."""
    statement = asyncio.create_task(source.sql(IN_THE_WAY))
    asked = "SELECT id FROM information_schema.processlist WHERE info LIKE 'UPDATE shop.t%'"
    while not (found := await source.sql(asked)):  # noqa: ASYNC110  there is nobody to tell
        await asyncio.sleep(0.02)
    yield found[0][0]
    with contextlib.suppress(pymysql.MySQLError):
        await source.sql(f"KILL {found[0][0]}")
    await asyncio.wait([statement])
    statement.exception()


async def test_a_statement_that_keeps_the_lock_is_named(
    worker: Worker, source: Database, in_the_way: int
) -> None:
    worker.lock_wait = 1
    # Three tries.
    running = asyncio.create_task(worker.run())
    while not running.done():
        # Whoever writes does so again and again: it is kept waiting for the bound and not for the whole run.
        async with asyncio.timeout(20):
            await source.sql("INSERT INTO shop.other VALUES (1)")
        await asyncio.sleep(0.1)
    ended = await running
    assert (ended.code, ended.result.step, ended.result.reason) == (1, "dump", reasons.LOCK_TIMEOUT), (
        ended.log
    )
    assert f"statement {in_the_way} of user `root`" in ended.result.message
    assert "UPDATE shop.t SET n = n + 1 WHERE ? = ?" in ended.result.message
    assert f"KILL {in_the_way}" in ended.result.message
    assert "secret" not in ended.result.message
    assert ended.log.count("asked for again") == 2
    assert await worker.store.uploads(BUCKET) == []


async def test_a_statement_that_ends_meanwhile(worker: Worker, source: Database, in_the_way: int) -> None:
    worker.lock_wait = 1
    process = await worker.start()
    await worker.until("asked for again in 1 s", process)
    await source.sql(f"KILL {in_the_way}")
    ended = await worker.ended(process)
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log


async def test_a_statement_that_nobody_lets_us_see(worker: Worker, source: Database, in_the_way: int) -> None:
    await source.sql("CREATE OR REPLACE USER few@'%' IDENTIFIED BY 'few'")
    await source.sql("GRANT SELECT, RELOAD, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT ON *.* TO few@'%'")
    worker.database, worker.password = attrs.evolve(worker.database, user="few"), "few"
    worker.lock_wait = 1
    ended = await worker.run()
    assert ended.result.reason == reasons.LOCK_TIMEOUT, ended.log
    assert "GRANT PROCESS" in ended.result.message


def instead_of_mydumper(worker: Worker, then: str) -> None:
    """A program that runs the real one, does that with its words, and does not exit."""
    real = shutil.which("mydumper")
    folder = worker.folder / "bin"
    folder.mkdir()
    script = f'#!/bin/sh\ncase "$*" in *--outputdir*) ;; *) exec {real} "$@" ;; esac\n'
    program = folder / "mydumper"
    program.write_text(f'{script}{real} "$@" 2>&1 {then}\nexec sleep 1000\n')
    program.chmod(0o755)
    worker.environ["PATH"] = f"{folder}:{os.environ['PATH']}:/usr/sbin"
    # Much longer than the real one may be silent on a busy machine.
    worker.idle = 5


async def test_a_mydumper_that_has_finished_and_does_not_exit(worker: Worker) -> None:
    instead_of_mydumper(worker, "")
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert "does not exit" in ended.log


async def test_a_mydumper_that_has_finished_without_all_its_files(worker: Worker) -> None:
    instead_of_mydumper(worker, "--ignore-engines=InnoDB")
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.DUMP_INCOMPLETE), ended.log
    assert await worker.store.uploads(BUCKET) == []


async def test_a_mydumper_that_does_nothing_any_more(worker: Worker) -> None:
    instead_of_mydumper(worker, "2>&1 | grep -v Finished")
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.DUMP_FAILED), ended.log
    assert "stands still" in ended.result.message
    assert await worker.store.uploads(BUCKET) == []
