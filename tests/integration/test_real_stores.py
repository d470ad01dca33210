"""The worker against a real MinIO and a real Ceph: archives are taken and given back, refusals are named."""

import asyncio
import json
import shutil
import signal
import tarfile
from collections.abc import AsyncIterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio

from tests.cluster import rclone_client
from tests.cluster.certificates import write_certificates
from tests.cluster.comparison import Content, content
from tests.cluster.database import Database, mariadb
from tests.cluster.noise import noise
from tests.cluster.processes import Processes
from tests.cluster.restore import load_archive
from tests.cluster.sample_schema import sample_schema
from tests.integration.real_stores import RealStore, real_stores
from tests.worker.cut_proxy import cut_proxy
from tests.worker.worker_process import Ended, Worker
from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Data
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.model.providers import ObjectTarget, Transfer

pytestmark = [pytest.mark.integration, pytest.mark.s3]

MIB = 1 << 20
EVERY_WAY = ("minio-http", "minio-https", "ceph-http", "ceph-https")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stores(servers: Processes) -> AsyncIterator[dict[str, RealStore]]:
    async with real_stores(servers) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes) -> AsyncIterator[Database]:
    """The shop, and 40 MiB that cannot be compressed: three parts."""
    async with mariadb(servers, name="real-source") as server:
        await server.load([*sample_schema(), *noise(40)])
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def before(source: Database) -> Content:
    """What is in the source."""
    return await content(source)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def destination(servers: Processes) -> AsyncIterator[Database]:
    """A server to load into."""
    async with mariadb(servers, name="real-destination") as server:
        yield server


@pytest.fixture(params=EVERY_WAY)
def real(stores: dict[str, RealStore], request: pytest.FixtureRequest) -> RealStore:
    """Each server, each way."""
    return stores[request.param]


@pytest.fixture(params=("minio-http", "ceph-http"))
def server(stores: dict[str, RealStore], request: pytest.FixtureRequest) -> RealStore:
    """Each server, for what does not depend on the way to it."""
    return stores[request.param]


def worker_for(real: RealStore, source: Database, folder: Path, name: str, **target: Any) -> Worker:
    """A worker whose archive goes to a server, its CA in the folder of spec.s3.caSecretName."""
    made = ObjectTarget(
        *(real.provider, real.bucket, f"some/prefix/backup-{name}.tgz"),
        endpoint=real.store.endpoint,
        pathStyle=True,
        customCa=real.store.ca is not None,
    )
    if real.store.ca:
        (folder / "s3-tls").mkdir()
        shutil.copy(real.store.ca, folder / "s3-tls" / "ca.crt")
    login = DatabaseTarget(source.host, source.port, source.user)
    return Worker(folder, real.store, attrs.evolve(made, **target), login, source.password)


async def open_uploads(worker: Worker) -> list[str]:
    """The uploads that are open for the worker's key."""
    uploads = await worker.store.uploads(worker.target.bucket)
    return [upload for key, upload in uploads if key == worker.target.key]


async def stored(worker: Worker) -> set[str]:
    """Archive, manifest and log, as far as they are there."""
    prefix = worker.target.key.removesuffix(".tgz")
    return set(await worker.store.objects(worker.target.bucket, prefix))


async def test_an_archive_is_taken_and_given_back(
    real: RealStore, source: Database, before: Content, destination: Database, tmp_path: Path
) -> None:
    worker = worker_for(real, source, tmp_path, "whole")

    ended = await worker.run()

    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert ended.result.size > 32 * MIB, "more than two parts"
    await given_back(real, worker, ended, before, destination)


async def given_back(
    real: RealStore, worker: Worker, ended: Ended, before: Content, destination: Database
) -> None:
    """rclone reads what the manifest promises, and loaded by myloader it is what was there before."""
    key, manifest_key = worker.target.key, worker.target.manifest_key
    listed = await rclone_client.sizes(real.store, real.rclone, real.bucket)
    assert listed[key] == ended.result.size
    archive = await rclone_client.read(real.store, real.rclone, real.bucket, key)
    assert ended.result.checksum == f"sha256:{sha256(archive).hexdigest()}"
    manifest = json.loads(await rclone_client.read(real.store, real.rclone, real.bucket, manifest_key))
    assert (manifest["key"], manifest["size"]) == (key, len(archive))
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        names = {each.name: each.size for each in tar.getmembers() if each.isfile()}
    top = worker.target.top
    assert names == {f"{top}/{each['name']}": each["size"] for each in manifest["files"]}
    assert await open_uploads(worker) == []

    for database in before.databases:
        await destination.sql(f"DROP DATABASE IF EXISTS `{database}`")
    await load_archive(archive, destination, worker.folder / "load")
    after = await content(destination)
    assert after.tables == before.tables
    assert after.programs == before.programs


async def test_large_parts(
    real: RealStore, source: Database, before: Content, destination: Database, tmp_path: Path
) -> None:
    worker = worker_for(real, source, tmp_path, "large", transfer=Transfer(partBytes=36 * MIB))

    ended = await worker.run()

    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert "in 2 parts" in ended.log
    assert [*worker.staging.glob("*/*")] == []
    await given_back(real, worker, ended, before, destination)


async def test_an_aborted_run_leaves_no_upload(server: RealStore, source: Database, tmp_path: Path) -> None:
    worker = worker_for(server, source, tmp_path, "aborted")
    async with cut_proxy(worker.database.host, worker.database.port) as proxy:
        worker.database = attrs.evolve(worker.database, port=proxy.port)
        proxy.limit, proxy.freeze = 10 * MIB, True
        process = await worker.start()
        await proxy.reached.wait()
        async with asyncio.timeout(20):
            while not await open_uploads(worker):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            ended = await worker.ended(process)
    assert (ended.code, ended.result.reason) == (143, reasons.TERMINATED), ended.log
    assert not ended.result.uploadLeftOpen
    assert await open_uploads(worker) == []
    assert await stored(worker) == {worker.target.log_key}


async def test_what_a_killed_run_left_is_cleaned_and_data_when_asked(
    server: RealStore, source: Database, tmp_path: Path
) -> None:
    worker = worker_for(server, source, tmp_path, "cleaned")
    async with cut_proxy(worker.database.host, worker.database.port) as proxy:
        direct = worker.database
        worker.database = attrs.evolve(direct, port=proxy.port)
        proxy.limit, proxy.freeze = 10 * MIB, True
        process = await worker.start()
        await proxy.reached.wait()
        async with asyncio.timeout(20):
            while not await open_uploads(worker):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.05)
        process.kill()
        await process.wait()
    worker.database = direct
    assert len(await open_uploads(worker)) == 1
    assert (await worker.run("clean")).result.outcome == Outcome.DONE
    assert await open_uploads(worker) == []

    assert (await worker.run()).result.outcome == Outcome.COMPLETE
    assert await stored(worker) == {worker.target.key, worker.target.manifest_key, worker.target.log_key}
    assert (await worker.run("clean")).result.outcome == Outcome.DONE
    assert await stored(worker) == {worker.target.key, worker.target.manifest_key, worker.target.log_key}
    worker.data = Data.DELETE
    for _ in range(2):
        assert (await worker.run("clean")).result.outcome == Outcome.DONE
        assert await stored(worker) == set()


async def test_a_bucket_that_keeps_versions_gets_delete_markers_and_that_is_told(
    server: RealStore, source: Database, tmp_path: Path
) -> None:
    """No version is ever named, so whoever owns the bucket may still bring the archive back."""
    bucket = "keeps-versions"
    await server.store.create_bucket(bucket)
    async with server.store.client() as client:
        await client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        worker = worker_for(server, source, tmp_path, "versions", bucket=bucket)
        ended = await worker.run()
        assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
        worker.data = Data.DELETE
        # Also a second time, after a death in between: Ceph then says nothing of a marker any more.
        ended, again = await worker.run("clean"), await worker.run("clean")
        kept = await client.list_object_versions(Bucket=bucket)
    for each in (ended, again):
        assert (each.code, each.result.outcome) == (0, Outcome.DONE), each.log
    assert await stored(worker) == set()
    written = {worker.target.key, worker.target.manifest_key, worker.target.log_key}
    assert {each["Key"] for each in kept["DeleteMarkers"]} == written
    assert sorted(each["Key"] for each in kept["Versions"]) == sorted(written)
    (notice,) = ended.result.notices
    assert notice.reason == reasons.DELETE_MARKER
    assert "former versions stay in it" in notice.message


@pytest.mark.parametrize(
    ("changed", "environ", "reason", "said"),
    [
        ({}, {"AWS_SECRET_ACCESS_KEY": "x" * 40}, reasons.CREDENTIALS_REFUSED, "`secret_key`"),
        ({}, {"AWS_ACCESS_KEY_ID": "x" * 20}, reasons.CREDENTIALS_REFUSED, "`access_key`"),
        ({"bucket": "no-such-bucket"}, {}, reasons.BUCKET_NOT_FOUND, "no-such-bucket"),
        ({"storageClass": "NO_SUCH_CLASS"}, {}, reasons.STORAGE_REFUSED, "spec.s3.storageClass"),
    ],
    ids=["secret-key", "access-key", "bucket", "storage-class"],
)
async def test_a_refusal_is_named(
    server: RealStore,
    source: Database,
    tmp_path: Path,
    changed: dict[str, str],
    environ: dict[str, str],
    reason: str,
    said: str,
) -> None:
    worker = worker_for(server, source, tmp_path, "refused", **changed)
    worker.environ = environ
    ended = await worker.run()
    assert (ended.code, ended.result.reason, ended.result.step) == (1, reason, "preflight"), ended.log
    assert said in ended.result.message
    assert "x" * 20 not in ended.log


@pytest.mark.parametrize("name", ["minio-https", "ceph-https"])
async def test_a_certificate_of_another_authority_is_not_trusted(
    stores: dict[str, RealStore], name: str, source: Database, tmp_path: Path
) -> None:
    worker = worker_for(stores[name], source, tmp_path, "untrusted")
    other = write_certificates(tmp_path / "other", ["127.0.0.1"])
    shutil.copy(other.ca, tmp_path / "s3-tls" / "ca.crt")
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.STORAGE_UNREACHABLE), ended.log
    assert "spec.s3.caSecretName" in ended.result.message


async def test_tags_are_kept(server: RealStore, source: Database, tmp_path: Path) -> None:
    worker = worker_for(server, source, tmp_path, "tagged", tags={"team": "shop + co/a", "keep": "1"})
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    async with server.store.client() as client:
        answer = await client.get_object_tagging(Bucket=server.bucket, Key=worker.target.key)
    assert {each["Key"]: each["Value"] for each in answer["TagSet"]} == worker.target.tags


async def test_an_acl_is_kept_by_ceph_and_ignored_by_minio(
    server: RealStore, source: Database, tmp_path: Path
) -> None:
    worker = worker_for(server, source, tmp_path, "acl", acl="public-read")
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    grants = await server.store.acl(server.bucket, worker.target.key)
    readers = [each["Grantee"].get("URI", "") for each in grants if each["Permission"] == "READ"]
    everybody = "http://acs.amazonaws.com/groups/global/AllUsers"
    assert readers == ([everybody] if server.provider == "ceph" else [])


async def test_the_class_that_both_have(server: RealStore, source: Database, tmp_path: Path) -> None:
    worker = worker_for(server, source, tmp_path, "class", storageClass="STANDARD")
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log


async def test_encryption_by_the_server(server: RealStore, source: Database, tmp_path: Path) -> None:
    """MinIO has a key; Ceph has none, and takes no such wish over http anyway."""
    worker = worker_for(server, source, tmp_path, "encrypted", sse="AES256")
    ended = await worker.run()
    if server.provider == "ceph":
        assert (ended.code, ended.result.reason) == (1, reasons.STORAGE_REFUSED), ended.log
        assert "does this storage take spec.s3.sse AES256" in ended.result.message
        return
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    for key in (worker.target.key, worker.target.manifest_key, worker.target.log_key):
        assert (await server.store.head(server.bucket, key))["ServerSideEncryption"] == "AES256"
