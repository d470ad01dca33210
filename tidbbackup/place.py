"""Where an archive is, from the command line: a URL, and the service that it belongs to.

Must not know what is done there.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
from attrs import frozen

from tidbbackup.decide.spec.storage_target import object_target
from tidbbackup.model import reasons
from tidbbackup.model.meta import Meta
from tidbbackup.model.providers import PROVIDERS, ObjectTarget
from tidbbackup.model.resource.backup import Backup, BackupSpec
from tidbbackup.model.resource.storage_spec import S3Spec
from tidbbackup.storage.client import Patience, S3Client, access_keys_from, open_client, proxies_from
from tidbbackup.storage.errors import StorageError

_ARCHIVE = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<key>[^/].*\.(?:tgz|tar\.zst))", re.DOTALL)
_FOLDER = re.compile(r"s3://(?P<bucket>[^/]+)/?(?P<key>(?:[^/].*)?)", re.DOTALL)

_NO_KEYS = (
    "no access keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a profile (AWS_PROFILE) or a "
    "role, as for AWS's own tools"
)

_ODD_KEYS = (
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN is empty, missing, or has white space at "
    "an end: set both keys, or neither to use a profile or a role"
)

# What messages about a storage call by fields of a spec, and what it is called on a command line.
_FLAGS = {
    "`access_key` and `secret_key` in the Secret of spec.s3.secretName": (
        "$AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY"
    ),
    "the ca.crt of spec.s3.caSecretName": "--ca",
    "spec.s3.bucket": "the bucket in the URL",
    "spec.s3.endpoint": "--endpoint",
    "spec.s3.region": "--region",
}


class Unusable(Exception):
    """The command line has no valid address."""


@frozen
class Place:
    """The address of the service."""

    provider: str = "aws"
    endpoint: str = ""
    region: str = ""
    ca: Path | None = None


def target_of(url: str, place: Place) -> ObjectTarget:
    """The archive's address, with the provider's defaults.

    Raises:
        Unusable: it is no address of an archive, or the service has no default address.
    """
    found = _ARCHIVE.fullmatch(url)
    if not found:
        raise Unusable(f"{url}: write s3://bucket/path/backup-….tgz, as in status.backupPath")
    return _target(found, place)


def folder_of(url: str, place: Place) -> ObjectTarget:
    """A bucket and what the keys in it begin with, which may be nothing.

    Raises:
        Unusable: it is no such address, or the service has no default address.
    """
    found = _FOLDER.fullmatch(url)
    if not found:
        raise Unusable(f"{url}: write s3://bucket or s3://bucket/prefix")
    return _target(found, place)


def _target(found: re.Match[str], place: Place) -> ObjectTarget:
    if place.provider != "aws" and not place.endpoint:
        raise Unusable(f"--provider {place.provider} needs --endpoint URL")
    if place.provider not in PROVIDERS:
        raise Unusable(f"--provider {place.provider}: write one of {', '.join(PROVIDERS)}")
    if place.ca and not place.ca.is_file():
        raise Unusable(f"--ca {place.ca}: no such file")
    s3 = S3Spec(provider=place.provider, bucket=found["bucket"], endpoint=place.endpoint, region=place.region)
    meta = Meta(name="here", uid="here", creationTimestamp=datetime.now(UTC))
    return attrs.evolve(object_target(Backup(meta, BackupSpec(s3=s3))), key=found["key"])


@asynccontextmanager
async def client_of(
    target: ObjectTarget, place: Place, environ: Mapping[str, str], patience: Patience
) -> AsyncIterator[S3Client]:
    """A client with the access keys of the environment, or those of AWS's own tools. Raises StorageError."""
    # In a shell an empty token is none, as for AWS's own tools.
    given = {name: value for name, value in environ.items() if value or name != "AWS_SESSION_TOKEN"}
    try:
        keys = access_keys_from(given)
    except StorageError as error:
        raise StorageError(error.reason, _ODD_KEYS) from error
    proxies = proxies_from(environ, target)
    # Nobody makes them while somebody waits at a terminal: they are asked for once.
    patience = attrs.evolve(patience, identity_pauses=())
    async with AsyncExitStack() as stack:
        opening = open_client(target, keys, place.ca, patience, proxies)
        try:
            client = await stack.enter_async_context(opening)
        except StorageError as error:
            if keys is None and error.reason == reasons.CREDENTIALS_MISSING:
                raise StorageError(error.reason, _NO_KEYS) from error
            raise
        try:
            yield client
        except StorageError as error:
            raise StorageError(error.reason, by_flags(str(error)), error.code) from error


def by_flags(message: str) -> str:
    """A message about a storage, with the flags of the command line for the fields of a spec."""
    for field, flag in _FLAGS.items():
        message = message.replace(field, flag)
    return message
