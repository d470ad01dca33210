"""`tidbbackup restore` and `tidbbackup list`: without a cluster, as a person does it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.comparison import content
from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.sample_schema import sample_schema
from tests.worker.worker_process import archive_of

pytestmark = pytest.mark.integration

BUCKET, KEY = "restore-here", "nightly/backup-1.tgz"
PROGRAM = Path(sys.executable).with_name("tidbbackup")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(
    servers: Processes, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    """A server whose archive is in the bucket."""
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="restore-here-source") as server:
        await server.load(sample_schema())
        await archive_of(server, object_store, BUCKET, KEY, tmp_path_factory.mktemp("made"))
        yield server


async def said(
    store: ObjectStore, *arguments: str, password: str = "", folder: Path = Path("/")
) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *(str(PROGRAM), *arguments, "--provider", "ceph", "--endpoint", store.endpoint),
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DB_PASSWORD": password,
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert store.secret_key not in out.decode() + err.decode()
    return process.returncode or 0, out.decode(), err.decode()


async def test_an_archive_is_found_and_loaded(
    source: Database, object_store: ObjectStore, servers: Processes, tmp_path: Path
) -> None:
    code, out, err = await said(object_store, "list", f"s3://{BUCKET}/nightly", "-o", "json")
    assert (code, err) == (0, "")
    (found,) = json.loads(out)
    assert found["whole"] == "yes"
    assert found["databases"] == ["mysql_app", "shop", "test"]

    async with mariadb(servers, name="restore-here-target") as target:
        url, to = found["archive"], f"root@127.0.0.1:{target.port}"
        one = ["restore", url, "--to", to, "--filter", "shop.products"]
        code, out, err = await said(object_store, *one, password=target.password, folder=tmp_path)
        assert (code, err) == (0, "")
        assert out.splitlines()[1:] == [
            "  1 tables with 5 rows, as many as in the archive",
            "  databases: shop",
        ]
        code, out, err = await said(object_store, "restore", url, "--to", to, password=target.password)
        assert (code, out) == (1, "")
        assert "TargetNotEmpty in step load: " in err
        whole = ["restore", url, "--to", to, "--overwrite", "tables"]
        code, out, err = await said(object_store, *whole, password=target.password)
        assert (code, err) == (0, "")
        assert f"{found['rows']} rows, as many as in the archive" in out
        assert await content(target) == await content(source)
        code, out, err = await said(object_store, *whole, password="wrong")
        assert (code, out) == (1, "")
        assert "LoginFailed in step preflight: " in err


async def test_two_thousand_archives_are_listed(object_store: ObjectStore, source: Database) -> None:
    manifest = await object_store.get(BUCKET, "nightly/backup-1.manifest.json")
    async with object_store.client() as client:

        async def put(number: int) -> None:
            for end, body in ((".tgz", b"x"), (".manifest.json", manifest)):
                await client.put_object(Bucket=BUCKET, Key=f"many/backup-{number}{end}", Body=body)

        for start in range(0, 2000, 50):
            await asyncio.gather(*map(put, range(start, start + 50)))
    code, out, err = await said(object_store, "list", f"s3://{BUCKET}/many/")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 2001
    assert lines[0].split() == ["CREATED", "SIZE", "ROWS", "DATABASES", "SERVER", "WHOLE", "ARCHIVE"]
    assert f"1 bytes of {json.loads(manifest)['size']}" in lines[1]
