"""The memory of a restore: less than what it loads."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from isal import igzip

from tests.bench.measure import peak_rss
from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.worker.worker_process import Ended, Worker, backing_up
from tidbbackup.worker.archive.manifest import Manifest
from tidbbackup.worker.archive.tar import PackedFile

pytestmark = pytest.mark.integration

BUCKET = "restored-memory"
SIZE = 300_000_000
"""Bytes of SQL."""
_GZIP: Any = igzip.open
"""It has no types."""
_ROWS = b",\n".join(b"(%d,'%0190d')" % (number, number) for number in range(5000))
_FILE = (b"INSERT INTO `t` VALUES\n" + _ROWS + b";\n") * 60


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    """A server to load into."""
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="restored-memory") as found:
        yield found


async def put_archive(worker: Worker, size: int) -> None:
    """Store an archive of about so many bytes of SQL, with its manifest."""
    files = {"d-schema-create.sql": b"CREATE DATABASE `d`;\n"}
    files["d.t-schema.sql"] = b"CREATE TABLE `t` (`id` int, `v` varchar(190)) ENGINE=MyISAM;\n"
    files |= {f"d.t.{number:05}.sql": _FILE for number in range(size // len(_FILE))}
    out = io.BytesIO()
    with _GZIP(out, "wb", compresslevel=1) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"backup-1/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    archive = out.getvalue()
    moment = datetime(2026, 11, 25, tzinfo=UTC)
    manifest = Manifest(
        *("uid", worker.target.key, len(archive), sha256(archive).hexdigest(), "", moment, moment),
        *("mydumper", "MariaDB"),
        files=tuple(PackedFile(name, len(content)) for name, content in files.items()),
        databases=(),
    )
    await worker.store.put(BUCKET, worker.target.key, archive)
    await worker.store.put(BUCKET, worker.target.manifest_key, msgspec.json.encode(manifest))


async def peak(worker: Worker) -> tuple[int, Ended]:
    """The most memory that a restore takes, in bytes, and how it ends."""
    process, most = await worker.start("restore"), 0
    ending = asyncio.ensure_future(worker.ended(process))
    while not ending.done():
        try:
            most = max(most, peak_rss(process.pid))
        except (OSError, ValueError):
            break
        await asyncio.sleep(0.02)
    return most, await ending


async def test_it_has_less_memory_than_there_is_to_load(
    server: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    worker = backing_up(server, object_store, BUCKET, "backup-1.tgz", tmp_path)
    await put_archive(worker, SIZE)

    most, ended = await peak(worker)

    assert ended.code == 0, ended.log
    assert ended.result.rows == SIZE // len(_FILE) * 60 * 5000
    # Its INSERTs are sent in parts.
    wrong = "SELECT COUNT(DISTINCT id), SUM(v <> LPAD(id, 190, '0')) FROM d.t"
    assert await server.sql(wrong) == [(5000, 0)]
    assert most < 256 << 20
