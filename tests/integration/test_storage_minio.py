"""Uploads to a real MinIO: it checks each part and the whole, over http and https; certificates count."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio
from aiobotocore.session import get_session

from tests.cluster.certificates import write_certificates
from tests.cluster.minio_server import minio_store
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget, Transfer
from tidbbackup.storage import completion, multipart, objects
from tidbbackup.storage.body import Body
from tidbbackup.storage.client import AccessKeys, Patience, S3Client, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import start_upload

pytestmark = [pytest.mark.integration, pytest.mark.s3]

PATIENCE = Patience(connect_timeout=3, read_timeout=10, attempts=1, part_delays=())
MIB = 1 << 20


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["http", "https"])
async def minio(
    servers: Processes, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[ObjectStore]:
    """A MinIO of this module's own, with a bucket `bucket`."""
    folder = tmp_path_factory.mktemp("pki")
    certificates = write_certificates(folder, ["127.0.0.1"]) if request.param == "https" else None
    async with minio_store(servers, name=f"minio-up-{request.param}", certificates=certificates) as store:
        await store.create_bucket("bucket")
        yield store


def target_in(store: ObjectStore, **changes: Any) -> ObjectTarget:
    target = ObjectTarget("minio", "bucket", "a/b.tgz", endpoint=store.endpoint, pathStyle=True)
    return attrs.evolve(target, **changes)


def opened(store: ObjectStore, target: ObjectTarget, ca: Path | None) -> Any:
    return open_client(target, AccessKeys(store.access_key, store.secret_key), ca, PATIENCE)


async def bodies() -> AsyncIterator[Body]:
    for body in (b"a" * 5 * MIB, b"b" * 6 * MIB, b"c"):
        yield Body([body])


async def upload(client: S3Client, target: ObjectTarget) -> None:
    each, _ = await start_upload(client, target, "run", PATIENCE)
    try:
        await each.complete(await each.send(bodies()))
    except StorageError:
        await each.withdraw()
        raise


async def test_it_checks_the_whole_object(minio: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    target = target_in(minio, sse="AES256", tags={"team": "a b"})
    async with opened(minio, target, minio.ca) as client:
        await upload(client, target)
        await objects.put_small(client, target, target.manifest_key, b"{}")
        found = await client.head_object(Bucket="bucket", Key=target.key, ChecksumMode="ENABLED")
        assert found["ChecksumType"] == "FULL_OBJECT"
        assert found["ContentLength"] == 11 * MIB + 1
        assert found["ServerSideEncryption"] == "AES256"
        monkeypatch.setattr(completion, "combined", lambda parts: 1)
        with pytest.raises(StorageError, match="HTTP 400") as caught:
            await upload(client, attrs.evolve(target, key="wrong"))
        assert caught.value.reason in (reasons.UPLOAD_FAILED, reasons.STORAGE_REFUSED)
    assert set(await minio.objects("bucket")) == {target.key, target.manifest_key}
    assert await minio.uploads("bucket") == []


async def test_a_part_that_is_not_what_it_should_be_is_refused(
    minio: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_in(minio, key="bad-part")

    async def wrong(body: bytes) -> int:
        return 1

    monkeypatch.setattr(multipart, "checksum", wrong)
    async with opened(minio, target, minio.ca) as client:
        with pytest.raises(StorageError, match="changed on the way"):
            await upload(client, target)


async def test_whom_to_trust_is_an_option(minio: ObjectStore) -> None:
    if minio.ca is None:
        return
    target = target_in(minio, key="trusted")
    async with opened(minio, target, None) as client:
        with pytest.raises(StorageError) as caught:
            await upload(client, target)
        assert caught.value.reason == reasons.STORAGE_UNREACHABLE
    target = target_in(minio, key="trusted", transfer=Transfer(caFile=str(minio.ca)))
    async with opened(minio, target, None) as client:
        await upload(client, target)
    assert (await minio.objects("bucket"))["trusted"] == 11 * MIB + 1


_RIGHTS = (
    *("PutObject", "GetObject", "DeleteObject", "AbortMultipartUpload"),
    *("ListBucketMultipartUploads", "PutObjectTagging"),
)


async def limited(store: ObjectStore, *rights: str) -> AccessKeys:
    """Keys for a while that may do no more than this."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [f"s3:{right}" for right in rights],
                "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
            }
        ],
    }
    async with get_session().create_client(
        "sts",
        endpoint_url=store.endpoint,
        region_name="us-east-1",
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        verify=str(store.ca) if store.ca else None,
    ) as client:
        answer = await client.assume_role(
            RoleArn="arn:aws:iam::123456789012:role/x", RoleSessionName="test", Policy=json.dumps(policy)
        )
    keys = answer["Credentials"]
    return AccessKeys(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


async def test_the_documented_rights_suffice(minio: ObjectStore) -> None:
    """s3:ListBucket is none of them. (Without it S3 answers 403 for what is not there, MinIO 404.)"""
    target = target_in(minio, key="limited.tgz", tags={"team": "shop"})
    patience = attrs.evolve(PATIENCE, part_delays=(0.01,))
    keys = await limited(minio, *_RIGHTS)
    async with open_client(target, keys, minio.ca, patience) as client:
        await objects.abort_uploads(client, target)
        each, _ = await start_upload(client, target, "run", patience)
        parts = await each.send(bodies())
        wrong = tuple(attrs.evolve(part, etag="0" * 32) for part in parts)
        with pytest.raises(StorageError, match="InvalidPart"):
            await each.complete(wrong)
        assert await each.complete(parts) == 11 * MIB + 1
        assert await each.tag() == ()
        await each.write_beside(target.manifest_key, b"{}")
        await each.withdraw()
        never, _ = await start_upload(client, target, "run", patience)
        with pytest.raises(StorageError, match="InvalidPart"):
            await never.complete(wrong)
        await never.withdraw()
    async with opened(minio, target, minio.ca) as client:
        for key in (target.key, target.manifest_key):
            assert await objects.head(client, target, key) is None
        assert await objects.open_uploads(client, target) == []
