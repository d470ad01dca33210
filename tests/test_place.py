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


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("x; check spec.s3.endpoint, DNS", "x; check --endpoint, DNS"),
        ("set spec.s3.region and spec.s3.endpoint to", "set --region and --endpoint to"),
        (
            "check `access_key` and `secret_key` in the Secret of spec.s3.secretName",
            "check $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY",
        ),
    ],
)
async def test_a_storages_trouble_is_told_by_the_flags_of_the_command(message: str, said: str) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    place = Place("other", "http://127.0.0.1:1")
    with pytest.raises(StorageError) as caught:
        async with client_of(folder_of("s3://bucket", place), place, keys, Patience()):
            raise StorageError("StorageUnreachable", message, "503")
    assert (str(caught.value), caught.value.reason, caught.value.code) == (said, "StorageUnreachable", "503")


@pytest.mark.parametrize(
    "keys", [{"AWS_ACCESS_KEY_ID": "a"}, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": " b"}]
)
async def test_half_a_pair_of_keys_is_told_by_its_variables(keys: dict[str, str]) -> None:
    place = Place("other", "http://127.0.0.1:1")
    with pytest.raises(StorageError, match="set both keys, or neither") as caught:
        async with client_of(folder_of("s3://bucket", place), place, keys, Patience()):
            pytest.fail("there is half a pair")
    assert "Secret" not in str(caught.value)


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
