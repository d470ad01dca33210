"""Keys and settings of the S3 client."""

import pytest

from tidbbackup.model import reasons
from tidbbackup.model.storage import PROVIDERS, ObjectTarget
from tidbbackup.storage.client import Credentials, Patience, client_config, credentials_from, open_client
from tidbbackup.storage.errors import StorageError

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}


def test_keys_of_the_environment() -> None:
    assert credentials_from({}) is None
    assert credentials_from({"AWS_SESSION_TOKEN": "x"}) is None
    assert credentials_from(KEYS) == Credentials("id", "secret", None)
    assert credentials_from(KEYS | {"AWS_SESSION_TOKEN": "t"}) == Credentials("id", "secret", "t")
    assert credentials_from(KEYS | {"AWS_SESSION_TOKEN": ""}) == Credentials("id", "secret", None)
    assert "secret" not in repr(credentials_from(KEYS))


@pytest.mark.parametrize(
    ("environ", "reason", "words"),
    [
        (KEYS | {"AWS_ACCESS_KEY_ID": ""}, reasons.CREDENTIALS_MISSING, "`access_key` .* is empty"),
        (KEYS | {"AWS_SECRET_ACCESS_KEY": ""}, reasons.CREDENTIALS_MISSING, "`secret_key` .* is empty"),
        ({"AWS_ACCESS_KEY_ID": "id"}, reasons.CREDENTIALS_MISSING, "`secret_key` .* is missing"),
        (KEYS | {"AWS_SECRET_ACCESS_KEY": "s\n"}, reasons.CREDENTIALS_REFUSED, "`secret_key` .* white space"),
    ],
)
def test_half_a_pair_is_an_error_never_the_nodes_identity(
    environ: dict[str, str], reason: str, words: str
) -> None:
    with pytest.raises(StorageError, match=words) as caught:
        credentials_from(environ)
    assert caught.value.reason == reason


@pytest.mark.parametrize("provider", PROVIDERS)
def test_settings(provider: str) -> None:
    config = client_config(ObjectTarget(provider, "b", "k", pathStyle=True), Patience(attempts=3))
    checksums = "when_supported" if provider == "aws" else "when_required"
    assert config.request_checksum_calculation == checksums
    assert config.response_checksum_validation == checksums
    assert config.s3 == {"addressing_style": "path"}
    assert config.retries == {"mode": "standard", "max_attempts": 3}
    assert config.proxies == {}, "the environment's proxies do not apply"


async def test_an_endpoint_that_is_none() -> None:
    target = ObjectTarget("ceph", "b", "k", endpoint="no scheme")
    with pytest.raises(StorageError, match="no scheme"):
        async with open_client(target, Credentials("a", "b")):
            pass
