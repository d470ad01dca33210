"""The whole way: a database with everything odd, dumped into S3, loaded into an empty server, compared.

Here is also what worker/dump.py and worker/pipeline/overlap.py promise.
"""

import asyncio
import io
import json
import re
import tarfile
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster import rclone_client
from tests.cluster.comparison import content
from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.worker.odd_schema import DATABASES, odd_schema
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.worker.archive.check import check_archive
from tidbbackup.worker.archive.manifest import read_manifest

pytestmark = pytest.mark.integration

MIB = 1 << 20
BUCKET = "round-trip"
KEY = "some/prefix/backup-20261123T030000Z-01234567.tgz"
UID = "0123456789abcdef"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes) -> AsyncIterator[Database]:
    """A server with the odd databases, in a SQL mode that spoils naive dumps."""
    async with mariadb(servers, name="odd-source") as server:
        await server.load(odd_schema())
        await server.sql("SET GLOBAL sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def destination(servers: Processes) -> AsyncIterator[Database]:
    """An empty server to load into."""
    async with mariadb(servers, name="odd-destination") as server:
        await server.sql("CREATE USER somebody@'%'")
        yield server


async def test_the_archive_loaded_by_myloader_equals_the_source(
    source: Database, destination: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    await object_store.create_bucket(BUCKET)
    worker = backing_up(source, object_store, BUCKET, KEY, tmp_path)
    target = worker.target

    ended = await worker.run()

    assert ended.code == 0, ended.log
    result = ended.result
    assert (result.outcome, result.path) == (Outcome.COMPLETE, f"s3://{BUCKET}/{KEY}")
    assert result.databaseCount == len(DATABASES)
    assert set(result.databases) == set(DATABASES)
    objects = await object_store.objects(BUCKET)
    assert objects.keys() == {KEY, target.manifest_key, target.log_key}
    assert await object_store.uploads(BUCKET) == []
    archive = tmp_path / "archive.tgz"
    archive.write_bytes(await object_store.get(BUCKET, KEY))
    assert await rclone_client.read(object_store, "Ceph", BUCKET, KEY) == archive.read_bytes()
    assert result.size == objects[KEY] == archive.stat().st_size
    assert result.checksum == f"sha256:{sha256(archive.read_bytes()).hexdigest()}"
    folder = unpack(archive, tmp_path)
    assert folder.name == target.top
    check_manifest(json.loads(await object_store.get(BUCKET, target.manifest_key)), ended.result.size, folder)
    assert list((worker.staging / "dump").iterdir()) == []

    await load(folder, destination)
    # myloader makes a database only with its first table; the archive has it all the same.
    await destination.sql((folder / "empty_one-schema-create.sql").read_text())

    await source.sql("SET GLOBAL sql_mode=''")
    before, after = await content(source), await content(destination)
    assert after.databases == before.databases
    assert after.tables.keys() == before.tables.keys()
    for name, table in before.tables.items():
        assert after.tables[name] == table, name
    assert after.programs.keys() == before.programs.keys()
    for program, definition in before.programs.items():
        assert after.programs[program] == definition, program


async def test_an_archive_of_zstd_is_whole(
    source: Database, header_store: ObjectStore, tmp_path: Path
) -> None:
    await header_store.create_bucket("zstd")
    worker = backing_up(source, header_store, "zstd", "k/backup-6.tar.zst", tmp_path)
    target = worker.target
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert await worker.left_in_bucket() == ({target.key, "k/backup-6.manifest.json"}, [])
    assert (await header_store.head("zstd", target.key))["ContentType"] == "application/zstd"
    archive = await header_store.get("zstd", target.key)
    assert ended.result.checksum == f"sha256:{sha256(archive).hexdigest()}"
    manifest = read_manifest(await header_store.get("zstd", target.manifest_key))
    verdict = check_archive(io.BytesIO(archive), manifest, "backup-6")
    assert (verdict.files, verdict.problems) == (len(manifest.files), ())


async def test_class_acl_and_encryption_of_the_task_are_those_of_the_archive(
    source: Database, header_store: ObjectStore, tmp_path: Path
) -> None:
    await header_store.create_bucket("asked-for")
    target = ObjectTarget(
        *("aws", "asked-for", "k/backup-5.tgz"),
        endpoint=header_store.endpoint,
        pathStyle=True,
        acl="bucket-owner-full-control",
        storageClass="STANDARD_IA",
        sse="AES256",
    )
    login = DatabaseTarget(source.host, source.port, source.user)
    ended = await Worker(tmp_path, header_store, target, login, source.password).run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    head = await header_store.head("asked-for", target.key)
    assert (head["StorageClass"], head["ServerSideEncryption"]) == ("STANDARD_IA", "AES256")
    assert head["ContentLength"] == ended.result.size
    for key in (target.manifest_key, target.log_key):
        beside = await header_store.head("asked-for", key)
        assert "StorageClass" not in beside
        assert (beside["ServerSideEncryption"], beside["Metadata"]["tidbbackup-uid"]) == ("AES256", UID)


def unpack(archive: Path, into: Path) -> Path:
    """Unpack with the standard library; the one top directory."""
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        # An attribute, not an argument: Debian 12's Python knows neither and minds only the latter.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(into / "unpacked")  # noqa: S202 - of our own making
    assert all((m.uid, m.gid, m.uname, m.gname) == (0, 0, "", "") for m in members)
    tops = {member.name.split("/")[0] for member in members}
    assert len(tops) == 1
    return into / "unpacked" / tops.pop()


def check_manifest(manifest: dict[str, object], size: int, folder: Path) -> None:
    """The manifest tells the archive's content."""
    assert manifest["formatVersion"] == 1
    assert manifest["uid"] == UID
    assert manifest["size"] == size
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    listed = manifest["files"]
    assert isinstance(listed, list)
    assert {entry["name"]: entry["size"] for entry in listed} == sizes
    assert manifest["serverVersion"]
    # The server has a binary log: this is where the dump stands in it.
    file, _, offset = str(manifest["binlogPosition"]).partition(":")
    assert file.startswith("binlog.")
    assert int(offset) > 0
    assert re.fullmatch(r"\d+-\d+-\d+", str(manifest["gtid"]))
    assert str(manifest["dumper"]).startswith("mydumper")


async def load(folder: Path, server: Database) -> None:
    """Load a folder with myloader; it has to find nothing wrong."""
    process = await asyncio.create_subprocess_exec(
        "myloader",
        f"--directory={folder}",
        *(f"--host={server.host}", f"--port={server.port}", f"--user={server.user}"),
        *(f"--password={server.password}", "--threads=2", "--verbose=2"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert (process.returncode, out.decode()) == (0, "")
