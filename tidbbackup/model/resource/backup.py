"""The Backup resource: its spec, which a user writes, and its status, which we write.

Must not validate (decide/spec/valid.py does) and must not know how a Backup is run.
"""

from __future__ import annotations

import sys
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar

import attrs
import msgspec
from attrs import frozen

from tidbbackup.model.compression import Compression
from tidbbackup.model.contract.task import DumperName
from tidbbackup.model.meta import Meta, ObjectKey
from tidbbackup.model.names import BEGUN_UID, archive_stem
from tidbbackup.model.resource.pod_settings import PodSettings
from tidbbackup.model.resource.storage_spec import S3Spec, Source
from tidbbackup.model.units import QUANTITY_PATTERN
from tidbbackup.model.wire import (
    EMPTY,
    NAME_LENGTH,
    TEXT_LENGTH,
    Free,
    Reader,
    declared,
    passed_on,
)

KIND = "Backup"


class Phase(StrEnum):
    """Exactly one of these conditions is True, and `status.phase` names it."""

    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"
    INVALID = "Invalid"
    CLEAN = "Clean"
    CLEAN_FAILED = "CleanFailed"


WARNING = "Warning"
FINISHED = "Finished"
SUCCEEDED = "Succeeded"
PROVEN = "Proven"
"""Conditions that are never a phase. Finished is True once the Backup is Complete or Failed; Succeeded is
then True or False. Proven tells whether the newest drill has restored all that it took of the archive."""


class CleanPolicy(StrEnum):
    """What happens to the archive when its Backup is deleted."""

    RETAIN = "Retain"
    ON_FAILURE = "OnFailure"
    DELETE = "Delete"


@frozen
class MydumperSpec:
    """Flags for mydumper, as in TiDB Operator v1.1.0 to v1.1.2."""

    options: tuple[str, ...] = declared(
        (), "Flags of mydumper; they replace the defaults.", maxItems=64, itemLength=TEXT_LENGTH
    )
    tableRegex: str = declared(
        "", "Regular expression for what to dump, searched in database.table.", maxLength=TEXT_LENGTH
    )


@frozen
class DumplingSpec:
    """Flags for dumpling, as in TiDB Operator v1.1.3 and later."""

    options: tuple[str, ...] = declared((), "Flags of dumpling.", maxItems=64, itemLength=TEXT_LENGTH)
    tableFilter: tuple[str, ...] = declared(
        (), "The older place of spec.tableFilter.", maxItems=256, itemLength=TEXT_LENGTH
    )


@frozen
class BackoffRetryPolicy:
    """Opt-in retries after a disruption of the node or the pod; never after an error of the backup itself."""

    minRetryDuration: str = declared("300s", "Wait before the first retry; doubles each time.", maxLength=64)
    maxRetryTimes: int = declared(2, "How many retries at the most.", minimum=0, maximum=100)
    retryTimeout: str = declared(
        "30m", "No retry starts later than this after the first failure.", maxLength=64
    )


_BR = "No effect: only BR of TiDB Operator uses it."


@frozen
class BrSettings(PodSettings):
    """Fields of TiDB Operator 1.4 to 1.6 for physical backups; its CRD gives some of them a default."""

    backupMode: str | None = declared(None, _BR, maxLength=NAME_LENGTH)
    commitTs: str | None = declared(None, _BR, maxLength=NAME_LENGTH)
    logSubcommand: str | None = declared(None, _BR, maxLength=NAME_LENGTH)
    logTruncateUntil: str | None = declared(None, _BR, maxLength=NAME_LENGTH)
    logStop: bool | None = declared(None, _BR)
    calcSizeLevel: str | None = declared(None, _BR, maxLength=NAME_LENGTH)
    federalVolumeBackupPhase: str | None = declared(None, _BR, maxLength=NAME_LENGTH)
    resumeGcSchedule: bool | None = declared(None, _BR)
    volumeBackupInitJobMaxActiveSeconds: int | None = declared(None, _BR)


ONLY_FOR_BR = tuple(BrSettings.__annotations__)
"""The names of these fields."""


@frozen
class BackupSpec(BrSettings):
    """What to back up, to where, and how.

    `from` is a Python keyword: it is `source` here.
    """

    source: Source | None = declared(None, "The database to back up.")
    s3: S3Spec | None = declared(None, "Where the archive goes.")
    storageClassName: str | None = declared(
        None,
        "StorageClass of the staging volume. Absent: the cluster's default class.",
        maxLength=NAME_LENGTH,
    )
    storageSize: str = declared(
        "",
        "Size of the staging volume; may be smaller than the dump. Absent: on the node's disk (emptyDir).",
        pattern=QUANTITY_PATTERN,
        maxLength=64,
    )
    backupType: str = declared("", "full, or absent.", maxLength=NAME_LENGTH)
    tikvGCLifeTime: str = declared(
        "",
        "How long TiKV keeps old versions during the dump, up to 8760h; absent: 72h, 0s: not changed.",
        maxLength=64,
    )
    tableFilter: tuple[str, ...] = declared(
        (),
        "Which tables to dump, by the rules of TiDB's table filter.",
        maxItems=256,
        itemLength=TEXT_LENGTH,
    )
    dumper: str | None = declared(
        None,
        "The program that reads the rows: mydumper (every server) or dumpling (TiDB only). Absent: dumpling "
        "where spec.dumpling is given, else mydumper.",
        enum=[dumper.value for dumper in DumperName],
    )
    mydumper: MydumperSpec | None = declared(None, "Flags for mydumper.")
    dumpling: DumplingSpec | None = declared(None, "Flags for dumpling.")
    compression: str = declared(
        Compression.GZIP.value,
        "How the archive is compressed: gzip (.tgz) or zstd (.tar.zst, faster and smaller).",
        enum=[each.value for each in Compression],
    )
    cleanPolicy: str | None = declared(
        None,
        "What happens to the archive when the Backup is deleted: Retain, OnFailure (delete it if the backup "
        "failed) or Delete. Absent: Retain for one made by hand, Delete for one made by a schedule.",
        enum=[policy.value for policy in CleanPolicy],
    )
    backoffRetryPolicy: BackoffRetryPolicy | None = declared(
        None, "Retry after a disruption. Absent: a failed backup is not retried."
    )
    br: Free | None = passed_on("Not supported: physical backups need the original operator.")
    gcs: Free | None = passed_on("Not supported: use s3.")
    local: Free | None = passed_on("Not supported: use s3.")
    azblob: Free | None = passed_on("Not supported: use s3.")
    useKMS: bool = declared(False, "Not supported: true is refused; put the plain password into the Secret.")
    storageType: str = declared(
        "", "No effect: a field of old examples; s3 is enough.", maxLength=NAME_LENGTH
    )
    toolImage: str = declared(
        "", "No effect: the dumper is part of the worker's image.", maxLength=TEXT_LENGTH
    )
    cleanOption: Free | None = passed_on("No effect: an archive is one object, so there is nothing to tune.")
    volumeAttributesClassName: str | None = declared(
        None, "No effect: the staging volume is ephemeral.", maxLength=NAME_LENGTH
    )


@frozen
class Condition:
    """One condition in Kubernetes' usual form; `status` is the word True or False."""

    type: str = declared("", "Which condition.")
    status: str = declared("", "True or False.")
    reason: str = declared("", "One CamelCase word for programs.")
    message: str = declared("", "A sentence for people.")
    lastTransitionTime: datetime | None = declared(None, "When status last changed.")

    def __attrs_post_init__(self) -> None:
        # Thousands of Backups and Jobs have the same words: a fifth of the controller's memory.
        for name in ("type", "status", "reason", "message"):
            word = getattr(self, name)
            if type(word) is str:
                object.__setattr__(self, name, sys.intern(word))


@frozen
class Progress:
    """How far a running backup is; written by the controller's progress task alone."""

    text: str = declared("", "The step and the percent, or the bytes dumped, for people.")
    step: str = declared("", "What the worker is doing.")
    dumpedBytes: int = declared(0, "Bytes of SQL written so far.")
    estimatedBytes: int = declared(0, "Bytes of SQL expected; 0: not known.")
    uploadedBytes: int = declared(0, "Bytes of the archive sent so far.")
    percent: int | None = declared(None, "An estimate of the whole run, 0 to 99. Absent: not known.")


@frozen
class RetryRecord:
    """One attempt after the first: why, when it is to begin, when it began."""

    retryNum: int = declared(0, "Which retry: 1 is the second attempt.")
    detectFailedAt: datetime | None = declared(
        None, "When the controller saw the end of the attempt before it."
    )
    expectedRetryAt: datetime | None = declared(None, "When it is to begin.")
    realRetryAt: datetime | None = declared(None, "When it began.")
    retryReason: str = declared("", "Why the attempt before it ended, one CamelCase word.")
    originalReason: str = declared("", "The same as a sentence.")


@frozen
class StatusWarning:
    """One thing that is worth a warning."""

    reason: str = declared("", "One CamelCase word for programs.")
    message: str = declared("", "A sentence for people.")


@frozen
class RunEnd:
    """How a run ended whose worker left no result, as it was first seen: what shows it is soon deleted."""

    at: datetime | None = declared(None, "When it ended or was stopped.")
    reason: str = declared("", "One CamelCase word for programs.")
    message: str = declared("", "A sentence for people.")
    stopped: bool = declared(
        False, "True: the controller stops it, because it did not start in time or the Backup is deleted."
    )


@frozen
class BackupStatus:
    """The state of the Backup. Sizes in bytes, times in UTC."""

    phase: str = declared(
        "", "Scheduled, Running, Complete, Failed, Invalid, Clean or CleanFailed.", maxLength=64
    )
    conditions: tuple[Condition, ...] = declared(
        (),
        "One for each phase that was reached, Warning, and once the run is over Finished and Succeeded.",
        mapKey="type",
    )
    backupPath: str = declared("", "The archive: s3://bucket/key.")
    log: str = declared(
        "",
        "The last 64 KiB of the worker's log, of the last attempt that could write it: s3://bucket/key.log.",
    )
    backupSize: int | None = declared(None, "Bytes of the archive.")
    backupSizeReadable: str = declared("", "The same for people.")
    commitTs: str = declared("", "TiDB's timestamp of the data in the archive.")
    timeStarted: datetime | None = declared(None, "When the worker began.")
    timeCompleted: datetime | None = declared(None, "When the run ended, Complete or Failed.")
    timeTaken: str = declared("", "From start to end.")
    progress: Progress | None = declared(
        None, "The progress of a running backup, or how far a failed one got."
    )
    databases: tuple[str, ...] = declared((), "The first 20 databases in the archive.")
    databaseCount: int | None = declared(None, "How many databases are in the archive.")
    checksum: str = declared("", "sha256:<hex> of the archive.")
    backoffRetryStatus: tuple[RetryRecord, ...] = declared(
        (), "The attempts after the first, by spec.backoffRetryPolicy."
    )
    warnings: tuple[StatusWarning, ...] = declared(
        (), "All warnings that still apply; the condition Warning has their messages."
    )
    uploadLeftOpen: bool = declared(
        False,
        "True: an upload of the run may still be open, or the storage may still complete it; deleting the "
        "Backup cleans it.",
    )
    gcLifeTimeHeld: bool = declared(
        False,
        "True: the run may have left TiDB's GC life time raised; the Job aftermath-<backup> restores it.",
    )
    runEnded: RunEnd | None = declared(
        None, "How the run ended, if its worker left no result; until the Backup is Complete or Failed."
    )
    observedGeneration: int | None = declared(None, "The generation of the spec that this status belongs to.")

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, whatever its status."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


@frozen
class Backup:
    """A backup of a TiDB or MySQL database to S3-compatible storage, run once."""

    kind: ClassVar[str] = KIND
    metadata: Meta
    spec: BackupSpec = attrs.field(factory=BackupSpec)
    status: BackupStatus = attrs.field(factory=BackupStatus)

    @property
    def key(self) -> ObjectKey:
        """Its key, which is also the reconcile key."""
        return ObjectKey(KIND, self.metadata.namespace, self.metadata.name)

    @property
    def attempt(self) -> int:
        """The number of the attempt that runs or comes next: 1, and one more for each record of a retry."""
        return 1 + len(self.status.backoffRetryStatus)

    @property
    def tried_before(self) -> bool:
        """There were attempts before that left no result; the result of the last one says nothing of them."""
        return self.attempt > 1

    @property
    def foreign(self) -> str:
        """Why this object is foreign, and the cure; empty if it is ours.

        Ours is an object that has not begun, or was begun with this uid. Only this property decides it.
        """
        meta, status = self.metadata, self.status
        if status.phase and status.observedGeneration is None:
            return (
                f"it was run by another operator (phase {status.phase}); to run it again, create it under "
                "another name"
            )
        begun = meta.annotations.get(BEGUN_UID, meta.uid)
        if begun != meta.uid:
            return (
                f"it is a copy of another Backup or was restored: annotation {BEGUN_UID} is {begun[:36]!r}, "
                f"its own uid is {meta.uid}; to run it as a new Backup, remove that annotation"
            )
        stem = archive_stem(meta.creationTimestamp, meta.uid) if meta.creationTimestamp else ""
        if status.backupPath and not status.backupPath.rpartition("/")[2].startswith(stem):
            return (
                f"it is a copy of another Backup or was restored: status.backupPath is the archive "
                f"of the original, {status.backupPath}; to run it again, create a Backup from its spec alone"
            )
        return ""


@frozen
class _Undecoded:
    metadata: Meta
    spec: msgspec.Raw = EMPTY
    status: BackupStatus | None = None


_ENVELOPE = msgspec.json.Decoder(_Undecoded)
_SHARED_SPEC = 8 * 1024
"""Bytes of the longest spec that is shared by all Backups that have it."""

spec_from_wire = Reader(BackupSpec).read
"""`spec` of a Backup or `backupTemplate` of a schedule, from its JSON."""


def decode_backup(data: bytes | msgspec.Raw) -> Backup:
    """A Backup from its JSON; unknown fields are ignored.

    Raises:
        msgspec.ValidationError: not a Backup; the message names the path.
    """
    raw = _ENVELOPE.decode(data)
    small = len(raw.spec) <= _SHARED_SPEC
    spec = _shared_spec(bytes(raw.spec)) if small else spec_from_wire(raw.spec)
    return Backup(raw.metadata, spec, raw.status or BackupStatus())


@lru_cache(maxsize=256)
def _shared_spec(data: bytes) -> BackupSpec:
    # All Backups of a schedule have the same spec: one object instead of thousands, decoded once.
    return spec_from_wire(data)


def spec_to_wire(spec: PodSettings) -> dict[str, Any]:
    """The JSON of a Backup's or Restore's spec, without fields that have their default."""
    wire = _written(spec)
    if "source" in wire:
        wire["from"] = wire.pop("source")
    return wire


def _written(part: Any) -> dict[str, Any]:
    said = {}
    for attribute in attrs.fields(type(part)):
        value = getattr(part, attribute.name)
        if value == attribute.default:
            continue
        if isinstance(value, Free):
            said[attribute.name] = value.value
        else:
            plain = list(value) if isinstance(value, tuple) else value
            said[attribute.name] = _written(value) if attrs.has(type(value)) else plain
    return said
