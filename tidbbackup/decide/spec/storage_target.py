"""`spec.s3` and its options as an ObjectTarget: every default filled in by the provider's row.

The archive's key comes from metadata and the immutable spec alone. Is only asked about a spec that
valid_storage finds nothing wrong with. Must not know the worker's other settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tidbbackup.model import reasons
from tidbbackup.model.compression import Compression
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.flags.rclone import HONOURED, asked
from tidbbackup.model.names import archive_key
from tidbbackup.model.providers import HARMLESS_ACLS, LARGEST_PART, MIB, ObjectTarget
from tidbbackup.model.resource.backup import Backup, BackupSpec
from tidbbackup.model.resource.storage_spec import S3Spec
from tidbbackup.model.wire import objects

# Which field of spec.s3 a flag is stronger than.
_FIELDS = {
    "acl": "acl",
    "storageClass": "storageClass",
    "sse": "sse",
    "sseKmsKeyId": "sseKmsKeyId",
    "pathStyle": "forcePathStyle",
}


def object_target(backup: Backup) -> ObjectTarget:
    """Where this Backup's archive is or will be. A flag in the options is stronger than its field."""
    s3, meta = backup.spec.s3, backup.metadata
    assert s3 is not None
    assert meta.creationTimestamp is not None
    provider = s3.row
    bucket, _, folder = s3.bucket.partition("/")
    prefix = f"{folder}/{s3.prefix.strip('/')}".strip("/")
    wanted = asked(s3.options)
    settings: dict[str, Any] = {
        "pathStyle": _path_style(s3),
        "acl": s3.acl,
        "storageClass": s3.storageClass or provider.storage_class,
        "sse": s3.sse,
        "sseKmsKeyId": s3.sseKmsKeyId,
    } | wanted.target
    if settings["acl"] not in provider.acls:
        # Only a harmless one gets here: left away, which storage_notices tells.
        settings["acl"] = ""
    return ObjectTarget(
        provider=provider.name,
        bucket=bucket,
        key=archive_key(prefix, meta.creationTimestamp, meta.uid, Compression(backup.spec.compression)),
        region=s3.region or provider.region,
        endpoint=_endpoint(s3),
        customCa=bool(s3.caSecretName) and not wanted.transfer.caFile,
        tags=s3.tags or {},
        transfer=wanted.transfer,
        **settings,
    )


def storage_notices(s3: S3Spec) -> Iterator[Notice]:
    """What is asked for without effect, twice, or at a risk. Never raises, whatever the options are."""
    wanted = asked(s3.options)
    if s3.path:
        yield Notice(reasons.NO_EFFECT, "spec.s3.path has no effect")
    for name in wanted.without_effect:
        yield Notice(reasons.NO_EFFECT, f"s3 option {name} has no effect")
    for flag, honoured in HONOURED.items():
        field = _FIELDS.get(honoured.sets)
        if field and honoured.sets in wanted.target:
            here, there = wanted.target[honoured.sets], getattr(s3, field)
            if there not in (None, "", here):
                yield Notice(
                    reasons.OPTION_OVERRIDES, f"s3 option {flag} ({here}) wins over spec.s3.{field} ({there})"
                )
    if wanted.transfer.caFile and s3.caSecretName:
        yield Notice(reasons.OPTION_OVERRIDES, "s3 option --ca-cert wins over spec.s3.caSecretName")
    if (wanted.transfer.partBytes or 0) > LARGEST_PART:
        yield Notice(
            reasons.NO_EFFECT,
            f"s3 option --s3-chunk-size: parts have {LARGEST_PART // MIB}M, the most that memory is used for",
        )
    if s3.endpoint and "://" not in s3.endpoint:
        yield Notice(
            reasons.ENDPOINT_WITHOUT_SCHEME, f"spec.s3.endpoint has no scheme: {_endpoint(s3)} is used"
        )
    acl = wanted.target.get("acl", s3.acl)
    if acl in HARMLESS_ACLS and acl not in s3.row.acls:
        yield Notice(reasons.ACL_NOT_SUPPORTED, f"{s3.row.title} does not know acl {acl}: none is sent")


def ca_mount(spec: BackupSpec, path: str) -> dict[str, Any] | None:
    """The user's mount that holds this file, None where none does; the innermost, as the node mounts them."""
    holding = [
        mount
        for mount in objects(spec.additionalVolumeMounts)
        if isinstance(mount.get("mountPath"), str) and path.startswith(_folder(mount))
    ]
    return max(holding, key=lambda mount: len(_folder(mount)), default=None)


def _folder(mount: dict[str, Any]) -> str:
    return str(mount["mountPath"]).rstrip("/") + "/"


def _endpoint(s3: S3Spec) -> str:
    if not s3.endpoint or "://" in s3.endpoint:
        return s3.endpoint.rstrip("/")
    return f"{s3.row.scheme}://{s3.endpoint}".rstrip("/")


def _path_style(s3: S3Spec) -> bool:
    if s3.forcePathStyle is not None:
        return s3.forcePathStyle
    return bool(s3.endpoint) and not s3.row.virtual_only
