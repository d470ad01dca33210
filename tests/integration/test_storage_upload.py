"""Uploads to real S3 servers: what was asked for is what is stored; one key is never another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from tests.cluster.object_store import ObjectStore
from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage import objects
from tidbbackup.storage.body import Body
from tidbbackup.storage.client import AccessKeys, Patience, S3Client, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import start_upload

pytestmark = pytest.mark.integration

PATIENCE = Patience(connect_timeout=3, read_timeout=10, attempts=2, part_delays=(0.05,))
MIB = 1 << 20


def target_in(store: ObjectStore, bucket: str, **changes: Any) -> ObjectTarget:
    target = ObjectTarget("aws", bucket, "a/backup-1.tgz", endpoint=store.endpoint, pathStyle=True)
    return attrs.evolve(target, **changes) if changes else target


@asynccontextmanager
async def client_of(store: ObjectStore, target: ObjectTarget) -> AsyncIterator[S3Client]:
    async with open_client(
        target, AccessKeys(store.access_key, store.secret_key), patience=PATIENCE
    ) as client:
        yield client


async def bodies(*sizes: int) -> AsyncIterator[Body]:
    for number, size in enumerate(sizes):
        yield Body([bytes([number]) * size])


async def test_headers_arrive_as_asked_for(header_store: ObjectStore) -> None:
    await header_store.create_bucket("headers")
    target = target_in(header_store, "headers", acl="public-read", storageClass="STANDARD_IA", sse="AES256")
    target = attrs.evolve(target, tags={"team": "a b", "tier": "1+2=3"})
    async with client_of(header_store, target) as client:
        upload, notices = await start_upload(client, target, "run-1", PATIENCE)
        parts = await upload.send(bodies(5 * MIB, 5 * MIB, 3))
        assert await upload.complete(parts) == 10 * MIB + 3
        await objects.put_small(client, target, target.manifest_key, b"{}")
        tags = await client.get_object_tagging(Bucket="headers", Key=target.key)
    assert notices == ()
    head = await header_store.head("headers", target.key)
    assert head["StorageClass"] == "STANDARD_IA"
    assert head["ServerSideEncryption"] == "AES256"
    assert {tag["Key"]: tag["Value"] for tag in tags["TagSet"]} == target.tags
    assert any("AllUsers" in str(grant) for grant in await header_store.acl("headers", target.key))
    manifest = await header_store.head("headers", target.manifest_key)
    assert "StorageClass" not in manifest, "the bucket's own class"
    assert manifest["ServerSideEncryption"] == "AES256"
    assert not any("AllUsers" in str(g) for g in await header_store.acl("headers", target.manifest_key))
    body = await header_store.get("headers", target.key)
    assert body == bytes(5 * MIB) + b"\1" * 5 * MIB + b"\2\2\2"


async def test_without_settings_no_header_is_sent(header_store: ObjectStore) -> None:
    await header_store.create_bucket("plain")
    target = target_in(header_store, "plain")
    async with client_of(header_store, target) as client:
        upload, _ = await start_upload(client, target, "run-1", PATIENCE)
        await upload.complete(await upload.send(bodies(10)))
    head = await header_store.head("plain", target.key)
    assert "StorageClass" not in head
    assert "ServerSideEncryption" not in head


async def test_a_withdrawn_upload_leaves_nothing(object_store: ObjectStore) -> None:
    await object_store.create_bucket("withdrawn")
    target = target_in(object_store, "withdrawn", provider="ceph")
    async with client_of(object_store, target) as client:
        upload, _ = await start_upload(client, target, "run-1", PATIENCE)
        await upload.send(bodies(5 * MIB))
        await upload.withdraw()
        assert await object_store.uploads("withdrawn") == []
        # Completed and then withdrawn, as when the manifest cannot be written: the object goes too.
        upload, _ = await start_upload(client, target, "run-2", PATIENCE)
        await upload.complete(await upload.send(bodies(10)))
        await upload.withdraw()
    assert await object_store.objects("withdrawn") == {}


async def test_an_upload_that_another_run_aborted_never_deletes_its_object(object_store: ObjectStore) -> None:
    await object_store.create_bucket("two-runs")
    target = target_in(object_store, "two-runs", provider="ceph")
    async with client_of(object_store, target) as client:
        cut_off, _ = await start_upload(client, target, "run-1", PATIENCE)
        parts = await cut_off.send(bodies(10))
        assert await objects.abort_uploads(client, target) == 1
        other, _ = await start_upload(client, target, "run-2", PATIENCE)
        await other.complete(await other.send(bodies(10)))
        with pytest.raises(StorageError, match="NoSuchUpload"):
            await cut_off.complete(parts)
        await cut_off.withdraw()
    assert await object_store.objects("two-runs") == {target.key: 10}


async def test_only_uploads_of_exactly_this_key_are_ours(object_store: ObjectStore) -> None:
    await object_store.create_bucket("twins")
    target = target_in(object_store, "twins", provider="ceph", key="b-1")
    twin = attrs.evolve(target, key="b-10")
    async with client_of(object_store, target) as client:
        for each in (target, target, twin):
            await start_upload(client, each, "run", PATIENCE)
        assert await objects.abort_uploads(client, target) == 2
        assert [key for key, _ in await object_store.uploads("twins")] == ["b-10"]
        await object_store.put("twins", "b-10", b"x")
        await objects.delete(client, target, "b-1")
        await objects.abort_uploads(client, twin)
    assert await object_store.objects("twins") == {"b-10": 1}


async def test_a_bucket_that_keeps_versions_gets_a_delete_marker(header_store: ObjectStore) -> None:
    await header_store.create_bucket("versions")
    target = target_in(header_store, "versions")
    async with header_store.client() as raw:
        await raw.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    await header_store.put("versions", target.key, b"x")
    async with client_of(header_store, target) as client:
        assert await objects.delete(client, target, target.key)
        assert await objects.head(client, target, target.key) is None
    async with header_store.client() as raw:
        kept = await raw.list_object_versions(Bucket="versions")
    assert [len(kept[kind]) for kind in ("Versions", "DeleteMarkers")] == [1, 1]


async def test_without_versions_there_is_no_delete_marker(header_store: ObjectStore) -> None:
    await header_store.create_bucket("plainly")
    target = target_in(header_store, "plainly")
    await header_store.put("plainly", target.key, b"x")
    async with client_of(header_store, target) as client:
        assert not await objects.delete(client, target, target.key)
        assert not await objects.delete(client, target, target.key)


async def test_refusals_have_reasons(object_store: ObjectStore) -> None:
    target = target_in(object_store, "no-such-bucket", provider="ceph")
    async with client_of(object_store, target) as client:
        with pytest.raises(StorageError) as caught:
            await start_upload(client, target, "run", PATIENCE)
        assert caught.value.reason == reasons.BUCKET_NOT_FOUND
        # A bucket that is missing says nothing of what was in it.
        for call in (objects.head, objects.read, objects.delete):
            with pytest.raises(StorageError) as caught:
                await call(client, target, target.key)
            assert caught.value.reason == reasons.BUCKET_NOT_FOUND
        with pytest.raises(StorageError) as caught:
            await objects.open_uploads(client, target)
        assert caught.value.reason == reasons.BUCKET_NOT_FOUND
    wrong = AccessKeys(object_store.access_key, "wrong-secret-key")
    async with open_client(target, wrong, patience=PATIENCE) as client:
        with pytest.raises(StorageError) as caught:
            await start_upload(client, target, "run", PATIENCE)
        assert caught.value.reason == reasons.CREDENTIALS_REFUSED
        assert "wrong-secret-key" not in str(caught.value)
