"""Addresses on the command line; those of single archives are in test_verify."""

import asyncio
from pathlib import Path

import pytest

from tidbbackup.place import Place, Unusable, client_of, folder_of
from tidbbackup.storage.client import Patience
from tidbbackup.storage.errors import StorageError


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://b", "b", ""),
        ("s3://b/", "b", ""),
        ("s3://b/some/where", "b", "some/where"),
        ("s3://b/some/where/", "b", "some/where/"),
    ],
)
def test_a_bucket_and_a_prefix(url: str, bucket: str, prefix: str) -> None:
    found = folder_of(url, Place())
    assert (found.bucket, found.key) == (bucket, prefix)


@pytest.mark.parametrize("url", ["", "b/k", "s3://", "s3:///k", "https://b"])
def test_what_is_no_bucket(url: str) -> None:
    with pytest.raises(Unusable, match="write s3://bucket or s3://bucket/prefix"):
        folder_of(url, Place())


async def test_without_keys_the_variables_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The worker waits for a pod's identity that comes late; nobody waits for that at a terminal."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StorageError, match="no access keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        async with asyncio.timeout(5), client_of(folder_of("s3://b", Place()), Place(), {}, Patience()):
            pytest.fail("there are no keys")
