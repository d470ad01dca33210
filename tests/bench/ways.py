"""The ways to be compared, each from a database into a bucket or back, with the same dumpers and options.

Each runs its programs one after the other as they would run in a pod. Knows no measuring.
"""

import asyncio
import base64
import json
import os
import shutil
import sys
from pathlib import Path

from attrs import frozen

from tests.bench.data import DATABASE, TABLES
from tests.cluster import build, dumpling
from tests.cluster.database import Database
from tests.cluster.object_store import REGION, ObjectStore
from tidbbackup.model.compression import Compression
from tidbbackup.model.contract.task import (
    DatabaseTarget,
    DumperName,
    DumpSettings,
    WorkerTask,
    encode_task,
)
from tidbbackup.model.providers import ObjectTarget

BUCKET = "bench"
WORKER = "tidbbackup"
"""How its process is called."""
THREADS = 4
OPTIONS = (f"--threads={THREADS}", "--rows=100000", "--long-query-guard=3600", "--verbose=3")
MYDUMPER = DumpSettings(options=OPTIONS)


@frozen
class Place:
    """Where data comes from, where it goes, and a folder for everything in between."""

    database: Database
    store: ObjectStore
    folder: Path

    @property
    def staging(self) -> Path:
        """What would be the staging volume."""
        return self.folder / "staging"


async def dump_alone(place: Place) -> None:
    """mydumper and nothing else."""
    secret = place.folder / "my.cnf"
    secret.touch(0o600)
    server = place.database
    secret.write_text(
        f"[client]\nhost={server.host}\nport={server.port}\nuser={server.user}\npassword={server.password}\n"
    )
    argv = ("mydumper", f"--defaults-file={secret}", f"--outputdir={place.staging / 'dump'}")
    await _run(*argv, f"--regex=^{DATABASE}\\.", *OPTIONS)


async def dumpling_alone(place: Place) -> None:
    """The worker's dumpling and nothing else."""
    server, folder = place.database, place.staging / "dump"
    folder.mkdir()
    names = [f"sbtest{number}" for number in range(1, TABLES + 1)]
    ((tso,),) = await server.sql("BEGIN; SELECT @@tidb_current_ts")
    told = {
        "Host": server.host,
        "Port": server.port,
        "User": server.user,
        "Password": base64.b64encode(server.password.encode()).decode(),
        "TSO": str(tso),
        "Variables": {"time_zone": "+00:00"},
        "Folder": str(folder),
        "Tables": [{"Database": DATABASE, "Table": name, "Stem": f"{DATABASE}.{name}"} for name in names],
        "Threads": THREADS,
        "CPUs": os.cpu_count(),
        "Memory": 160 << 20,
        "FileSize": 64 << 20,
    }
    await _run(build.program(dumpling.RECIPE), stdin=json.dumps(told).encode())


async def original(place: Place) -> None:
    """As the original does it: dump, archive on the volume, copy to a temporary key, move it."""
    await dump_alone(place)
    archive = place.staging / "dump.tgz"
    read, write = os.pipe()
    with archive.open("wb") as out:
        tar = await asyncio.create_subprocess_exec(
            "tar", "-cf", "-", "-C", place.staging, "dump", stdout=write
        )
        os.close(write)
        pigz = await asyncio.create_subprocess_exec("pigz", "-3", "-p", "2", stdin=read, stdout=out)
        os.close(read)
        codes = await tar.wait(), await pigz.wait()
    if codes != (0, 0):
        raise RuntimeError(f"tar and pigz ended with {codes}")
    final = f":s3:{BUCKET}/original.tgz"
    await _rclone(place, "copyto", archive, f"{final}.tmp")
    await _rclone(place, "moveto", f"{final}.tmp", final)


async def load_as_original(place: Place) -> None:
    """As the original does it: copy the archive to the volume, unpack it there, load the folder."""
    archive = place.staging / "archive.tgz"
    await _rclone(place, "copyto", f":s3:{BUCKET}/ours.tgz", archive)
    await _run("tar", "-xzf", archive, "-C", place.staging)
    secret = place.folder / "my.cnf"
    secret.touch(0o600)
    secret.write_text(f"[myloader]\npassword={place.database.password}\n")
    server = place.database
    await _run(
        *("myloader", f"--defaults-file={secret}", f"--directory={place.staging / 'ours'}", "--threads=4"),
        *(f"--host={server.host}", f"--port={server.port}", f"--user={server.user}"),
    )


async def _rclone(place: Place, *arguments: str | Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "RCLONE_CONFIG": str(place.folder / "rclone.conf"),
        "RCLONE_S3_PROVIDER": "Minio",
        "RCLONE_S3_ENDPOINT": place.store.endpoint,
        "RCLONE_S3_REGION": REGION,
        "RCLONE_S3_ACCESS_KEY_ID": place.store.access_key,
        "RCLONE_S3_SECRET_ACCESS_KEY": place.store.secret_key,
    }
    await _run(str(Path(sys.executable).parent / "rclone"), "--quiet", *arguments, env=env)


async def ours(place: Place) -> None:
    """Our worker with gzip."""
    await _worker(place, Compression.GZIP)


async def ours_dumpling(place: Place) -> None:
    """Our worker with gzip, and dumpling."""
    settings = DumpSettings((f"--threads={THREADS}",), dumper=DumperName.DUMPLING)
    await _worker(place, Compression.GZIP, settings=settings)


async def ours_zstd(place: Place) -> None:
    """Our worker with zstd."""
    await _worker(place, Compression.ZSTD)


async def restore(place: Place) -> None:
    """Our worker's restore."""
    await _worker(place, Compression.GZIP, "restore")


async def _worker(
    place: Place, compression: Compression, action: str = "dump", settings: DumpSettings = MYDUMPER
) -> None:
    """As a Job would start it."""
    server, store = place.database, place.store
    key = f"ours{compression.extension}"
    target = ObjectTarget("minio", BUCKET, key, endpoint=store.endpoint, pathStyle=True)
    task = WorkerTask(
        backup="bench",
        namespace="default",
        uid="0123456789abcdef",
        target=target,
        database=DatabaseTarget(server.host, server.port, server.user),
        dump=settings,
    )
    run_folder = place.folder / "run"
    run_folder.mkdir(exist_ok=True)
    env = {
        # dumpling is beside this Python, see tests/cluster/dumpling.py.
        "PATH": f"{os.environ['PATH']}:{Path(sys.executable).parent}",
        "TIDBBACKUP_TASK": encode_task(task),
        "DB_PASSWORD": server.password,
        "AWS_ACCESS_KEY_ID": store.access_key,
        "AWS_SECRET_ACCESS_KEY": store.secret_key,
        "STAGING_DIR": str(place.staging),
        "RUN_DIR": str(run_folder),
        "TERMINATION_LOG": str(place.folder / "termination-log"),
        "POD_IP": "127.0.0.1",
    }
    program = str(Path(sys.executable).parent / "tidbbackup")
    await _run(program, "worker", action, env=env)


async def clear(place: Place) -> None:
    """Leave nothing of one way to the next."""
    for name in ("original.tgz", "original.tgz.tmp", "ours.tgz", "ours.tar.zst", "ours.manifest.json"):
        async with place.store.client() as client:
            await client.delete_object(Bucket=BUCKET, Key=name)
    await asyncio.to_thread(empty, place)


def empty(place: Place) -> None:
    """Leave nothing in the folder."""
    shutil.rmtree(place.folder, ignore_errors=True)
    place.staging.mkdir(parents=True)


async def _run(*argv: str | Path, env: dict[str, str] | None = None, stdin: bytes = b"") -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv, env=env, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}:\n{out.decode()[-3000:]}")
