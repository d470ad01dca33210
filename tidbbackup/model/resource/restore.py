"""The Restore resource: its spec, which a user writes, and its status, which we write.

Must not validate (decide/spec/restored.py does) and must not know how a Restore is run.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import attrs
import msgspec
from attrs import frozen

from tidbbackup.model.meta import Meta, ObjectKey
from tidbbackup.model.names import BEGUN_UID, GROUP
from tidbbackup.model.resource.backup import Condition, Phase, RunEnd, StatusWarning
from tidbbackup.model.resource.pod_settings import PodSettings
from tidbbackup.model.resource.storage_spec import S3Spec, Source
from tidbbackup.model.wire import EMPTY, NAME_LENGTH, TEXT_LENGTH, Free, Reader, declared, passed_on

KIND = "Restore"


class Overwrite(StrEnum):
    """What happens to a table of the archive that exists in the target."""

    NEVER = "Never"
    TABLES = "Tables"


class Afterwards(StrEnum):
    """What becomes of what a restore has created, once it has been compared."""

    KEEP = "Keep"
    DROP = "Drop"


@frozen
class RestoreSpec(PodSettings):
    """What to restore, from where, and into which server."""

    to: Source | None = declared(None, "The server to load into.")
    backup: str = declared(
        "",
        "A Backup of this namespace that is Complete: its bucket, key and credentials are used.",
        maxLength=NAME_LENGTH,
    )
    s3: S3Spec | None = declared(
        None, "Or the archive itself: s3.path is s3://bucket/key, as in status.backupPath."
    )
    tableFilter: tuple[str, ...] = declared(
        (),
        "Which tables to restore, by the rules of TiDB's table filter; absent: all.",
        maxItems=256,
        itemLength=TEXT_LENGTH,
    )
    overwrite: str = declared(
        Overwrite.NEVER.value,
        "Never: a table that exists makes the restore fail before anything is written. Tables: the tables of "
        "the archive are dropped first.",
        enum=[each.value for each in Overwrite],
    )
    databaseSuffix: str = declared(
        "",
        "Restore each database under its name and this, such as _drill: a new database with tables and their "
        "rows only, without views, triggers, routines and events.",
        maxLength=32,
    )
    afterwards: str = declared(
        Afterwards.KEEP.value,
        "Drop: what the restore has created, and nothing else, is dropped at its end: a drill.",
        enum=[each.value for each in Afterwards],
    )
    storageClassName: str | None = declared(
        None, "No effect: a restore streams and needs no volume.", maxLength=NAME_LENGTH
    )
    storageSize: str = declared("", "No effect: a restore streams and needs no volume.", maxLength=64)
    backupType: str = declared("", "full, or absent.", maxLength=NAME_LENGTH)
    br: Free | None = passed_on("Not supported: physical backups need the original operator.")
    gcs: Free | None = passed_on("Not supported: use s3.")
    local: Free | None = passed_on("Not supported: use s3.")
    azblob: Free | None = passed_on("Not supported: use s3.")
    useKMS: bool = declared(False, "Not supported: true is refused; put the plain password into the Secret.")
    tikvGCLifeTime: str = declared("", "No effect: a restore reads no snapshot.", maxLength=64)
    storageType: str = declared(
        "", "No effect: a field of old examples; s3 is enough.", maxLength=NAME_LENGTH
    )
    toolImage: str = declared("", "No effect: the loader is part of the worker.", maxLength=TEXT_LENGTH)


@frozen
class RestoreProgress:
    """How far a running restore is; written by the controller's progress task alone."""

    text: str = declared("", "The step and the percent, for people.")
    step: str = declared("", "What the worker is doing.")
    loadedBytes: int = declared(0, "Bytes of SQL that the server has carried out so far.")
    loadedRows: int = declared(0, "The rows in them.")
    percent: int | None = declared(None, "How much of the archive is read, 0 to 99. Absent: not known.")


@frozen
class RestoreStatus:
    """The state of the Restore. Times in UTC."""

    phase: str = declared("", "Scheduled, Running, Complete, Failed or Invalid.", maxLength=64)
    conditions: tuple[Condition, ...] = declared(
        (),
        "One for each phase that was reached, Warning, and once it is over Finished and Succeeded.",
        mapKey="type",
    )
    backupPath: str = declared("", "The archive that is restored: s3://bucket/key.")
    commitTs: str = declared("", "TiDB's timestamp of the data in the archive.")
    timeStarted: datetime | None = declared(None, "When the worker began.")
    timeCompleted: datetime | None = declared(None, "When it ended, Complete or Failed.")
    timeTaken: str = declared("", "From start to end.")
    progress: RestoreProgress | None = declared(
        None, "The progress of a running restore, or how far a failed one got."
    )
    databases: tuple[str, ...] = declared((), "The first 20 databases that were restored.")
    databaseCount: int | None = declared(None, "How many databases were restored.")
    tables: int | None = declared(None, "How many tables were restored.")
    rows: int | None = declared(None, "How many rows they have, as many as in the archive.")
    runEnded: RunEnd | None = declared(
        None, "Why the run is stopped: its pod did not start in time; until the Restore is Failed."
    )
    warnings: tuple[StatusWarning, ...] = declared(
        (), "All warnings that still apply; the condition Warning has their messages."
    )
    observedGeneration: int | None = declared(None, "The generation of the spec that this status belongs to.")

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, whatever its status."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


@frozen
class Restore:
    """Loads an archive into a database server, once."""

    kind: ClassVar[str] = KIND
    metadata: Meta
    spec: RestoreSpec = attrs.field(factory=RestoreSpec)
    status: RestoreStatus = attrs.field(factory=RestoreStatus)

    @property
    def key(self) -> ObjectKey:
        """Its key, which is also the reconcile key."""
        return ObjectKey(KIND, self.metadata.namespace, self.metadata.name)

    @property
    def reads(self) -> str:
        """The archive that it reads or is about to: `s3://bucket/key`. Empty once nothing more is read."""
        begun = self.status.phase in ("", Phase.SCHEDULED, Phase.RUNNING)
        goes_on = begun and self.metadata.deletionTimestamp is None and not self.foreign
        return self.status.backupPath if goes_on else ""

    @property
    def is_drill(self) -> bool:
        """Whether a BackupSchedule has created it, and it is no copy."""
        owner = self.metadata.owner
        made = owner is not None and owner.identity[:2] == (GROUP, "BackupSchedule")
        return made and not self.foreign

    @property
    def foreign(self) -> str:
        """Why this object is not run, and the cure; empty if it is ours: a copy must not load again."""
        meta, status = self.metadata, self.status
        if status.phase and status.observedGeneration is None:
            return f"it was run by another operator (phase {status.phase}); create a Restore of another name"
        begun = meta.annotations.get(BEGUN_UID, meta.uid)
        if status.backupPath and BEGUN_UID not in meta.annotations:
            return (
                f"it has a status and no annotation {BEGUN_UID}: it is a copy, or somebody has removed that; "
                "to run it, create a Restore from its spec alone"
            )
        if begun != meta.uid:
            return (
                f"it is a copy of another Restore: annotation {BEGUN_UID} is {begun[:36]!r}, its own uid is "
                f"{meta.uid}; to run it, create a Restore from its spec alone"
            )
        return ""


@frozen
class _Undecoded:
    metadata: Meta
    spec: msgspec.Raw = EMPTY
    status: RestoreStatus | None = None


_ENVELOPE = msgspec.json.Decoder(_Undecoded)
_SPEC = Reader(RestoreSpec)


def decode_restore(data: bytes | msgspec.Raw) -> Restore:
    """A Restore from its JSON; unknown fields are ignored.

    Raises:
        msgspec.ValidationError: not a Restore; the message names the path.
    """
    raw = _ENVELOPE.decode(data)
    return Restore(raw.metadata, _SPEC.read(raw.spec), raw.status or RestoreStatus())
