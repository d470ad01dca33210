"""A Backup in the worker's terms: every default filled in, every name computed.

The archive's key comes from metadata and the immutable spec alone. Must not know Jobs or pods, and is
only asked about a spec that valid.problems() finds nothing wrong with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tidbbackup.model.backup import Backup, BackupSpec, CleanPolicy
from tidbbackup.model.names import DUE_TIME, SCHEDULE_LABEL, archive_key
from tidbbackup.model.options import (
    MYDUMPER_FORK_ONLY,
    RCLONE_NO_EFFECT,
    Flag,
    read_mydumper_flags,
    read_rclone_flags,
)
from tidbbackup.model.reasons import ENDPOINT_WITHOUT_SCHEME, NO_EFFECT
from tidbbackup.model.result import Notice
from tidbbackup.model.storage import PROVIDERS, ObjectTarget
from tidbbackup.model.storage_spec import S3Spec
from tidbbackup.model.task import DatabaseTarget, DumpSettings, WorkerTask
from tidbbackup.model.units import parse_quantity

_NO_EFFECT = (
    *("storageType", "toolImage", "cleanOption", "volumeAttributesClassName"),
    # These are to come. Until then whoever asks for them is told.
    *("backoffRetryPolicy", "tikvGCLifeTime"),
)


def worker_task(backup: Backup, *, delete_data: bool = False) -> WorkerTask:
    """What a worker has to know to dump this Backup, or to clean up after it."""
    spec, meta = backup.spec, backup.metadata
    assert spec.source is not None
    source = spec.source
    return WorkerTask(
        backup=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        target=object_target(backup),
        database=DatabaseTarget(source.host, source.port, source.user, bool(source.tlsClientSecretName)),
        dump=_dump_settings(spec),
        stagingBytes=parse_quantity(spec.storageSize) if spec.storageSize else 0,
        deleteData=delete_data,
    )


def object_target(backup: Backup) -> ObjectTarget:
    """Where this Backup's archive is or will be."""
    s3, meta = backup.spec.s3, backup.metadata
    assert s3 is not None
    assert meta.creationTimestamp is not None
    provider = PROVIDERS[s3.provider]
    bucket, _, folder = s3.bucket.partition("/")
    prefix = f"{folder}/{s3.prefix.strip('/')}".strip("/")
    return ObjectTarget(
        provider=provider.name,
        bucket=bucket,
        key=archive_key(prefix, meta.creationTimestamp, meta.uid),
        region=s3.region or provider.region,
        endpoint=_endpoint(s3),
        pathStyle=_path_style(s3),
        acl=s3.acl,
        storageClass=s3.storageClass or provider.storage_class,
        sse=s3.sse,
        sseKmsKeyId=s3.sseKmsKeyId,
        customCa=bool(s3.caSecretName),
        tags=s3.tags or {},
    )


def clean_policy(backup: Backup) -> CleanPolicy:
    """The policy in force: a schedule owns the retention of what it made, a hand-made Backup is kept."""
    asked = backup.spec.cleanPolicy
    if asked is not None:
        # A word that is no policy asks for nothing: no data is deleted on a guess.
        return CleanPolicy(asked) if asked in set(CleanPolicy) else CleanPolicy.RETAIN
    meta = backup.metadata
    scheduled = SCHEDULE_LABEL in meta.labels and DUE_TIME in meta.annotations
    return CleanPolicy.DELETE if scheduled else CleanPolicy.RETAIN


def notices(spec: BackupSpec) -> tuple[Notice, ...]:
    """What a spec asks for that has no effect here, for the Warning condition.

    Never raises: options can be edited into nonsense while a run is on, and it has to end all the same.
    """
    return tuple(_notices(spec))


def _notices(spec: BackupSpec) -> Iterator[Notice]:
    for name in _NO_EFFECT:
        if getattr(spec, name) not in (None, ""):
            yield Notice(NO_EFFECT, f"spec.{name} has no effect")
    if spec.mydumper:
        for flag in _flags(read_mydumper_flags, spec.mydumper.options):
            if flag.name in MYDUMPER_FORK_ONLY:
                yield Notice(NO_EFFECT, f"{flag.name} is known to a fork of mydumper only: it has no effect")
    if spec.s3:
        if spec.s3.path:
            yield Notice(NO_EFFECT, "spec.s3.path has no effect")
        for option in _flags(read_rclone_flags, spec.s3.options):
            if option.name in RCLONE_NO_EFFECT and option.name != "--ignore-checksum":
                yield Notice(NO_EFFECT, f"s3 option {option.name} has no effect")
        if spec.s3.endpoint and "://" not in spec.s3.endpoint:
            yield Notice(
                ENDPOINT_WITHOUT_SCHEME, f"spec.s3.endpoint has no scheme: {_endpoint(spec.s3)} is used"
            )


def _flags(read: Callable[[tuple[str, ...]], tuple[Flag, ...]], options: tuple[str, ...]) -> tuple[Flag, ...]:
    try:
        return read(options)
    except ValueError:
        return ()


def _endpoint(s3: S3Spec) -> str:
    if not s3.endpoint or "://" in s3.endpoint:
        return s3.endpoint.rstrip("/")
    provider = PROVIDERS.get(s3.provider, PROVIDERS["other"])
    return f"{provider.scheme}://{s3.endpoint}".rstrip("/")


def _path_style(s3: S3Spec) -> bool:
    if s3.forcePathStyle is not None:
        return s3.forcePathStyle
    provider = PROVIDERS[s3.provider]
    return not provider.virtual_only and (provider.path_style or bool(s3.endpoint))


def _dump_settings(spec: BackupSpec) -> DumpSettings:
    if spec.mydumper is None:
        return DumpSettings()
    flags = read_mydumper_flags(spec.mydumper.options)
    kept = tuple(
        f"{flag.name}={flag.value}" if flag.value else flag.name
        for flag in flags
        if flag.name not in MYDUMPER_FORK_ONLY
    )
    return DumpSettings(kept, spec.mydumper.tableRegex)
