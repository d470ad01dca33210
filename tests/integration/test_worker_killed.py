"""The worker killed at twenty points spread over its run of a TiDB: what whoever comes next makes of it.

That is a second attempt, a run of another Backup on that database, or `release`; and the cleaner.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.noise import noise
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.tidb_proxy import TidbProxy, tidb_proxy
from tests.cluster.tidb_server import LIFE_TIME_COMMENT, tidb
from tests.worker.cut_proxy import cut_proxy
from tests.worker.endings import children, gone, kill
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model.contract.aftermath import Data
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DatabaseTarget, DumpSettings
from tidbbackup.model.providers import Transfer
from tidbbackup.worker.gc.ledger import MARK

pytestmark = pytest.mark.integration

BUCKET = "killed"
KIB = 1 << 10
MIB = 1 << 20
AS_BEFORE = ("10m0s", LIFE_TIME_COMMENT)

NOT_YET_RAISED: tuple[int | bytes, ...] = (0, b"UPDATE mysql.tidb", b"\x03COMMIT")
FROM_DATABASE: tuple[int | bytes, ...] = (
    *NOT_YET_RAISED,
    *(b"tidb_current_ts", 64 * KIB, 1 * MIB, 3 * MIB, 5 * MIB, 7 * MIB),
    # It is being put back.
    b"variable_value = '10m0s'",
)
TO_STORAGE: tuple[int | bytes, ...] = (
    *(0, 1 * KIB, 64 * KIB, 2 * MIB, 4 * MIB, 6 * MIB, 7 * MIB),
    *(b"<CompleteMultipartUpload ", b"CompleteMultipartUploadResult", b".manifest.json"),
)
"""Bytes after which nothing passes any more, or words: there the run stands when it is killed."""

EXPIRED = 601
"""Seconds after which the hold of a worker that gives no sign of life counts no more."""
POINTS = [("database", point) for point in FROM_DATABASE] + [("storage", point) for point in TO_STORAGE]
WAYS = ("second-attempt", "another-backup", "release")
"""What is next after a point; each in turn."""
CASES = [(side, point, WAYS[number % len(WAYS)]) for number, (side, point) in enumerate(POINTS)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[TidbProxy]:
    """8 MiB that cannot be compressed, in ten files; as parts of 5 MiB they are two."""
    await object_store.create_bucket(BUCKET)
    async with tidb(servers, name="killed-source") as server:
        await server.load(["CREATE DATABASE shop", *noise(8), "ANALYZE TABLE shop.noise"])
        async with tidb_proxy(server) as proxy:
            yield proxy


async def killed_at(worker: Worker, side: str, point: int | bytes) -> None:
    """Run it behind proxies that stop passing bytes there, and kill it where it stands."""
    store, database = worker.store.endpoint, worker.database
    async with (
        cut_proxy(database.host, database.port) as from_database,
        cut_proxy("127.0.0.1", worker.store.port) as to_store,
    ):
        proxy = to_store if side == "storage" else from_database
        proxy.freeze = True
        proxy.limit, proxy.word = (None, point) if isinstance(point, bytes) else (point, None)
        worker.database = attrs.evolve(database, port=from_database.port)
        worker.retarget(endpoint=f"http://127.0.0.1:{to_store.port}")
        process = await worker.start()
        async with asyncio.timeout(30):
            await proxy.reached.wait()
        dumpers = children(process.pid)
        await kill(process)
        for dumper in dumpers:
            await gone(dumper)
    worker.database = database
    worker.retarget(endpoint=store)


@pytest.mark.parametrize(("side", "point", "way"), CASES)
async def test_killed(
    source: TidbProxy, object_store: ObjectStore, tmp_path: Path, side: str, point: int | bytes, way: str
) -> None:
    def worker_of(uid: str) -> Worker:
        folder = tmp_path / uid
        folder.mkdir()
        login = DatabaseTarget("127.0.0.1", source.port)
        dump = DumpSettings(options=("--rows=50", "--threads=2", "--verbose=3"))
        made = backing_up(source.behind, object_store, BUCKET, f"backup-{uid}.tgz", folder)
        made.retarget(transfer=Transfer(partBytes=5 * MIB))
        return attrs.evolve(made, uid=uid, database=login, dump=dump)

    worker, other = worker_of("dead"), worker_of("other")
    source.later = 0
    await killed_at(worker, side, point)

    objects, uploads = await worker.left_in_bucket()
    assert len(uploads) <= 1
    if worker.target.key in objects:
        gzip.decompress(await object_store.get(BUCKET, worker.target.key))
    value, comment = await source.behind.life_time()
    if point in NOT_YET_RAISED and side == "database":
        assert (value, comment) == AS_BEFORE
    else:
        assert (value, comment[: len(MARK)]) == ("72h0m0s", MARK)
        assert worker.uid in comment

    if way == "release":
        released = await worker.run("release")
        assert (released.code, released.result.outcome) == (0, Outcome.DONE), released.log
    else:
        source.later = EXPIRED
        after = other if way == "another-backup" else worker
        ended = await after.run()
        assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
        objects, uploads = await worker.left_in_bucket()
        assert {after.target.key, after.target.manifest_key} <= objects
        assert [key for key, _ in uploads if key == after.target.key] == []
        assert [*after.staging.glob("*/*")] == []
    assert await source.behind.life_time() == AS_BEFORE

    for each in (worker, other)[: 2 if way == "another-backup" else 1]:
        each.data = Data.DELETE
        assert (await each.run("clean")).code == 0
    assert await worker.left_in_bucket() == (set(), [])
