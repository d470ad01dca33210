"""Addresses on the command line; those of single archives are in test_verify."""

import pytest

from tidbbackup.place import Place, Unusable, folder_of


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
