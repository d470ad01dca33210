"""The BackupSchedule resource: when to make Backups from a template, and how many to keep.

Must not know cron (decide/schedule/cron.py does) nor how retention is decided.
"""

from __future__ import annotations

from datetime import datetime

import attrs
import msgspec
from attrs import frozen

from tidbbackup.model.meta import Meta, ObjectKey
from tidbbackup.model.resource.backup import BackupSpec, Condition, spec_from_wire
from tidbbackup.model.resource.storage_spec import Source
from tidbbackup.model.units import QUANTITY_PATTERN
from tidbbackup.model.wire import EMPTY, NAME_LENGTH, TEXT_LENGTH, Free, Reader, declared, passed_on, required

KIND = "BackupSchedule"
# A condition answers a wrong schedule, not the schema: this limit only bounds its size.
_HOSTILE_LENGTH = 16_384


@frozen
class DrillSpec:
    """Restores the newest complete Backup now and then, compares it, and drops what it has created."""

    schedule: str = required(
        "When, as spec.schedule and in its zone. One that is more than an hour late is left out.",
        maxLength=_HOSTILE_LENGTH,
    )
    to: Source | None = declared(
        None, "The server to restore into. Absent: that of the template, with a databaseSuffix."
    )
    tableFilter: tuple[str, ...] = declared(
        (), "Which tables to restore; absent: all.", maxItems=256, itemLength=TEXT_LENGTH
    )
    databaseSuffix: str = declared(
        "", "As in Restore: each database is restored under its name and this.", maxLength=32
    )


@frozen
class BackupScheduleSpec:
    """When, how many to keep, and the template of each Backup."""

    schedule: str = required(
        "Five fields of cron, @hourly to @yearly, or `@every 6h` counted from creation.",
        maxLength=_HOSTILE_LENGTH,
    )
    timeZone: str = declared(
        "UTC", "Time zone of the schedule, such as Europe/Berlin.", maxLength=NAME_LENGTH
    )
    # In the schema too: without it kubectl's column Paused would be empty if the field is absent.
    pause: bool = declared(False, "true: no new Backups; retention continues.", default=False)
    maxBackups: int | None = declared(
        None, "How many complete backups to keep; 0 or absent: no limit.", minimum=0
    )
    maxReservedTime: str | None = declared(
        None,
        "How long to keep a backup, such as 72h or 7d; if both are set, maxBackups has no effect.",
        maxLength=64,
    )
    minBackups: int = declared(
        1,
        "Retention never leaves fewer complete backups than this; 0: no floor.",
        minimum=0,
        # A live read checks each of them before another one is deleted.
        maximum=1000,
    )
    failedBackupsLimit: int = declared(3, "How many failed or invalid backups to keep.", minimum=0)
    startingDeadlineSeconds: int | None = declared(
        None, "A run that could not start within this many seconds of its time is missed.", minimum=0
    )
    concurrencyPolicy: str = declared(
        "Forbid",
        "Forbid: skip a run while the last one still runs; Allow: let them overlap.",
        enum=["Forbid", "Allow"],
    )
    storageClassName: str | None = declared(
        None, "StorageClass of the staging volume if the template has none.", maxLength=NAME_LENGTH
    )
    storageSize: str = declared(
        "",
        "Size of the staging volume if the template has none.",
        pattern=QUANTITY_PATTERN,
        maxLength=64,
    )
    serviceAccount: str = declared(
        "", "Service account of the backup pods if the template has none.", maxLength=NAME_LENGTH
    )
    imagePullSecrets: Free | None = passed_on(
        "Secrets to pull the worker's image with, if the template has none.", list
    )
    backupTemplate: BackupSpec | None = declared(None, "The spec of each Backup this schedule makes.")
    drill: DrillSpec | None = declared(None, "Proves now and then that the newest Backup can be restored.")

    def backup_spec(self) -> BackupSpec:
        """The spec of each Backup: the template, completed by the schedule's own fields."""
        template = self.backupTemplate or BackupSpec()
        return attrs.evolve(
            template,
            storageClassName=template.storageClassName or self.storageClassName,
            storageSize=template.storageSize or self.storageSize,
            serviceAccount=template.serviceAccount or self.serviceAccount,
            imagePullSecrets=template.imagePullSecrets or self.imagePullSecrets,
        )


@frozen
class BackupScheduleStatus:
    """What the schedule has done and will do. Times in UTC."""

    lastBackup: str = declared("", "Name of the newest Backup of this schedule.")
    lastBackupTime: datetime | None = declared(None, "Due time of the newest Backup.")
    lastSuccessfulBackup: str = declared("", "Name of the newest Backup that is Complete.")
    lastSuccessfulTime: datetime | None = declared(None, "When it completed.")
    nextBackupTime: datetime | None = declared(None, "When the next Backup is due.")
    successDueTime: datetime | None = declared(
        None, "By then a Backup has to be Complete: two intervals after the newest. Absent in a pause."
    )
    scheduleSince: datetime | None = declared(
        None, "Due times count from here: creation, or the last change of schedule, zone or pause."
    )
    lastDueTime: datetime | None = declared(
        None, "The newest due time with an outcome: its Backup was created, or it is counted below."
    )
    missedRuns: int | None = declared(
        None,
        "How many due times had no Backup: no controller ran, it was too late, or it could not be created.",
    )
    skippedRuns: int | None = declared(
        None, "How many due times had no Backup because the one before still ran."
    )
    pausedRuns: int | None = declared(None, "How many due times had no Backup because of a pause.")
    drillSince: datetime | None = declared(None, "Since when drills are asked for.")
    lastDrillTime: datetime | None = declared(None, "The newest due time of a drill with an outcome.")
    nextDrillTime: datetime | None = declared(None, "When the next drill is due.")
    lastProvenBackup: str = declared("", "Name of the newest Backup that a drill has proven.")
    lastProvenTime: datetime | None = declared(None, "When that drill ended.")
    active: tuple[str, ...] = declared((), "Names of the Backups that are running.")
    conditions: tuple[Condition, ...] = declared((), "Whether the schedule can work.", mapKey="type")
    observedGeneration: int | None = declared(None, "The generation of the spec that this status belongs to.")
    observedSchedule: str = declared("", "The schedule that due times are counted by.")
    observedTimeZone: str = declared("", "The zone that due times are counted in.")
    observedRunNow: str = declared("", "The newest value of the annotation run-now.")
    runNowTime: datetime | None = declared(
        None, "The due time of the run that it asked for, until its Backup is created or cannot be."
    )
    observedPause: bool | None = declared(None, "Whether due times are being skipped because of a pause.")


@frozen
class BackupSchedule:
    """Creates Backups at given times, and deletes old ones."""

    metadata: Meta
    spec: BackupScheduleSpec = attrs.field(factory=BackupScheduleSpec)
    status: BackupScheduleStatus = attrs.field(factory=BackupScheduleStatus)

    @property
    def key(self) -> ObjectKey:
        """Its key, which is also the reconcile key."""
        return ObjectKey(KIND, self.metadata.namespace, self.metadata.name)


@frozen
class _Undecoded:
    metadata: Meta
    spec: msgspec.Raw = EMPTY
    status: BackupScheduleStatus | None = None


_ENVELOPE = msgspec.json.Decoder(_Undecoded)
_SPEC = Reader(BackupScheduleSpec, backupTemplate=spec_from_wire)


def decode_schedule(data: bytes | msgspec.Raw) -> BackupSchedule:
    """A BackupSchedule from its JSON.

    Raises:
        msgspec.ValidationError: not a BackupSchedule; the message names the path.
    """
    raw = _ENVELOPE.decode(data)
    return BackupSchedule(raw.metadata, _SPEC.read(raw.spec), raw.status or BackupScheduleStatus())
