"""`tidbbackup verify` on an archive of the real worker, in real S3 servers."""

import asyncio
import io
import json
import re
import ssl
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from attrs import frozen

from tests.cluster.certificates import write_certificates
from tests.cluster.database import mariadb
from tests.cluster.fault_proxy import Fault, fault_proxy
from tests.cluster.noise import noise
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.relay import slow_server
from tests.worker.worker_process import archive_of
from tidbbackup.model.units import format_size
from tidbbackup.place import Place
from tidbbackup.storage.client import Patience
from tidbbackup.storage.download import RANGE_BYTES
from tidbbackup.verify import verify

pytestmark = pytest.mark.integration

BUCKET, KEY, MANIFEST = "verified", "some/backup-1.tgz", "some/backup-1.manifest.json"
MIB = 1 << 20


@frozen
class Made:
    """One archive and its manifest."""

    archive: bytes
    manifest: bytes

    async def put(self, store: ObjectStore, **headers: str) -> None:
        """Lay both down in a store."""
        async with store.client() as client:
            await client.put_object(Bucket=BUCKET, Key=KEY, Body=self.archive, **headers)
            await client.put_object(Bucket=BUCKET, Key=MANIFEST, Body=self.manifest)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(
    servers: Processes,
    object_store: ObjectStore,
    header_store: ObjectStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    """Of 8 MiB, as the worker makes it; both stores have the bucket."""
    for store in (object_store, header_store):
        await store.create_bucket(BUCKET)
    async with mariadb(servers, name="verified-source") as server:
        await server.load(["CREATE DATABASE shop", *noise(8)])
        await archive_of(server, object_store, BUCKET, KEY, tmp_path_factory.mktemp("verified"))
    return Made(await object_store.get(BUCKET, KEY), await object_store.get(BUCKET, MANIFEST))


async def verified(
    store: ObjectStore, key: str = KEY, *, endpoint: str = "", ca: Path | None = None, progress: bool = False
) -> tuple[int, str, str]:
    """Exit code, standard output, standard error; a busy machine's progress only where that is asked for."""
    out, err = io.StringIO(), io.StringIO()
    keys = {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
    place, patience = Place("ceph", endpoint or store.endpoint, ca=ca), Patience(attempts=1, part_delays=())
    code = await asyncio.to_thread(verify, f"s3://{BUCKET}/{key}", place, keys, out, err, patience)
    assert store.secret_key not in out.getvalue() + err.getvalue()
    lines = err.getvalue().splitlines(keepends=True)
    said = (line for line in lines if progress or not line.startswith("verifying: "))
    return code, out.getvalue(), "".join(said)


async def test_what_is_whole_and_what_is_not(object_store: ObjectStore, made: Made) -> None:
    archive, body = made.archive, made.manifest
    manifest: dict[str, Any] = json.loads(body)
    await made.put(object_store)

    code, out, err = await verified(object_store)
    assert (code, err) == (0, "")
    assert f"s3://{BUCKET}/{KEY} is whole" in out
    assert "shop: 1 tables and views" in out
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


async def test_an_archive_class_and_what_is_restored_from_it(header_store: ObjectStore, made: Made) -> None:
    await made.put(header_store, StorageClass="GLACIER")
    code, out, err = await verified(header_store)
    assert (code, out) == (1, "")
    assert "is in class GLACIER, from which nothing can be read at once: restore it first" in err

    async with header_store.client() as client:
        await client.restore_object(Bucket=BUCKET, Key=KEY, RestoreRequest={"Days": 1})
        assert 'ongoing-request="false"' in (await client.head_object(Bucket=BUCKET, Key=KEY))["Restore"]
    code, out, err = await verified(header_store)
    assert (code, err) == (0, "")
    assert "is whole" in out


async def test_over_tls_with_the_ca_that_is_named(
    object_store: ObjectStore, made: Made, tmp_path: Path
) -> None:
    await made.put(object_store)
    certificates = write_certificates(tmp_path / "tls", ["127.0.0.1"])
    other = write_certificates(tmp_path / "other", ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    async with fault_proxy("127.0.0.1", object_store.port, http=False, tls=context) as proxy:
        endpoint = f"https://127.0.0.1:{proxy.port}"
        code, out, err = await verified(object_store, endpoint=endpoint, ca=certificates.ca)
        assert (code, err) == (0, "")
        assert "is whole" in out
        for ca in (other.ca, None):
            code, out, err = await verified(object_store, endpoint=endpoint, ca=ca)
            assert (code, out) == (1, "")
            assert "certificate" in err.lower()


async def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    object_store: ObjectStore, made: Made
) -> None:
    await made.put(object_store)
    async with fault_proxy("127.0.0.1", object_store.port) as proxy:
        proxy.faults += [
            Fault(matches="backup-1.tgz", excludes="HEAD", cut_at=MIB),
            Fault(matches="backup-1.tgz", excludes="HEAD", cut_at=MIB // 2, reset=True),
        ]
        code, out, err = await verified(object_store, endpoint=f"http://127.0.0.1:{proxy.port}")
        assert (code, err) == (0, ""), proxy.requests
        assert "is whole" in out
        methods = [line.split()[0] for line in proxy.requests if "backup-1.tgz" in line]
        ranges = -(-len(made.archive) // RANGE_BYTES)
        assert methods == ["HEAD", *["GET"] * (ranges + 2)]
        assert proxy.faulted == 2

        # Where it brings nothing more it is given up.
        proxy.faults = [Fault(matches="backup-1.tgz", excludes="HEAD", cut_at=MIB)]
        proxy.faults.append(Fault(matches="backup-1.tgz", excludes="HEAD", cut_at=0, times=None))
        code, out, err = await verified(object_store, endpoint=f"http://127.0.0.1:{proxy.port}")
        assert (code, out) == (1, "")
        assert f"reading s3://{BUCKET}/some/backup-1.tgz" in err


async def test_another_archive_meanwhile_is_not_mixed_with_the_first(
    header_store: ObjectStore, made: Made
) -> None:
    await made.put(header_store)
    async with fault_proxy("127.0.0.1", header_store.port) as proxy, header_store.client() as client:
        proxy.faults.append(Fault(matches="backup-1.tgz", excludes="HEAD", cut_at=MIB))
        proxy.faults.append(Fault(matches="backup-1.tgz", excludes="HEAD", delay=2))

        async def replaced() -> None:
            while proxy.faulted < 2:  # noqa: ASYNC110 - the proxy tells nobody
                await asyncio.sleep(0.01)
            await client.put_object(Bucket=BUCKET, Key=KEY, Body=b"another archive")

        replacing = asyncio.create_task(replaced())
        code, out, err = await verified(header_store, endpoint=f"http://127.0.0.1:{proxy.port}")
        await replacing
    assert (code, out) == (1, "")
    assert "has been replaced or deleted while it was read" in err


async def test_it_says_how_far_it_is(object_store: ObjectStore, made: Made) -> None:
    await made.put(object_store)
    async with slow_server("127.0.0.1", object_store.port, 2 * MIB) as port:
        code, _, err = await verified(object_store, endpoint=f"http://127.0.0.1:{port}", progress=True)
    assert code == 0, err
    size = re.escape(format_size(len(made.archive)))
    told = [re.fullmatch(rf"verifying: (\d+)% \(.* of {size}\)", line) for line in err.splitlines()]
    percents = [int(each[1]) for each in told if each]
    assert len(percents) == len(told) >= 1, err
    assert percents == sorted(percents)
    assert 0 < percents[0] < 100
