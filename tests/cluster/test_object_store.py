"""The S3 servers of the tests."""

import pytest
from botocore.exceptions import ClientError

from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes

pytestmark = pytest.mark.integration


@pytest.fixture(params=["object_store", "header_store"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """Each of the two servers."""
    found: ObjectStore = request.getfixturevalue(request.param)
    return found


async def test_objects_are_written_listed_and_read(store: ObjectStore) -> None:
    await store.create_bucket("everyday")
    await store.put("everyday", "a/b.tgz", b"content")
    assert await store.objects("everyday") == {"a/b.tgz": 7}
    assert await store.objects("everyday", "x/") == {}
    assert await store.get("everyday", "a/b.tgz") == b"content"
    assert (await store.head("everyday", "a/b.tgz"))["ContentLength"] == 7
    with pytest.raises(ClientError, match="404"):
        await store.head("everyday", "nothing")


async def test_open_uploads_are_seen(store: ObjectStore) -> None:
    await store.create_bucket("uploads")
    async with store.client() as client:
        upload = await client.create_multipart_upload(Bucket="uploads", Key="half")
        assert await store.uploads("uploads") == [("half", upload["UploadId"])]
        await client.abort_multipart_upload(Bucket="uploads", Key="half", UploadId=upload["UploadId"])
    assert await store.uploads("uploads") == []


async def test_rclone_keeps_objects_as_files_and_its_keys_to_itself(object_store: ObjectStore) -> None:
    await object_store.create_bucket("files")
    await object_store.put("files", "one", b"1")
    assert (object_store.folder / "files" / "one").read_bytes() == b"1"
    assert object_store.secret_key.encode() not in object_store.child.arguments


async def test_rclone_refuses_other_keys(object_store: ObjectStore, servers: Processes) -> None:
    stranger = ObjectStore(
        object_store.endpoint, "another-access-key", "another-secret", servers.folder, object_store.child
    )
    with pytest.raises(ClientError, match=r"403|InvalidAccessKeyId"):
        await stranger.create_bucket("mine")


async def test_moto_shows_what_was_sent(header_store: ObjectStore) -> None:
    await header_store.create_bucket("headers")
    async with header_store.client() as client:
        await client.put_object(
            Bucket="headers",
            Key="k",
            Body=b"",
            ACL="public-read",
            StorageClass="STANDARD_IA",
            ServerSideEncryption="AES256",
        )
    head = await header_store.head("headers", "k")
    assert (head["StorageClass"], head["ServerSideEncryption"]) == ("STANDARD_IA", "AES256")
    assert any(grant["Permission"] == "READ" for grant in await header_store.acl("headers", "k"))
