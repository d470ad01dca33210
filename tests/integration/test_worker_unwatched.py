"""Where inotify fails the worker: what nobody tells of is packed once mydumper has ended, and is whole."""

import hashlib
import io
import signal
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.database import Database, mariadb
from tests.cluster.noise import noise
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.relay import slow_server
from tests.integration.faults import within
from tests.integration.hold_proxy import hold_proxy
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DumpSettings

pytestmark = pytest.mark.integration

BUCKET = "unwatched"
MIB = 1 << 20
CHUNKS = DumpSettings(options=("--rows=125", "--threads=1", "--verbose=3"))
MAX_QUEUED = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    """20 MiB in about ten files."""
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="unwatched-source") as server:
        await server.load(["CREATE DATABASE shop", *noise(20), "ANALYZE TABLE shop.noise"])
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watched(
    source: Database, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What an archive of it holds where nothing fails."""
    folder = tmp_path_factory.mktemp("watched")
    worker = backing_up(source, object_store, BUCKET, "watched.tgz", folder, CHUNKS)
    ended = await worker.run()
    assert ended.code == 0, ended.log
    return await files_of(worker)


@pytest.fixture
def worker(source: Database, object_store: ObjectStore, tmp_path: Path) -> Worker:
    return backing_up(source, object_store, BUCKET, f"{tmp_path.name}.tgz", tmp_path, CHUNKS)


async def files_of(worker: Worker) -> dict[str, str]:
    """Name to digest of every file of its archive but mydumper's metadata, in which are times."""
    archive = await worker.store.get(BUCKET, worker.target.key)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            member.name.partition("/")[2]: hashlib.sha256(file.read()).hexdigest()
            for member in tar
            if (file := tar.extractfile(member)) and not member.name.endswith("/metadata")
        }


def without(limit: str) -> tuple[str, ...]:
    """A user namespace that has none of that: a command to start a program in."""
    script = f'echo 0 > /proc/sys/user/{limit} && exec "$@"'
    command = ("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh")
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no user namespaces here: {tried.stderr.decode().strip()}")
    return command


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (
            "max_inotify_instances",
            "no inotify (Too many open files): files are packed when the dumper has ended",
        ),
        (
            "max_inotify_watches",
            "inotify refuses (No space left on device): files are packed when the dumper has",
        ),
    ],
)
async def test_refused(worker: Worker, watched: dict[str, str], limit: str, said: str) -> None:
    worker.by = without(limit)
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert said in ended.log
    assert await files_of(worker) == watched
    assert list((worker.staging / "dump").iterdir()) == []


async def test_overflown(worker: Worker, watched: dict[str, str]) -> None:
    async with hold_proxy(worker.database.host, worker.database.port, b"(`id` >= 6") as proxy:
        worker.database = attrs.evolve(worker.database, port=proxy.port)
        process = await worker.start()
        await within(proxy.reached)
        process.send_signal(signal.SIGSTOP)
        flood(worker.staging / "dump", MAX_QUEUED)
        process.send_signal(signal.SIGCONT)
        await worker.until("inotify has dropped events", process)
        proxy.release()
        ended = await worker.ended(process)
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert await files_of(worker) == watched
    assert list((worker.staging / "dump").iterdir()) == []


def flood(folder: Path, events: int) -> None:
    """So many events of two files, in turn: of the same one the kernel would tell once."""
    paths = [folder / "a", folder / "b"]
    for number in range(events + 1):
        paths[number % 2].open("wb").close()
    for path in paths:
        path.unlink()


async def test_a_dump_that_goes_on_unseen_is_not_stalled(worker: Worker, source: Database) -> None:
    """One file that grows for five seconds, of which mydumper says nothing."""
    worker.by = without("max_inotify_instances")
    worker.dump = DumpSettings()
    worker.stall = 2
    async with slow_server(source.host, source.port, 4 * MIB) as port:
        worker.database = attrs.evolve(worker.database, port=port)
        ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
