"""`tidbbackup verify` as far as it gets without a server."""

import io

import pytest

from tidbbackup.cli import main
from tidbbackup.place import Place, Unusable, target_of
from tidbbackup.storage.client import Patience
from tidbbackup.verify import parsed, verify


@pytest.mark.parametrize(
    "url", ["", "s3://b", "s3://b/", "b/k.tgz", "https://b/k.tgz", "s3://b/k.tar", "s3:///k.tgz"]
)
def test_an_address_that_is_none(url: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    assert verify(url, Place(), {}, out, err) == 2
    assert "write s3://bucket/path/backup-….tgz" in err.getvalue()
    assert out.getvalue() == ""


def test_where_it_looks() -> None:
    target = target_of("s3://b/some/where/x.tgz", Place("minio", "h:9000", "eu"))
    assert (target.bucket, target.key, target.endpoint) == ("b", "some/where/x.tgz", "https://h:9000")
    assert (target.region, target.pathStyle, target.top) == ("eu", True, "x")
    assert target_of("s3://b/some/where/x.tar.zst", Place()).top == "x"
    aws = target_of("s3://b/x.tgz", Place())
    assert (aws.endpoint, aws.region, aws.manifest_key) == ("", "us-east-1", "x.manifest.json")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Place("azure", "http://x"), "write one of aws"),
        (Place("ceph"), "needs --endpoint"),
    ],
)
def test_a_place_that_is_none(place: Place, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        target_of("s3://b/x.tgz", place)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is no manifest"),
        (b"{", "is no manifest"),
        (b"[]", "is no manifest"),
        (b"{}", "is of format None, this tidbbackup knows 1"),
        (b'{"formatVersion": 2}', "is of format 2, this tidbbackup knows 1: use the one that made it"),
        (b'{"formatVersion": 1}', "is no manifest: .*missing required field"),
    ],
)
def test_a_manifest_that_is_none(body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parsed(body)


def test_an_empty_token_is_none_in_a_shell() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_SESSION_TOKEN": ""}
    place = Place(provider="ceph", endpoint="http://127.0.0.1:9")
    err = io.StringIO()
    assert verify("s3://b/x.tgz", place, environ, io.StringIO(), err, Patience(attempts=1)) == 1
    assert "session_token" not in err.getvalue()
    assert "127.0.0.1:9" in err.getvalue()


def test_keys_that_are_half_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    assert main(["verify", "s3://b/x.tgz", "--provider", "ceph", "--endpoint", "http://127.0.0.1:9"]) == 1
    assert "AWS_SECRET_ACCESS_KEY" in capsys.readouterr().err
