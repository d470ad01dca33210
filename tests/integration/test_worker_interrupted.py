"""Runs of the real worker in which something dies halfway: the database, the storage, the worker itself.

Here is also what worker/dumpers/mydumper/process.py promises.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.database import Database, mariadb
from tests.cluster.noise import noise
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.integration.faults import within
from tests.integration.hold_proxy import COMPLETION, HoldProxy, hold_proxy
from tests.worker.cut_proxy import CutProxy, cut_proxy
from tests.worker.endings import alive, children, gone, kill
from tests.worker.worker_process import Ended, Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Data
from tidbbackup.model.contract.result import Outcome

pytestmark = pytest.mark.integration

BUCKET = "interrupted"
KEY = "backup-2.tgz"
MIB = 1 << 20


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    """40 MiB that cannot be compressed: three parts."""
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="interrupted-source") as server:
        await server.load(["CREATE DATABASE shop", *noise(40)])
        yield server


@pytest.fixture
def worker(source: Database, object_store: ObjectStore, tmp_path: Path) -> Worker:
    return backing_up(source, object_store, BUCKET, KEY, tmp_path)


@pytest_asyncio.fixture(loop_scope="session")
async def to_database(worker: Worker) -> AsyncIterator[CutProxy]:
    """A proxy between worker and database; nothing is cut yet."""
    async with cut_proxy(worker.database.host, worker.database.port) as proxy:
        worker.database = attrs.evolve(worker.database, port=proxy.port)
        yield proxy


@pytest_asyncio.fixture(loop_scope="session")
async def to_store(worker: Worker) -> AsyncIterator[CutProxy]:
    """A proxy between worker and storage; nothing is cut yet."""
    async with cut_proxy("127.0.0.1", worker.store.port) as proxy:
        worker.retarget(endpoint=f"http://127.0.0.1:{proxy.port}")
        yield proxy


async def test_the_database_is_lost_halfway(worker: Worker, to_database: CutProxy) -> None:
    to_database.limit = 10 * MIB
    ended = await worker.run()
    assert (ended.code, ended.result.step) == (1, "dump")
    assert ended.result.reason == reasons.DATABASE_LOST, ended.log
    assert await worker.left_in_bucket() == (set(), [])


async def test_the_database_falls_silent_halfway(worker: Worker, to_database: CutProxy) -> None:
    to_database.limit, to_database.freeze = 10 * MIB, True
    worker.stall = 1
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.STALLED), ended.log
    assert await worker.left_in_bucket() == (set(), [])


async def test_the_storage_is_lost_halfway_and_clean_sweeps_up(worker: Worker, to_store: CutProxy) -> None:
    to_store.limit = 10 * MIB
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.STORAGE_UNREACHABLE), ended.log
    assert ended.result.uploadLeftOpen
    objects, uploads = await worker.left_in_bucket()
    assert (objects, len(uploads)) == (set(), 1)

    worker.retarget(endpoint=worker.store.endpoint)
    cleaned = await worker.run("clean")

    assert (cleaned.code, cleaned.result.outcome) == (0, Outcome.DONE)
    assert await worker.left_in_bucket() == (set(), [])


async def test_a_storage_that_comes_back_is_used_again(worker: Worker, to_store: CutProxy) -> None:
    to_store.limit = 10 * MIB
    process = await worker.start()
    await to_store.reached.wait()
    to_store.limit = None
    to_store.reached.clear()
    ended = await worker.ended(process)
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    worker.data = Data.DELETE
    assert (await worker.run("clean")).code == 0
    assert await worker.left_in_bucket() == (set(), [])


async def test_sigterm_takes_the_upload_back(worker: Worker, to_database: CutProxy) -> None:
    to_database.limit, to_database.freeze = 10 * MIB, True
    process = await worker.start()
    await to_database.reached.wait()
    assert len((await worker.left_in_bucket())[1]) == 1, "there is something to take back"
    (dumper,) = children(process.pid)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        ended = await worker.ended(process)
    assert (ended.code, ended.result.reason, ended.result.step) == (143, reasons.TERMINATED, "dump")
    assert not alive(dumper)
    assert await worker.left_in_bucket() == (set(), [])
    assert list((worker.folder / "run").iterdir()) == []


async def test_sigterm_while_the_database_is_silent(worker: Worker, to_database: CutProxy) -> None:
    to_database.limit, to_database.freeze = 0, True
    process = await worker.start()
    await to_database.reached.wait()
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        ended = await worker.ended(process)
    assert (ended.code, ended.result.reason, ended.result.step) == (143, reasons.TERMINATED, "preflight")


async def test_sigterm_while_the_storage_is_silent(worker: Worker, to_store: CutProxy) -> None:
    to_store.limit, to_store.freeze = 10 * MIB, True
    worker.keep_log = 1
    process = await worker.start()
    await to_store.reached.wait()
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        ended = await worker.ended(process)
    assert (ended.code, ended.result.reason) == (143, reasons.TERMINATED)
    assert not ended.result.logKept
    # Dump and upload run at once: the dump may have ended by then, or not.
    assert ended.result.step in ("dump", "upload")
    assert ended.result.uploadLeftOpen
    worker.retarget(endpoint=worker.store.endpoint)
    assert (await worker.run("clean")).code == 0
    assert await worker.left_in_bucket() == (set(), [])


async def test_sigterm_while_the_upload_is_completed(worker: Worker) -> None:
    """The storage has been asked and has not answered: whether it does it later nobody knows."""
    async with hold_proxy("127.0.0.1", worker.store.port, COMPLETION) as proxy:
        ended = await terminated_at(worker, proxy)
    assert (ended.code, ended.result.reason, ended.result.step) == (143, reasons.TERMINATED, "verify")
    assert ended.result.uploadLeftOpen
    assert await worker.left_in_bucket() == (set(), [])


async def test_sigterm_while_the_manifest_is_written(worker: Worker) -> None:
    async with hold_proxy("127.0.0.1", worker.store.port, b'"formatVersion"') as proxy:
        ended = await terminated_at(worker, proxy)
    assert (ended.code, ended.result.reason, ended.result.step) == (143, reasons.TERMINATED, "manifest")
    assert not ended.result.uploadLeftOpen
    assert await worker.left_in_bucket() == (set(), [])


async def terminated_at(worker: Worker, proxy: HoldProxy) -> Ended:
    """The end of a run that is asked to end where the proxy holds it; what it said there never arrives."""
    worker.retarget(endpoint=proxy.url)
    process = await worker.start()
    await within(proxy.reached)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        return await worker.ended(process)


async def test_killed_while_mydumper_runs(worker: Worker, to_database: CutProxy) -> None:
    to_database.limit, to_database.freeze = 10 * MIB, True
    process = await worker.start()
    await to_database.reached.wait()
    (dumper,) = children(process.pid)
    await kill(process)
    await gone(dumper)
    objects, uploads = await worker.left_in_bucket()
    assert (objects, len(uploads)) == (set(), 1)
    assert (await worker.run("clean")).code == 0
    assert await worker.left_in_bucket() == (set(), [])


async def test_killed_while_uploading_and_run_again(worker: Worker, to_store: CutProxy) -> None:
    to_store.limit, to_store.freeze = 10 * MIB, True
    process = await worker.start()
    await to_store.reached.wait()
    await kill(process)
    objects, uploads = await worker.left_in_bucket()
    assert (objects, len(uploads)) == (set(), 1)

    worker.retarget(endpoint=worker.store.endpoint)
    ended = await worker.run()

    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert await worker.left_in_bucket() == ({KEY, worker.target.manifest_key}, [])
    worker.data = Data.DELETE
    for _ in range(2):
        assert (await worker.run("clean")).code == 0
        assert await worker.left_in_bucket() == (set(), [])


async def test_killed_in_the_preflight_leaves_nothing(worker: Worker, to_database: CutProxy) -> None:
    to_database.limit, to_database.freeze = 0, True
    process = await worker.start()
    await to_database.reached.wait()
    await kill(process)
    assert await worker.left_in_bucket() == (set(), [])


async def test_clean_of_what_was_never_there(worker: Worker) -> None:
    worker.data = Data.DELETE
    worker.retarget(bucket="gone-long-ago")
    ended = await worker.run("clean")
    assert (ended.code, ended.result.outcome) == (0, Outcome.DONE), ended.log
    (notice,) = ended.result.notices
    assert notice.reason == reasons.BUCKET_NOT_FOUND
    assert "nothing was deleted" in notice.message


async def test_an_aftermath_that_is_asked_to_end_is_done_by_the_next(
    worker: Worker, to_store: CutProxy
) -> None:
    assert (await worker.run()).code == 0
    worker.data = Data.DELETE
    to_store.limit, to_store.freeze = 0, True
    process = await worker.start("clean release")
    await to_store.reached.wait()
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        ended = await worker.ended(process)
    assert (ended.code, ended.result.reason, ended.result.step) == (143, reasons.TERMINATED, "aftermath")

    worker.retarget(endpoint=worker.store.endpoint)
    for _ in range(2):
        ended = await worker.run("clean release")
        assert (ended.code, ended.result.outcome) == (0, Outcome.DONE), ended.log
        assert await worker.left_in_bucket() == (set(), [])


async def test_neither_server_that_is_down_keeps_the_other_from_its_part(worker: Worker) -> None:
    storage, database = worker.target, worker.database
    worker.retarget(endpoint="http://127.0.0.1:9")
    ended = await worker.run("clean release")
    assert (ended.code, ended.result.reason) == (1, reasons.STORAGE_UNREACHABLE), ended.log
    assert [(each.part, each.done) for each in ended.result.parts] == [("clean", False), ("release", True)]

    worker.target, worker.database = storage, attrs.evolve(database, port=9)
    ended = await worker.run("clean release")
    assert (ended.code, ended.result.reason) == (1, reasons.DATABASE_UNREACHABLE), ended.log
    assert [(each.part, each.done) for each in ended.result.parts] == [("clean", True), ("release", False)]
