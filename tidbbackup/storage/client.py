"""One S3 client, made from an ObjectTarget and the keys in the environment.

Everything that could come from elsewhere (proxies, CA bundles, configured endpoints, default retries)
is set here. Must not know what is stored.
"""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import get_session
from attrs import field, frozen
from botocore.handlers import add_expect_header

from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.identity import find_identity
from tidbbackup.storage.proof import check_answer, check_redirect

S3Client = Any
"""aiobotocore makes its client classes at run time; there is no type to name."""


_PAIR = {"AWS_ACCESS_KEY_ID": "access_key", "AWS_SECRET_ACCESS_KEY": "secret_key"}
_ALL = _PAIR | {"AWS_SESSION_TOKEN": "session_token"}


class _Straight(AIOHTTPSession):  # type: ignore[misc]
    """Follows no redirect: aiohttp would send keys and archive to any server that an answer names."""

    async def _get_session(self, proxy_url: str | None) -> Any:
        session = await super()._get_session(proxy_url)
        return SimpleNamespace(request=functools.partial(session.request, allow_redirects=False))


@frozen
class AccessKeys:
    """A pair of keys, as a Secret holds them. Never shown."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False, default=None)


@frozen
class Patience:
    """How long to wait and how often to try. Seconds."""

    connect_timeout: float = 15
    read_timeout: float = 60
    attempts: int = 3
    """Of one request, inside the client: 1 is no second try."""
    part_delays: tuple[float, ...] = (1, 2, 4, 8, 15, 15, 15)
    """Pauses before further rounds for one part, after the client has given up on it."""
    outage: float = 60
    """No further round begins later than this after the first failure."""

    slowest: int = 64 << 10
    """Bytes per second that a body reaches at the least; while it goes out no other time-out counts."""
    identity_pauses: tuple[float, ...] = (1, 2, 4, 8)
    """Before the pod's own identity is asked for again: for a new pod it may come late."""


def access_keys_from(environ: Mapping[str, str]) -> AccessKeys | None:
    """The keys in the environment; None: there are none, the AWS chain (the pod's identity) applies.

    Raises:
        StorageError: CredentialsMissing where one is there but empty, or half of the pair (that never
            falls through to the node's identity); CredentialsRefused where one has white space at an end.
    """
    if not any(name in environ for name in _PAIR):
        return None
    for name, key in _ALL.items():
        value = environ.get(name)
        if value is None and name not in _PAIR:
            continue
        if not value:
            state = "is empty" if value == "" else "is missing"
            way_out = "spec.s3.secretName to use the pod's own identity"
            if name not in _PAIR:
                way_out = "it from the Secret"
            raise StorageError(
                reasons.CREDENTIALS_MISSING,
                f"`{key}` in the Secret of spec.s3.secretName {state} ({name}); put the key there, or "
                f"remove {way_out}",
            )
        if value != value.strip():
            raise StorageError(
                reasons.CREDENTIALS_REFUSED,
                f"`{key}` in the Secret of spec.s3.secretName begins or ends with white space ({name}), "
                "perhaps a line feed from `echo`; make it with `kubectl create secret --from-literal`",
            )
    return AccessKeys(*(environ[name] for name in _ALL if name in environ))


def proxies_from(environ: Mapping[str, str], target: ObjectTarget) -> dict[str, str]:
    """The proxies that HTTPS_PROXY, HTTP_PROXY and NO_PROXY of `spec.env` name for this target, by scheme.

    NO_PROXY has names (with all below them), addresses and networks.
    """

    def told(name: str) -> str:
        return environ.get(name.lower()) or environ.get(name) or ""

    host = urlsplit(target.endpoint).hostname or f"s3.{target.region}.amazonaws.com"
    host = host if target.pathStyle else f"{target.bucket}.{host}"
    for entry in told("NO_PROXY").lower().replace(",", " ").split():
        name = re.sub(r"^([^:]+):\d+$", r"\1", entry).removeprefix("*").lstrip(".")
        if not name or f".{host}".endswith(f".{name}") or _is_within(host, name):
            return {}
    found = {scheme: told(f"{scheme.upper()}_PROXY") for scheme in ("https", "http")}
    return {scheme: proxy for scheme, proxy in found.items() if proxy}


def _is_within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def client_config(
    target: ObjectTarget, patience: Patience, proxies: Mapping[str, str] | None = None
) -> AioConfig:
    """botocore's settings for this target."""
    s3: dict[str, Any] = {"addressing_style": "path" if target.pathStyle else "virtual"}
    if has_checksums(target) and not target.endpoint.startswith("http:"):
        # TLS and a CRC32 guard the bytes; a SHA-256 of them in the signature would cost more than the rest.
        s3["payload_signing_enabled"] = False
    return AioConfig(
        signature_version="s3v4",
        connect_timeout=patience.connect_timeout,
        read_timeout=patience.read_timeout,
        max_pool_connections=8,
        # `max_attempts` would not count the first.
        retries={"mode": "standard", "total_max_attempts": patience.attempts},
        # Empty is none; left out, botocore would take those of the process.
        proxies=dict(proxies or {}),
        http_session_cls=_Straight,
        ignore_configured_endpoint_urls=True,
        # Trailers and headers of the client's own choice break most services: ours are sent by name.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3=s3,
    )


def has_checksums(target: ObjectTarget) -> bool:
    """Whether the service takes the checksum headers that AWS added after 2021."""
    return target.row.full_checksum


@asynccontextmanager
async def open_client(
    target: ObjectTarget,
    credentials: AccessKeys | None,
    ca_file: Path | None = None,
    patience: Patience = Patience(),
    proxies: Mapping[str, str] | None = None,
) -> AsyncIterator[S3Client]:
    """A client for as long as the block lasts. `ca_file`: the only CA to trust, None for the public ones.

    Raises:
        StorageError: the settings make no client, or there are no credentials.
    """
    session = get_session()
    keys: dict[str, str | None] = {}
    if credentials:
        keys = {
            "aws_access_key_id": credentials.access_key,
            "aws_secret_access_key": credentials.secret_key,
            "aws_session_token": credentials.session_token,
        }
    else:
        await find_identity(session, target.region, patience.identity_pauses)
    try:
        opening = session.create_client(
            "s3",
            region_name=target.region or None,
            endpoint_url=target.endpoint or None,
            verify=_verify(target.transfer.caFile or ca_file),
            config=client_config(target, patience, proxies),
            **keys,
        )
        client = await opening.__aenter__()
    except (ValueError, OSError) as error:
        raise StorageError(
            reasons.STORAGE_REFUSED, f"no client for {target.endpoint or target.region}: {error}"
        ) from error
    # aiohttp would wait for `100 Continue` without bound, and gateways that speak HTTP/1.0 never say it.
    client.meta.events.unregister("before-call.s3", add_expect_header)
    client.meta.events.register("after-call.s3", check_answer)
    client.meta.events.register_first("needs-retry.s3", check_redirect)
    try:
        yield client
    finally:
        await opening.__aexit__(None, None, None)


def _verify(ca_file: Path | str | None) -> str | bool:
    """What botocore is to check certificates with."""
    if ca_file and not Path(ca_file).is_file():
        raise StorageError(
            reasons.STORAGE_REFUSED,
            f"there is no CA at {ca_file} in the pod: correct --ca-cert in spec.s3.options, or put `ca.crt` "
            "into the Secret of spec.s3.caSecretName",
        )
    return str(ca_file) if ca_file else True
