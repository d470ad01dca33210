"""`tidbbackup verify` on archives of the real worker in a real S3 server."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore
from tests.worker.worker_process import Worker
from tidbbackup.model.storage import ObjectTarget
from tidbbackup.model.task import DatabaseTarget, DumpSettings
from tidbbackup.storage.client import Patience
from tidbbackup.verify import Place, verify

pytestmark = pytest.mark.integration

BUCKET, KEY, MANIFEST = "verified", "some/backup-1.tgz", "some/backup-1.manifest.json"


async def verified(store: ObjectStore, key: str = KEY) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    keys = {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
    place, patience = Place("ceph", store.endpoint), Patience(attempts=1)
    code = await asyncio.to_thread(verify, f"s3://{BUCKET}/{key}", place, keys, out, err, patience)
    assert store.secret_key not in out.getvalue() + err.getvalue()
    return code, out.getvalue(), err.getvalue()


async def test_what_is_whole_and_what_is_not(
    database: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    await object_store.create_bucket(BUCKET)
    await database.load(
        [
            "CREATE OR REPLACE DATABASE verified",
            "CREATE TABLE verified.t (id INT PRIMARY KEY, a CHAR(200))",
            "INSERT INTO verified.t SELECT seq, MD5(seq) FROM verified.seq_1_to_60000",
        ]
    )
    target = ObjectTarget("ceph", BUCKET, KEY, endpoint=object_store.endpoint, pathStyle=True)
    login = DatabaseTarget(database.host, database.port, database.user)
    settings = DumpSettings(tableFilter=("verified.*",))
    ended = await Worker(tmp_path, object_store, target, login, database.password, settings).run()
    assert ended.code == 0, ended.log
    archive, body = await object_store.get(BUCKET, KEY), await object_store.get(BUCKET, MANIFEST)
    manifest: dict[str, Any] = json.loads(body)

    code, out, err = await verified(object_store)
    assert (code, err) == (0, "")
    assert f"s3://{BUCKET}/{KEY} is whole" in out
    assert "verified: 1 tables and views" in out
    assert f"sha256:{manifest['sha256']}" in out

    async def told(words: str, *, stored: bytes = archive, beside: bytes = body) -> None:
        await object_store.put(BUCKET, KEY, stored)
        await object_store.put(BUCKET, MANIFEST, beside)
        code, out, err = await verified(object_store)
        assert (code, out) == (1, "")
        assert words in err, err

    await told("is cut off", stored=archive[:-100])
    flipped = bytearray(archive)
    flipped[len(archive) // 2] ^= 4
    await told("has changed: its sha256 is", stored=bytes(flipped))
    await told("is longer than it was", stored=archive + archive)
    await told("is of format 9", beside=json.dumps({**manifest, "formatVersion": 9}).encode())
    files = [*manifest["files"], {"name": "more", "size": 1}]
    await told("lacks files of its manifest: more", beside=json.dumps({**manifest, "files": files}).encode())
    async with object_store.client() as client:
        await client.delete_object(Bucket=BUCKET, Key=MANIFEST)
    assert "never completed" in (await verified(object_store))[2]
    await object_store.put(BUCKET, MANIFEST, body)
    async with object_store.client() as client:
        await client.delete_object(Bucket=BUCKET, Key=KEY)
    assert "the archive has been deleted" in (await verified(object_store))[2]
    code, _, err = await verified(object_store, "nowhere.tgz")
    assert (code, "is the address right" in err) == (1, True)
    async with object_store.client() as client:
        await client.put_object(Bucket=BUCKET, Key=KEY, Body=archive, StorageClass="GLACIER")
    code, _, err = await verified(object_store)
    assert (code, "is in class GLACIER" in err) == (1, True), err
    await database.sql("DROP DATABASE verified")
