"""A password and keys that can be searched for are found nowhere; a row that can be searched for is found."""

import asyncio
import contextlib
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.database import Database, mariadb
from tests.cluster.noise import noise
from tests.cluster.object_store import ObjectStore, rclone_store
from tests.cluster.processes import Processes
from tests.worker.cut_proxy import cut_proxy
from tests.worker.leaks import all_arguments, unpacked
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DumpSettings

pytestmark = pytest.mark.integration

BUCKET = "secrets"
PASSWORD = "canary-password-$HOME-'\"`-ü"
SECRET_KEY = "CanarySecretKey0123456789"
ROW = "canary-row-9f3a"

# What a leak would look like: the part of the password that no quoting changes, and the key.
CANARIES = (b"canary-password", SECRET_KEY.encode())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes) -> AsyncIterator[Database]:
    async with mariadb(servers, name="secret-source", password=PASSWORD) as server:
        await server.load(
            [
                "CREATE DATABASE shop",
                *noise(8),
                "CREATE TABLE shop.t (id INT PRIMARY KEY, what TEXT)",
                f"INSERT INTO shop.t VALUES (1, '{ROW}')",
            ]
        )
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def store(servers: Processes) -> AsyncIterator[ObjectStore]:
    keys = {"access_key": "CANARYACCESS12", "secret_key": SECRET_KEY}
    async with rclone_store(servers, name="secret-store", **keys) as server:
        await server.create_bucket(BUCKET)
        yield server


@pytest.fixture
def worker(source: Database, store: ObjectStore, tmp_path: Path) -> Worker:
    return backing_up(source, store, BUCKET, "backup-3.tgz", tmp_path)


async def test_secrets_are_nowhere_and_a_row_is_found(worker: Worker) -> None:
    process = await worker.start()
    arguments = await sampled_arguments(process)
    ended = await worker.ended(process)
    assert ended.code == 0, ended.log

    manifest = await worker.store.get(BUCKET, worker.target.manifest_key)
    archive = unpacked(await worker.store.get(BUCKET, worker.target.key))
    kept = (await worker.kept_log()).encode()
    for place in (ended.log.encode(), ended.message, arguments, archive, manifest, kept):
        for canary in CANARIES:
            assert canary not in place
    assert ROW.encode() in archive, "the search finds what is there"
    assert ROW.encode() not in kept
    assert b"Started dump at" in kept
    assert b"mydumper" in arguments, "mydumper's arguments were among the samples"
    assert worker.environment()["LOG_LEVEL"] == "DEBUG"


async def test_mydumper_sees_no_secret_and_its_file_is_gone(worker: Worker) -> None:
    async with cut_proxy(worker.database.host, worker.database.port) as proxy:
        proxy.limit, proxy.freeze = 2 << 20, True
        worker.database = attrs.evolve(worker.database, port=proxy.port)
        process = await worker.start()
        await proxy.reached.wait()
        seen = shown_by_child(process.pid)
        await worker.until(" dumping ", process)
        left = list((worker.folder / "run").iterdir())
        process.send_signal(signal.SIGTERM)
        ended = await worker.ended(process)
    assert b"PATH=" in seen
    for canary in (*CANARIES, b"AWS_", b"DB_PASSWORD", b"CANARYACCESS12"):
        assert canary not in seen
    assert left == [], "all threads have logged in"
    kept = (await worker.kept_log()).encode()
    assert b"asked to end" in kept
    for canary in CANARIES:
        assert canary not in ended.log.encode() + ended.message + kept


async def test_the_defaults_file_is_ours_alone(worker: Worker) -> None:
    process = await worker.start()
    path = worker.folder / "run" / "mydumper.cnf"
    modes = set()
    while process.returncode is None:
        with contextlib.suppress(FileNotFoundError):
            modes.add(stat.S_IMODE(path.stat().st_mode))
        await asyncio.sleep(0)
    assert (await worker.ended(process)).code == 0
    assert modes == {0o600}


@pytest.mark.parametrize(
    "password",
    ["qu'o\"te`s", "$HOME ${x} `id` %s", "ünï-漢字-🙂", "line feed at the end\n", " #;[mydumper]=\\n\\", ""],
)
async def test_odd_passwords_are_used_as_they_are(worker: Worker, source: Database, password: str) -> None:
    await source.sql("CREATE OR REPLACE USER odd@'%%' IDENTIFIED BY %s", [password])
    await source.sql("GRANT ALL PRIVILEGES ON *.* TO odd@'%'")
    worker.database = attrs.evolve(worker.database, user="odd")
    worker.password = password
    worker.dump = DumpSettings(tableRegex=r"^shop\.(t$|\()")
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log


def shown_by_child(parent: int) -> bytes:
    """Environment and arguments of the one child of a process."""
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return Path(f"/proc/{child}/environ").read_bytes() + Path(f"/proc/{child}/cmdline").read_bytes()


async def sampled_arguments(process: asyncio.subprocess.Process) -> bytes:
    """The arguments of every process of this machine, sampled until this one ends."""
    seen: set[bytes] = set()
    while process.returncode is None:
        seen |= await asyncio.to_thread(all_arguments)
        await asyncio.sleep(0.005)
    return b"\n".join(seen)
