"""One S3 client, made from an ObjectTarget and the keys in the environment.

Everything that could come from elsewhere (proxies, CA bundles, configured endpoints, default retries)
is set here. Must not know what is stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from attrs import field, frozen

from tidbbackup.model import reasons
from tidbbackup.model.storage import PROVIDERS, ObjectTarget
from tidbbackup.storage.errors import StorageError

S3Client = Any
"""aiobotocore makes its client classes at run time; there is no type to name."""

# Where the AWS chain has to ask a metadata service: kube2iam and its like answer late for a new pod.
_METADATA_TIMEOUT_SECONDS = 5
_METADATA_ATTEMPTS = 3


@frozen
class Credentials:
    """A pair of keys, as a Secret holds them. Never shown."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False, default=None)


@frozen
class Patience:
    """How long to wait and how often to try. Seconds."""

    connect_timeout: float = 15
    read_timeout: float = 60
    attempts: int = 5
    """Of one request, inside the client: 1 is no second try."""
    part_delays: tuple[float, ...] = (2, 10, 30)
    """Pauses before further rounds for one part, after the client has given up on it."""


def credentials_from(environ: Mapping[str, str]) -> Credentials | None:
    """The keys in the environment; None: there are none, the AWS chain (the pod's identity) applies.

    Raises:
        StorageError: CredentialsMissing where a key is there but empty, or only one is there (that never
            falls through to the node's identity); CredentialsRefused where one has white space at an end.
    """
    names = {"AWS_ACCESS_KEY_ID": "access_key", "AWS_SECRET_ACCESS_KEY": "secret_key"}
    if not any(name in environ for name in names):
        return None
    for name, key in names.items():
        value = environ.get(name)
        if not value:
            state = "is empty" if value == "" else "is missing"
            raise StorageError(
                reasons.CREDENTIALS_MISSING,
                f"`{key}` in the Secret of spec.s3.secretName {state} ({name}); put the key there, or "
                "remove spec.s3.secretName to use the pod's own identity",
            )
        if value != value.strip():
            raise StorageError(
                reasons.CREDENTIALS_REFUSED,
                f"`{key}` in the Secret of spec.s3.secretName begins or ends with white space ({name}), "
                "perhaps a line feed from `echo`; make it with `kubectl create secret --from-literal`",
            )
    token = environ.get("AWS_SESSION_TOKEN") or None
    return Credentials(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], token)


def client_config(target: ObjectTarget, patience: Patience) -> AioConfig:
    """botocore's settings for this target."""
    full_checksums = PROVIDERS[target.provider].full_checksums if target.provider in PROVIDERS else False
    checksums = "when_supported" if full_checksums else "when_required"
    return AioConfig(
        signature_version="s3v4",
        connect_timeout=patience.connect_timeout,
        read_timeout=patience.read_timeout,
        max_pool_connections=8,
        retries={"mode": "standard", "max_attempts": patience.attempts},
        proxies={},
        ignore_configured_endpoint_urls=True,
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        s3={"addressing_style": "path" if target.pathStyle else "virtual"},
    )


@asynccontextmanager
async def open_client(
    target: ObjectTarget,
    credentials: Credentials | None,
    ca_file: Path | None = None,
    patience: Patience = Patience(),
) -> AsyncIterator[S3Client]:
    """A client for as long as the block lasts. `ca_file`: the only CA to trust, None for the public ones."""
    session = get_session()
    session.set_config_variable("metadata_service_timeout", _METADATA_TIMEOUT_SECONDS)
    session.set_config_variable("metadata_service_num_attempts", _METADATA_ATTEMPTS)
    keys: dict[str, str | None] = {}
    if credentials:
        keys = {
            "aws_access_key_id": credentials.access_key,
            "aws_secret_access_key": credentials.secret_key,
            "aws_session_token": credentials.session_token,
        }
    try:
        opening = session.create_client(
            "s3",
            region_name=target.region or None,
            endpoint_url=target.endpoint or None,
            verify=str(ca_file) if ca_file else True,
            config=client_config(target, patience),
            **keys,
        )
        client = await opening.__aenter__()
    except (ValueError, OSError) as error:
        raise StorageError(
            reasons.STORAGE_REFUSED, f"no client for {target.endpoint or target.region}: {error}"
        ) from error
    try:
        yield client
    finally:
        await opening.__aexit__(None, None, None)
