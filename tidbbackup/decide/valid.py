"""What is wrong with a spec: every problem with its field, its value and its cure.

Everything is judged here that the schema lets through, so that a mended spec becomes valid without being
made anew. Must not know the cluster: what only a server can tell (a bucket that is missing, a name that
does not resolve) is found by the worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from tidbbackup.model.backup import BackupSpec, CleanPolicy
from tidbbackup.model.options import (
    MYDUMPER_ALLOWED,
    MYDUMPER_FORK_ONLY,
    RCLONE_NO_EFFECT,
    read_mydumper_flags,
    read_rclone_flags,
)
from tidbbackup.model.storage import ACLS, PROVIDERS, STORAGE_CLASSES
from tidbbackup.model.storage_spec import S3Spec, Source
from tidbbackup.model.task import PASSWORD_VARIABLE, TASK_VARIABLE
from tidbbackup.model.units import parse_duration, parse_quantity

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9._-]*")
_KEY_LIMIT = 1024
# `backup-20261123T030000Z-0123abcd.manifest.json`: the longest name that stands below the prefix.
_LONGEST_NAME = 46
RESERVED_ENV = (
    *(TASK_VARIABLE, PASSWORD_VARIABLE, "POD_IP"),
    *("RUN_DIR", "STAGING_DIR", "DB_TLS_DIR", "S3_TLS_DIR", "TERMINATION_LOG"),
)
KEY_ENV = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Set by us too where s3.secretName is."""
_VALUE_SHOWN = 80


@frozen
class Problem:
    """One thing that is wrong: where, what stands there, and what to do."""

    path: str
    value: Any
    cure: str

    def __str__(self) -> str:
        shown = repr(self.value)
        shown = shown if len(shown) <= _VALUE_SHOWN else shown[: _VALUE_SHOWN - 1] + "…"
        return f"{self.path}: {shown}: {self.cure}" if self.value is not None else f"{self.path}: {self.cure}"


def problems(spec: BackupSpec) -> tuple[Problem, ...]:
    """Everything wrong with a Backup's spec, in the order of the schema; empty means valid."""
    return (*_source(spec.source), *_storage(spec.s3), *_unsupported(spec), *_the_rest(spec))


def _source(source: Source | None) -> Iterator[Problem]:
    if source is None:
        yield Problem("spec.from", None, "is missing: name the database (host, port, user, secretName)")
        return
    if not _HOST.fullmatch(source.host):
        yield Problem("spec.from.host", source.host, "write a host name or an IP address, nothing else")
    if not 1 <= source.port <= 65535:
        yield Problem("spec.from.port", source.port, "write a port from 1 to 65535")
    if not source.user or _has_control(source.user):
        yield Problem("spec.from.user", source.user, "write the name of a database user")
    yield from _object_name("spec.from.secretName", source.secretName, needed=True)
    yield from _object_name("spec.from.tlsClientSecretName", source.tlsClientSecretName)


def _storage(s3: S3Spec | None) -> Iterator[Problem]:
    if s3 is None:
        yield Problem("spec.s3", None, "is missing: say where the archive goes (provider, bucket, ...)")
        return
    provider = PROVIDERS.get(s3.provider)
    if provider is None:
        yield Problem("spec.s3.provider", s3.provider, f"write one of {', '.join(PROVIDERS)}")
    yield from _bucket(s3)
    yield from _endpoint(s3)
    if not _REGION.fullmatch(s3.region):
        yield Problem("spec.s3.region", s3.region, "write a region such as us-east-1")
    yield from _object_name("spec.s3.secretName", s3.secretName)
    yield from _object_name("spec.s3.caSecretName", s3.caSecretName)
    if s3.acl and s3.acl not in ACLS:
        yield Problem("spec.s3.acl", s3.acl, f"write one of {', '.join(ACLS)}, or leave it out")
    if s3.storageClass and provider is not None and not _class_known(s3):
        yield Problem(
            "spec.s3.storageClass",
            s3.storageClass,
            f"write one of {', '.join(STORAGE_CLASSES)}, or leave it out",
        )
    if s3.sse not in ("", "AES256", "aws:kms"):
        yield Problem("spec.s3.sse", s3.sse, "write AES256 or aws:kms, or leave it out")
    if s3.sseKmsKeyId and s3.sse != "aws:kms":
        yield Problem("spec.s3.sseKmsKeyId", s3.sseKmsKeyId, "goes with sse: aws:kms only")
    yield from _rclone_flags(s3.options)


def _class_known(s3: S3Spec) -> bool:
    # Other services have classes of their own (Ceph's are made by its operator): there the server decides.
    return s3.storageClass in STORAGE_CLASSES or (
        s3.provider != "aws" and re.fullmatch(r"[A-Za-z0-9_.-]+", s3.storageClass) is not None
    )


def _bucket(s3: S3Spec) -> Iterator[Problem]:
    # The original's users write `bucket: name/folder` too: the folder goes before the prefix.
    bucket, _, folder = s3.bucket.partition("/")
    if not bucket:
        yield Problem("spec.s3.bucket", None, "is missing: name a bucket that exists")
    elif not _BUCKET.fullmatch(bucket) or ".." in bucket:
        yield Problem(
            "spec.s3.bucket",
            s3.bucket,
            "a bucket's name has 3 to 255 letters, digits, - _ or single dots",
        )
    for path, text in (("spec.s3.bucket", folder), ("spec.s3.prefix", s3.prefix.strip("/"))):
        if text and _bad_folder(text):
            yield Problem(
                path, text, "write folders as a/b: no empty part, no . or .., no control characters"
            )
    length = (
        len("/".join(part for part in (folder, s3.prefix.strip("/")) if part).encode()) + 1 + _LONGEST_NAME
    )
    if length > _KEY_LIMIT:
        yield Problem(
            "spec.s3.prefix",
            s3.prefix,
            f"the key would have {length} bytes and S3 allows {_KEY_LIMIT}: write a shorter one",
        )


def _bad_folder(text: str) -> bool:
    return _has_control(text) or any(part in ("", ".", "..") for part in text.split("/"))


def _endpoint(s3: S3Spec) -> Iterator[Problem]:
    path = "spec.s3.endpoint"
    if not s3.endpoint:
        if s3.provider != "aws" and s3.provider in PROVIDERS:
            yield Problem(path, None, f"is missing: provider {s3.provider} needs the URL of the service")
        return
    # What holds a user or a query is not shown: a password or a signature may be in it.
    shown = None if {"@", "?"} & set(s3.endpoint) else s3.endpoint
    scheme, separator, _ = s3.endpoint.partition("://")
    if separator and scheme not in ("http", "https"):
        yield Problem(path, shown, "write http:// or https://")
        return
    try:
        parts = urlsplit(s3.endpoint if separator else f"https://{s3.endpoint}")
        proper = bool(parts.hostname and _HOST.fullmatch(parts.hostname)) and parts.port != 0
    except ValueError:
        yield Problem(path, shown, "write a URL such as https://s3.example.com:9000")
        return
    if parts.username is not None:
        yield Problem(path, None, "holds a user name: put keys into the Secret that secretName names")
    elif not proper or parts.query or parts.fragment or _has_control(s3.endpoint) or " " in s3.endpoint:
        yield Problem(path, shown, "write a URL such as https://s3.example.com:9000")


def _rclone_flags(options: tuple[str, ...]) -> Iterator[Problem]:
    try:
        flags = read_rclone_flags(options)
    except ValueError as error:
        yield Problem("spec.s3.options", None, str(error))
        return
    for flag in flags:
        if flag.name not in RCLONE_NO_EFFECT:
            # The value is not shown: some of these flags carry keys.
            yield Problem(
                "spec.s3.options", flag.name, "is not supported: leave it out, or use a field of s3"
            )


def _unsupported(spec: BackupSpec) -> Iterator[Problem]:
    for name in ("gcs", "local", "azblob"):
        if getattr(spec, name) is not None:
            yield Problem(f"spec.{name}", None, "is not supported: archives go to s3 only")
    if spec.br is not None:
        yield Problem("spec.br", None, "is not supported: remove it for a logical backup with mydumper")
    if spec.useKMS:
        yield Problem("spec.useKMS", spec.useKMS, "is not supported: put the plain password into the Secret")
    if spec.backupType not in ("", "full"):
        yield Problem("spec.backupType", spec.backupType, "write full, or leave it out")
    if spec.tableFilter or (spec.dumpling and spec.dumpling.tableFilter):
        path = "spec.tableFilter" if spec.tableFilter else "spec.dumpling.tableFilter"
        yield Problem(path, None, "is not supported by this version: use spec.mydumper.tableRegex")
    if spec.dumpling and spec.dumpling.options:
        yield Problem(
            "spec.dumpling.options", None, "is not supported by this version: use spec.mydumper.options"
        )


def _the_rest(spec: BackupSpec) -> Iterator[Problem]:
    if spec.storageSize and not _positive_quantity(spec.storageSize):
        yield Problem("spec.storageSize", spec.storageSize, "write a size such as 10Gi")
    yield from _object_name("spec.storageClassName", spec.storageClassName or "")
    yield from _object_name("spec.serviceAccount", spec.serviceAccount)
    if spec.cleanPolicy is not None and spec.cleanPolicy not in set(CleanPolicy):
        yield Problem("spec.cleanPolicy", spec.cleanPolicy, f"write one of {', '.join(CleanPolicy)}")
    if spec.tikvGCLifeTime:
        yield from _duration("spec.tikvGCLifeTime", spec.tikvGCLifeTime)
    if spec.mydumper:
        yield from _mydumper_flags(spec.mydumper.options)
        yield from _regex(spec.mydumper.tableRegex)
    taken = RESERVED_ENV + (KEY_ENV if spec.s3 and spec.s3.secretName else ())
    for index, variable in enumerate(spec.env):
        if variable.get("name") in taken:
            yield Problem(
                f"spec.env[{index}].name", variable["name"], "is set by tidbbackup: use another name"
            )


def _mydumper_flags(options: tuple[str, ...]) -> Iterator[Problem]:
    try:
        flags = read_mydumper_flags(options)
    except ValueError as error:
        yield Problem("spec.mydumper.options", None, str(error))
        return
    for flag in flags:
        if flag.name not in MYDUMPER_ALLOWED | MYDUMPER_FORK_ONLY:
            yield Problem(
                "spec.mydumper.options",
                flag.name,
                f"is not allowed: allowed are {', '.join(sorted(MYDUMPER_ALLOWED))}",
            )
        elif _has_control(flag.value):
            yield Problem("spec.mydumper.options", flag.value, "holds a control character")


def _regex(text: str) -> Iterator[Problem]:
    if _has_control(text):
        yield Problem("spec.mydumper.tableRegex", text, "holds a control character")
        return
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        yield Problem("spec.mydumper.tableRegex", text, f"is no regular expression: {error}")


def _duration(path: str, text: str) -> Iterator[Problem]:
    try:
        parse_duration(text)
    except ValueError:
        yield Problem(path, text, "write a duration such as 30m, 72h or 3d")


def _positive_quantity(text: str) -> bool:
    try:
        return parse_quantity(text) > 0
    except ValueError:
        return False


def _object_name(path: str, name: str, *, needed: bool = False) -> Iterator[Problem]:
    if not name and needed:
        yield Problem(path, None, "is missing: name an object in this namespace")
    elif name and not _OBJECT_NAME.fullmatch(name):
        yield Problem(
            path, name, "write the name of an object in this namespace (lower case, digits, - and .)"
        )


def _has_control(text: str) -> bool:
    return any(ord(letter) < 32 or ord(letter) == 127 for letter in text)
