"""The Backups of a schedule: what is known when deciding, what one is called, which are its own.

Must not know when a schedule is due, nor how long a Backup is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from attrs import frozen

from tidbbackup.decide.facts import Facts
from tidbbackup.decide.pod import pod_annotations
from tidbbackup.model.meta import Meta
from tidbbackup.model.names import API_VERSION, DUE_TIME, FINALIZER, SCHEDULE_LABEL, SCHEDULE_UID, short
from tidbbackup.model.resource.backup import KIND, Backup, Phase, spec_to_wire
from tidbbackup.model.resource.restore import Restore
from tidbbackup.model.resource.schedule import BackupSchedule
from tidbbackup.model.units import format_time

NAME_LIMIT = 253
"""Characters of a Backup's name."""
SUFFIX_LENGTH = len("-2006-01-02t15-04-05")
PRUNE = "argocd.argoproj.io/sync-options"
UNFINISHED = ("", Phase.SCHEDULED, Phase.RUNNING)


@frozen
class Made:
    """A Backup that a schedule made, and the due time that it made it for."""

    due: datetime
    backup: Backup

    @property
    def name(self) -> str:
        """The Backup's name."""
        return self.backup.metadata.name


@frozen
class ScheduleFacts(Facts):
    """All that a decision about one BackupSchedule is taken on."""

    schedule: BackupSchedule
    backups: tuple[Backup, ...] = ()
    """The Backups of its namespace that carry its label."""
    drills: tuple[Restore, ...] = ()
    """The Restores of its namespace that carry its label."""

    @cached_property
    def made(self) -> tuple[Made, ...]:
        """Those with a due time and the name computed from it, oldest due time first.

        Also those of a former schedule of the same name: they still run, and are still to be kept or removed.
        A copy that somebody made under another name is his: it is neither counted nor removed.
        """
        name, label = self.schedule.metadata.name, short(self.schedule.metadata.name)
        made = (
            Made(due, backup)
            for backup in self.backups
            if backup.metadata.labels.get(SCHEDULE_LABEL) == label
            and (due := _due_time(backup)) is not None
            and backup.metadata.name == backup_name(name, due)
            and not backup.foreign
        )
        return tuple(sorted(made, key=lambda each: (each.due, each.name)))

    @property
    def active(self) -> tuple[Made, ...]:
        """Those whose run goes on or is to come."""
        return tuple(each for each in self.made if is_active(each.backup))


def backup_name(schedule: str, due: datetime) -> str:
    """`<schedule>-2006-01-02t15-04-05`: one name for one due time, in UTC."""
    return f"{schedule}-{due.astimezone(UTC):%Y-%m-%dt%H-%M-%S}"


def manifest(schedule: BackupSchedule, due: datetime) -> dict[str, Any]:
    """The Backup for a due time. No owner reference: it outlives its schedule, and so does its data."""
    meta = schedule.metadata
    annotations = pod_annotations(meta.annotations) | {
        DUE_TIME: format_time(due),
        SCHEDULE_UID: meta.uid,
        # Else a GitOps tool that manages the schedule may take it for its own leftover.
        PRUNE: "Prune=false",
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": backup_name(meta.name, due),
            "namespace": meta.namespace,
            "labels": {SCHEDULE_LABEL: short(meta.name)},
            "annotations": annotations,
        },
        "spec": spec_to_wire(schedule.spec.backup_spec()),
    }


def is_same_run(found: Meta, wanted: dict[str, Any]) -> bool:
    """Whether the object that holds the name of `wanted` was made for the same schedule and due time."""
    given = wanted["metadata"]
    same = all(found.annotations.get(name) == given["annotations"][name] for name in (DUE_TIME, SCHEDULE_UID))
    return same and found.labels.get(SCHEDULE_LABEL) == given["labels"][SCHEDULE_LABEL]


def _due_time(backup: Backup) -> datetime | None:
    """The due time that a Backup was made for; None for one made by hand."""
    try:
        due = datetime.fromisoformat(backup.metadata.annotations.get(DUE_TIME, ""))
    except ValueError:
        return None
    return due.astimezone(UTC) if due.tzinfo else None


def is_active(backup: Backup) -> bool:
    """Whether a run of this Backup goes on or is to come."""
    meta = backup.metadata
    if meta.deletionTimestamp is not None and FINALIZER not in meta.finalizers:
        return False  # Nothing of it runs any more: whoever else holds it must not hold up the schedule.
    return backup.status.phase in UNFINISHED


def is_good(backup: Backup) -> bool:
    """Whether its archive is there and is to stay."""
    return backup.status.phase == Phase.COMPLETE and backup.metadata.deletionTimestamp is None
