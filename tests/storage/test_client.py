"""Keys and settings of the S3 client.

Here is also what storage/opening.py promises.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tidbbackup.model import reasons
from tidbbackup.model.providers import PROVIDERS, ObjectTarget, Transfer
from tidbbackup.storage.body import Body
from tidbbackup.storage.client import (
    AccessKeys,
    Patience,
    access_keys_from,
    client_config,
    open_client,
    proxies_from,
)
from tidbbackup.storage.errors import StorageError

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}


def test_keys_of_the_environment() -> None:
    assert access_keys_from({}) is None
    assert access_keys_from({"AWS_SESSION_TOKEN": "x"}) is None
    assert access_keys_from(KEYS) == AccessKeys("id", "secret", None)
    assert access_keys_from(KEYS | {"AWS_SESSION_TOKEN": "t"}) == AccessKeys("id", "secret", "t")
    assert "secret" not in repr(access_keys_from(KEYS))


@pytest.mark.parametrize(
    ("environ", "reason", "words"),
    [
        (KEYS | {"AWS_ACCESS_KEY_ID": ""}, reasons.CREDENTIALS_MISSING, "`access_key` .* is empty"),
        (KEYS | {"AWS_SECRET_ACCESS_KEY": ""}, reasons.CREDENTIALS_MISSING, "`secret_key` .* is empty"),
        ({"AWS_ACCESS_KEY_ID": "id"}, reasons.CREDENTIALS_MISSING, "`secret_key` .* is missing"),
        (KEYS | {"AWS_SECRET_ACCESS_KEY": "s\n"}, reasons.CREDENTIALS_REFUSED, "`secret_key` .* white space"),
        (KEYS | {"AWS_SESSION_TOKEN": ""}, reasons.CREDENTIALS_MISSING, "`session_token` .* is empty"),
        (KEYS | {"AWS_SESSION_TOKEN": "t\n"}, reasons.CREDENTIALS_REFUSED, "`session_token` .* white space"),
        (KEYS | {"AWS_SESSION_TOKEN": "\n"}, reasons.CREDENTIALS_REFUSED, "`session_token` .* white space"),
    ],
)
def test_half_a_pair_is_an_error_never_the_nodes_identity(
    environ: dict[str, str], reason: str, words: str
) -> None:
    with pytest.raises(StorageError, match=words) as caught:
        access_keys_from(environ)
    assert caught.value.reason == reason


@pytest.mark.parametrize("provider", PROVIDERS)
def test_settings(provider: str) -> None:
    config = client_config(ObjectTarget(provider, "b", "k", pathStyle=True), Patience(attempts=3))
    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"
    # Bytes without a signature only where a checksum of ours guards them.
    unsigned = {"payload_signing_enabled": False} if provider in ("aws", "minio") else {}
    assert config.s3 == {"addressing_style": "path"} | unsigned
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert config.proxies == {}, "the process's own proxies do not apply"


PROXY = {"HTTPS_PROXY": "http://p:3128", "http_proxy": "http://q:3128"}
BOTH = {"https": "http://p:3128", "http": "http://q:3128"}


@pytest.mark.parametrize(
    ("endpoint", "no_proxy", "found"),
    [
        ("https://s3.example.com", "", BOTH),
        ("https://s3.example.com", "example.org, other.com", BOTH),
        ("https://s3.example.com", "ample.com", BOTH),
        ("https://s3.example.com", "example.com", {}),
        ("https://s3.example.com:9000", ".example.com", {}),
        ("https://s3.example.com:9000", "*.example.com", {}),
        ("https://s3.example.com", "a,s3.example.com:443", {}),
        ("https://s3.example.com", "*", {}),
        ("http://minio.store.svc:9000", "localhost,10.0.0.0/8,.svc,.cluster.local", {}),
        ("http://10.1.2.3:9000", "10.0.0.0/8", {}),
        ("http://11.1.2.3:9000", "10.0.0.0/8", BOTH),
        ("http://[fd00::1]:9000", "fd00::/8", {}),
        ("", "amazonaws.com", {}),
        ("", "bucket.s3.us-east-1.amazonaws.com", {}),
        ("", "svc", BOTH),
    ],
)
def test_proxies_of_spec_env(endpoint: str, no_proxy: str, found: dict[str, str]) -> None:
    target = ObjectTarget("other", "bucket", "k", endpoint=endpoint, pathStyle=bool(endpoint))
    assert proxies_from(PROXY | {"NO_PROXY": no_proxy}, target) == found
    assert client_config(target, Patience(), found).proxies == found


async def test_which_certificates_are_trusted(tmp_path: Path) -> None:
    ours = tmp_path / "ca.crt"
    ours.write_text("")

    async def verified(ca_file: Path | None, **asked: Any) -> Any:
        target = ObjectTarget("ceph", "b", "k", endpoint="https://x", transfer=Transfer(**asked))
        async with open_client(target, AccessKeys("a", "b"), ca_file) as client:
            return client._endpoint.http_session._verify

    assert await verified(None) is True
    missing = str(tmp_path / "gone.pem")
    with pytest.raises(StorageError, match=rf"there is no CA at {missing}.*--ca-cert"):
        await verified(ours, caFile=missing)


async def test_a_gateway_that_does_not_know_expect_gets_its_bodies_at_once() -> None:
    """The client would wait for `100 Continue` until the time for the whole part is over."""
    heads: list[bytes] = []
    told: list[int] = []
    part = Body([b"one", b"two"])

    async def gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        assert await reader.readexactly(6) == b"onetwo"
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n')
        writer.close()

    async with await asyncio.start_server(gateway, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        target = ObjectTarget("ceph", "b", "k", endpoint=f"http://127.0.0.1:{port}", pathStyle=True)
        async with (
            open_client(target, AccessKeys("a", "b"), patience=Patience(attempts=1)) as client,
            asyncio.timeout(20),
        ):
            upload = {"Bucket": "b", "Key": "k", "UploadId": "u", "PartNumber": 1}
            assert (await client.upload_part(Body=part.open(told.append), **upload))["ETag"] == '"e"'
    assert b"\r\ncontent-length: 6\r\n" in heads[0].lower()
    assert sum(told) == 6, "what is read for the signature is not sent"


async def test_an_endpoint_that_is_none() -> None:
    target = ObjectTarget("ceph", "b", "k", endpoint="no scheme")
    with pytest.raises(StorageError, match="no scheme"):
        async with open_client(target, AccessKeys("a", "b")):
            pass
