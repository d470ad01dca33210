"""The worker killed at twenty points spread over its run: what the next run, or the cleaner, makes of it."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.worker.cut_proxy import cut_proxy
from tests.worker.endings import children, gone, kill
from tests.worker.worker_process import Worker
from tidbbackup.model.result import Outcome
from tidbbackup.model.storage import ObjectTarget
from tidbbackup.model.task import DatabaseTarget, DumpSettings

pytestmark = pytest.mark.integration

BUCKET = "killed"
KEY = "backup-9.tgz"
KIB = 1 << 10
MIB = 1 << 20

FROM_DATABASE = (0, 4 * KIB, 64 * KIB, *(n * MIB for n in (1, 3, 6, 9, 12, 15, 18)))
TO_STORAGE: tuple[int | bytes, ...] = (
    *(0, 1 * KIB, 64 * KIB, 5 * MIB, 10 * MIB, 15 * MIB, 18 * MIB),
    *(b"<CompleteMultipartUpload ", b"CompleteMultipartUploadResult", b"backup-9.manifest.json"),
)
"""Bytes after which nothing passes any more, or words: there the run stands when it is killed."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    """20 MiB that cannot be compressed, in about ten files; as SQL they are more: two parts."""
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="killed-source") as server:
        block = ", ".join(["RANDOM_BYTES(1024)"] * 16)
        await server.load(
            [
                "CREATE DATABASE shop",
                "CREATE TABLE shop.noise (id INT PRIMARY KEY, b BLOB)",
                f"INSERT INTO shop.noise SELECT seq, CONCAT({block}) FROM shop.seq_1_to_1250",  # noqa: S608
                "ANALYZE TABLE shop.noise",
            ]
        )
        yield server


async def killed_at(worker: Worker, side: str, point: int | bytes) -> None:
    """Run it behind proxies that stop passing bytes there, and kill it where it stands."""
    store, database = worker.store.endpoint, worker.database
    async with (
        cut_proxy(database.host, database.port) as from_database,
        cut_proxy("127.0.0.1", int(store.rpartition(":")[2])) as to_store,
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


POINTS = [("database", point) for point in FROM_DATABASE] + [("storage", point) for point in TO_STORAGE]


@pytest.mark.parametrize(("side", "point"), POINTS)
async def test_killed(
    source: Database, object_store: ObjectStore, tmp_path: Path, side: str, point: int | bytes
) -> None:
    target = ObjectTarget("ceph", BUCKET, KEY, endpoint=object_store.endpoint, pathStyle=True)
    login = DatabaseTarget(source.host, source.port, source.user)
    dump = DumpSettings(options=("--rows=125", "--threads=2", "--verbose=3"))
    worker = Worker(tmp_path, object_store, target, login, source.password, dump=dump)

    await killed_at(worker, side, point)

    objects, uploads = await worker.left_in_bucket()
    assert len(uploads) <= 1
    if KEY in objects:
        gzip.decompress(await object_store.get(BUCKET, KEY))
    if POINTS.index((side, point)) % 2:
        ended = await worker.run()
        assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
        assert await worker.left_in_bucket() == ({KEY, target.manifest_key}, [])
        assert list((worker.staging / "dump").iterdir()) == []
    worker.delete_data = True
    assert (await worker.run("clean")).code == 0
    assert await worker.left_in_bucket() == (set(), [])
