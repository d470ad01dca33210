"""The real MinIO, over http and https."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError, SSLError

from tests.cluster.certificates import write_certificates
from tests.cluster.minio_server import minio_store
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes

pytestmark = [pytest.mark.integration, pytest.mark.s3]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_it_keeps_objects(servers: Processes, tmp_path: Path, scheme: str) -> None:
    certificates = write_certificates(tmp_path, ["127.0.0.1"]) if scheme == "https" else None
    async with minio_store(servers, name=f"minio-{scheme}", certificates=certificates) as store:
        assert store.endpoint.startswith(f"{scheme}://127.0.0.1:")
        await store.create_bucket("everyday")
        await store.put("everyday", "a/b.tgz", b"content")
        assert await store.objects("everyday") == {"a/b.tgz": 7}
        assert await store.get("everyday", "a/b.tgz") == b"content"
        assert store.secret_key.encode() not in store.child.arguments
        if certificates:
            other = write_certificates(tmp_path / "other", ["127.0.0.1"])
            stranger = ObjectStore(
                store.endpoint, store.access_key, store.secret_key, store.folder, store.child, other.ca
            )
            with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.objects("everyday")
    assert not store.child.running


async def test_it_holds_a_key_for_encryption(servers: Processes) -> None:
    async with minio_store(servers, name="minio-keys") as store:
        await store.create_bucket("secret")
        async with store.client() as client:
            await client.put_object(Bucket="secret", Key="k", Body=b"text", ServerSideEncryption="AES256")
        assert (await store.head("secret", "k"))["ServerSideEncryption"] == "AES256"
        assert await store.get("secret", "k") == b"text"
        with pytest.raises(ClientError, match="InvalidStorageClass"):
            async with store.client() as client:
                await client.put_object(Bucket="secret", Key="k", Body=b"", StorageClass="STANDARD_IA")
