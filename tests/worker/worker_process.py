"""Runs the real worker as a process for the tests, with everything it needs in one folder.

Knows the worker's environment and nothing of its inside, but for time limits, which tests want short.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field, frozen

from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore
from tidbbackup.model.contract.aftermath import NO_AFTERMATH, Aftermath, Data, Part
from tidbbackup.model.contract.result import WorkerResult, decode_result
from tidbbackup.model.contract.task import (
    DatabaseTarget,
    DumpSettings,
    RestoreSettings,
    WorkerTask,
    encode_task,
)
from tidbbackup.model.providers import ObjectTarget

# Without collecting garbage while it imports, as the command line does.
_PROGRAM = """
import gc, os, sys
gc.disable()
from tidbbackup.storage.client import Patience
from tidbbackup.worker.run import Limits
from tidbbackup.worker.main import main
gc.freeze()
gc.enable()
stall = float(os.environ.pop("TEST_STALL"))
patience = Patience(connect_timeout=3, read_timeout=10, attempts=2, part_delays=(0.1,))
renewal = float(os.environ.pop("TEST_RENEWAL"))
patient = {"lock_wait": float(os.environ.pop("TEST_LOCK_WAIT")), "idle": float(os.environ.pop("TEST_IDLE"))}
patient |= {"put_back": float(os.environ.pop("TEST_PUT_BACK")), "connect": 2, "lock_pauses": (1, 2)}
patient |= {"keep_log": float(os.environ.pop("TEST_KEEP_LOG"))}
limits = Limits(stall=stall, renewal=renewal, patience=patience, **patient)
sys.exit(main(sys.argv[1], os.environ, limits, leave=os._exit))
"""


@frozen
class Ended:
    """How a run of the worker ended."""

    code: int
    result: WorkerResult
    log: str
    message: bytes
    """The termination message as it was written."""


@define
class Worker:
    """One Backup's worker: change what a test is about, then run it."""

    folder: Path
    store: ObjectStore
    target: ObjectTarget
    database: DatabaseTarget
    password: str = field(repr=False)
    dump: DumpSettings = field(factory=DumpSettings)
    restore: RestoreSettings = field(factory=RestoreSettings)
    data: Data = Data.KEEP
    """What a cleaning does with archive and manifest."""
    keys_in_secret: bool = True
    uid: str = "0123456789abcdef"
    gc_life_time: str = ""
    stall: float = 60
    staging_bytes: int = 0
    """What the volume was asked to have; 0: unknown."""
    renewal: float = 60
    lock_wait: float = 30
    idle: float = 60
    put_back: float = 3
    keep_log: float = 15
    """What is told of a log must not hang on how busy this machine is."""
    environ: dict[str, str] = field(factory=dict)
    """Set on top of everything else."""
    by: tuple[str, ...] = ()
    """The command that starts it; ends by becoming it."""

    @property
    def staging(self) -> Path:
        """The staging volume."""
        return self.folder / "staging"

    def environment(self, aftermath: Aftermath = NO_AFTERMATH) -> dict[str, str]:
        """What a Job would give."""
        for name in ("staging", "run"):
            (self.folder / name).mkdir(exist_ok=True)
        task = WorkerTask(
            backup="demo",
            namespace="default",
            uid=self.uid,
            target=self.target,
            database=self.database,
            dump=self.dump,
            restore=self.restore,
            stagingBytes=self.staging_bytes,
            gcLifeTime=self.gc_life_time,
            keysInSecret=self.keys_in_secret,
            aftermath=aftermath,
        )
        return {
            # dumpling is beside this Python, see tests/cluster/dumpling.py.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
            "TIDBBACKUP_TASK": encode_task(task),
            "DB_PASSWORD": self.password,
            "AWS_ACCESS_KEY_ID": self.store.access_key,
            "AWS_SECRET_ACCESS_KEY": self.store.secret_key,
            "STAGING_DIR": str(self.staging),
            "RUN_DIR": str(self.folder / "run"),
            "DB_TLS_DIR": str(self.folder / "db-tls"),
            "S3_TLS_DIR": str(self.folder / "s3-tls"),
            "TERMINATION_LOG": str(self.folder / "termination-log"),
            "LOG_LEVEL": "DEBUG",
            "TEST_STALL": str(self.stall),
            "TEST_RENEWAL": str(self.renewal),
            "TEST_LOCK_WAIT": str(self.lock_wait),
            "TEST_IDLE": str(self.idle),
            "TEST_PUT_BACK": str(self.put_back),
            "TEST_KEEP_LOG": str(self.keep_log),
            **self.environ,
        }

    async def start(self, action: str = "dump") -> asyncio.subprocess.Process:
        """Start a dump, a restore, or the parts of an aftermath by their names; its log is in folder/log."""
        parts = () if action in ("dump", "restore") else tuple(Part(name) for name in action.split())
        verb = "aftermath" if parts else action
        (self.folder / "termination-log").unlink(missing_ok=True)
        with (self.folder / "log").open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *(*self.by, sys.executable, "-c", _PROGRAM, verb),
                env=self.environment(Aftermath(parts, self.data)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ended(self, process: asyncio.subprocess.Process) -> Ended:
        """Wait for its end and read its last words."""
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        path = self.folder / "termination-log"
        message = path.read_bytes() if path.exists() else b""
        result = decode_result(message.decode())
        log = (self.folder / "log").read_text(errors="replace")
        assert result is not None, f"no last words, exit {code}:\n{log}"
        return Ended(code, result, log, message)

    async def run(self, action: str = "dump") -> Ended:
        """Start it and wait for its end."""
        return await self.ended(await self.start(action))

    async def until(self, text: str, process: asyncio.subprocess.Process) -> None:
        """Wait until its log holds a text."""
        while text not in (self.folder / "log").read_text(errors="replace"):
            assert process.returncode is None, (self.folder / "log").read_text(errors="replace")
            await asyncio.sleep(0.02)

    async def start_until(self, reached: asyncio.Event) -> asyncio.subprocess.Process:
        """Start a dump and wait until it has come that far."""
        process = await self.start()
        waiting = [asyncio.ensure_future(reached.wait()), asyncio.ensure_future(process.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        waiting[0].cancel()
        assert process.returncode is None, (self.folder / "log").read_text()
        return process

    async def kept_log(self) -> str:
        """The log in the bucket; empty if there is none."""
        there = await self.store.objects(self.target.bucket, self.target.log_key)
        return (await self.store.get(self.target.bucket, self.target.log_key)).decode() if there else ""

    async def left_in_bucket(self) -> tuple[set[str], list[tuple[str, str]]]:
        """Keys of objects, beside the log, and open uploads in the bucket."""
        objects = await self.store.objects(self.target.bucket)
        return set(objects) - {self.target.log_key}, await self.store.uploads(self.target.bucket)

    def into(self, target: Database, folder: Path, settings: RestoreSettings, port: int = 0) -> "Worker":
        """The worker that loads this one's archive into a server; `port`: another way to that server."""
        folder.mkdir(exist_ok=True)
        login = DatabaseTarget(target.host, port or target.port, target.user)
        return attrs.evolve(self, folder=folder, database=login, password=target.password, restore=settings)

    def retarget(self, **changes: Any) -> None:
        """Change fields of the target."""
        self.target = attrs.evolve(self.target, **changes)


def backing_up(
    source: Database,
    store: ObjectStore,
    bucket: str,
    key: str,
    folder: Path,
    dump: DumpSettings | None = None,
) -> Worker:
    """A worker whose archive of a server goes there."""
    target = ObjectTarget("ceph", bucket, key, endpoint=store.endpoint, pathStyle=True)
    login = DatabaseTarget(source.host, source.port, source.user)
    return Worker(folder, store, target, login, source.password, dump or DumpSettings())


async def archive_of(source: Database, store: ObjectStore, bucket: str, key: str, folder: Path) -> Worker:
    """The worker that has just made this archive of a server."""
    worker = backing_up(source, store, bucket, key, folder)
    ended = await worker.run()
    assert ended.code == 0, ended.log
    return worker
