"""What is wrong with `spec.s3` and its options, which win over the fields as they do in rclone.

Must not know what only a server can tell: a bucket that is missing, a class that it does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from tidbbackup.decide.problem import Problem, did_you_mean, has_control, is_host, object_name
from tidbbackup.decide.spec.storage_target import ca_mount
from tidbbackup.model.flags.rclone import Asked, asked
from tidbbackup.model.providers import ACLS, ENCRYPTIONS, HARMLESS_ACLS, PROVIDERS, STORAGE_CLASSES
from tidbbackup.model.resource.backup import BackupSpec
from tidbbackup.model.resource.storage_spec import S3Spec

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9._-]*")
_KEY_LIMIT = 1024
# `backup-20261123T030000Z-0123abcd.manifest.json`: the longest name that stands below the prefix.
_LONGEST_NAME = 46
_OPTIONS = "spec.s3.options"
# How the host names of S3 services begin or end. Others may begin with a word that is a bucket's name too, as
# those of Services in the cluster do (http://minio.storage.svc).
_SERVICE = re.compile(
    r"(s3|oss|cos|obs|nos|minio|ceph|rgw|objects|storage)[^.]*\..*|.*(spaces|objects|storage)\.com"
)
# What S3 takes in names and values of tags, in any script.
_TAG = re.compile(r"[\w +\-=.:/@]{0,256}")


def storage(spec: BackupSpec) -> Iterator[Problem]:
    """Everything wrong with where the archive goes and how, in the order of the schema."""
    s3 = spec.s3
    if s3 is None:
        yield Problem("spec.s3", None, "is missing: say where the archive goes (provider, bucket, ...)")
        return
    if s3.provider not in PROVIDERS:
        cure = f"write one of {', '.join(PROVIDERS)}{did_you_mean(s3.provider, PROVIDERS)}"
        yield Problem("spec.s3.provider", s3.provider, cure)
    yield from _bucket(s3)
    yield from _endpoint(s3)
    if not _REGION.fullmatch(s3.region):
        yield Problem("spec.s3.region", s3.region, "write a region such as us-east-1")
    yield from object_name("spec.s3.secretName", s3.secretName)
    yield from object_name("spec.s3.caSecretName", s3.caSecretName)
    wanted = asked(s3.options)
    yield from _acl(s3, wanted)
    yield from _class(s3, wanted)
    if s3.sse and s3.sse not in ENCRYPTIONS:
        yield Problem("spec.s3.sse", s3.sse, f"write {' or '.join(ENCRYPTIONS)}, or leave it out")
    if (s3.sseKmsKeyId or wanted.target.get("sseKmsKeyId")) and wanted.target.get("sse", s3.sse) != "aws:kms":
        yield Problem("spec.s3.sseKmsKeyId", s3.sseKmsKeyId or None, "goes with sse: aws:kms only")
    yield from _tags(s3.tags or {})
    for mistake in wanted.mistakes:
        yield Problem(_OPTIONS, mistake.shown, mistake.cure)
    yield from _ca_file(spec, wanted)


def _acl(s3: S3Spec, wanted: Asked) -> Iterator[Problem]:
    if s3.acl and s3.acl not in ACLS:
        yield Problem("spec.s3.acl", s3.acl, f"write one of {', '.join(ACLS)}, or leave it out")
        return
    path, acl = (_OPTIONS, wanted.target["acl"]) if "acl" in wanted.target else ("spec.s3.acl", s3.acl)
    # The harmless ones are left away with a Warning: they ask for no more than the bucket's rule gives.
    if acl and acl not in s3.row.acls and acl not in HARMLESS_ACLS:
        yield Problem(
            path, acl, f"{s3.row.title} knows {', '.join(s3.row.acls)} only: write one, or leave it out"
        )


def _class(s3: S3Spec, wanted: Asked) -> Iterator[Problem]:
    asked_for = {"spec.s3.storageClass": s3.storageClass, _OPTIONS: wanted.target.get("storageClass", "")}
    for path, name in asked_for.items():
        # Other services have classes of their own (Ceph's are made by its operator): the server decides.
        elsewhere = s3.provider != "aws" and re.fullmatch(r"[A-Za-z0-9_.-]+", name)
        if name and name not in STORAGE_CLASSES and not elsewhere and s3.provider in PROVIDERS:
            yield Problem(path, name, f"write one of {', '.join(STORAGE_CLASSES)}, or leave it out")


def _tags(tags: dict[str, str]) -> Iterator[Problem]:
    for name, value in tags.items():
        known = _TAG.fullmatch(name) and _TAG.fullmatch(value) is not None
        if not known or not 1 <= len(name) <= 128 or name.lower().startswith("aws:"):
            yield Problem(
                "spec.s3.tags",
                name,
                "write letters, digits, spaces and + - = . _ : / @, 1 to 128 for the name, not beginning "
                "with aws:, and up to 256 for the value",
            )


def _ca_file(spec: BackupSpec, wanted: Asked) -> Iterator[Problem]:
    path = wanted.transfer.caFile
    if path and ca_mount(spec, path) is None:
        yield Problem(
            _OPTIONS,
            "--ca-cert",
            "names no file in a mounted volume: put the CA into the Secret of spec.s3.caSecretName, or mount "
            "its volume by spec.additionalVolumes and spec.additionalVolumeMounts",
        )


def _bucket(s3: S3Spec) -> Iterator[Problem]:
    # The original's users write `bucket: name/folder` too: the folder goes before the prefix.
    bucket, _, folder = s3.bucket.partition("/")
    if s3.bucket.startswith("s3://"):
        yield Problem("spec.s3.bucket", s3.bucket, f"write {s3.bucket[5:]}, without s3://")
        return
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
    return has_control(text) or any(part in ("", ".", "..") for part in text.split("/"))


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
        proper = bool(parts.hostname and is_host(parts.hostname)) and parts.port != 0
    except ValueError:
        yield Problem(path, shown, "write a URL such as https://s3.example.com:9000")
        return
    if parts.username is not None:
        yield Problem(path, None, "holds a user name: put keys into the Secret that secretName names")
    elif proper and (parts.path.strip("/") or _holds_bucket(parts.hostname or "", s3)) and not parts.query:
        cure = "holds a path or the bucket, so the archive would go elsewhere than is told: write the "
        cure += "service's address alone, the bucket into spec.s3.bucket, folders into spec.s3.prefix"
        yield Problem(path, shown, cure)
    elif not proper or parts.query or parts.fragment or has_control(s3.endpoint) or " " in s3.endpoint:
        yield Problem(path, shown, "write a URL such as https://s3.example.com:9000")


def _holds_bucket(host: str, s3: S3Spec) -> bool:
    bucket = s3.bucket.partition("/")[0].lower()
    service = host.removeprefix(f"{bucket}.")
    inside = service.rstrip(".").endswith((".svc", ".local"))
    return bool(bucket) and service != host and not inside and bool(_SERVICE.fullmatch(service))
