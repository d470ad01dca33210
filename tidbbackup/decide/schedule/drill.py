"""The drills of a schedule: at each of their due times the newest good Backup is restored and compared.

A drill is a Restore of ours that drops what it has created; its name is computed from its due time. Must not
decide what a drill proves: decide/aftermath/drilled.py does.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import attrs
from attrs import frozen

from tidbbackup.decide.plan import Action, Announce, Create, Delete
from tidbbackup.decide.pod import pod_annotations
from tidbbackup.decide.problem import Problem
from tidbbackup.decide.schedule.cron import InvalidSchedule, Timetable, UnknownZone, parse
from tidbbackup.decide.schedule.events import event
from tidbbackup.decide.schedule.scheduled import (
    NAME_LIMIT,
    PRUNE,
    SUFFIX_LENGTH,
    UNFINISHED,
    ScheduleFacts,
    is_good,
)
from tidbbackup.decide.schedule.scheduled import backup_name as name_at
from tidbbackup.decide.spec.restored import Resolved, resolve
from tidbbackup.decide.status import Cause
from tidbbackup.model import schedule_reasons as reasons
from tidbbackup.model.meta import Meta
from tidbbackup.model.names import API_VERSION, DUE_TIME, SCHEDULE_LABEL, short
from tidbbackup.model.resource.backup import Backup, BackupStatus, Condition, Phase, spec_to_wire
from tidbbackup.model.resource.pod_settings import PodSettings
from tidbbackup.model.resource.restore import KIND as RESTORE_KIND
from tidbbackup.model.resource.restore import Afterwards, Restore, RestoreSpec
from tidbbackup.model.resource.schedule import KIND, BackupSchedule, BackupScheduleStatus
from tidbbackup.model.units import format_time

_LATEST = timedelta(hours=1)
"""A drill is for a quiet hour: one that a downtime or an edit has made later than that is left out."""
_KEPT = timedelta(days=7)
"""For so long after its end a drill can be looked at."""
_JUDGED = ("spec.to", "spec.tableFilter", "spec.databaseSuffix")


@frozen
class Drilling:
    """What is to be done about drills now."""

    status: BackupScheduleStatus
    actions: tuple[Action, ...] = ()


def drilling(facts: ScheduleFacts, status: BackupScheduleStatus, now: datetime) -> Drilling:
    """The status with what it tells of drills, and the drill that is due. Never raises."""
    schedule = facts.schedule
    status = _proven(facts, status)
    if schedule.spec.drill is None:
        return Drilling(attrs.evolve(status, drillSince=None, nextDrillTime=None))
    # A clock that was put back must not silence it until it gets there again.
    known = [time for time in (status.drillSince, status.lastDrillTime) if time and time <= now]
    start = max(known, default=now.replace(microsecond=0))
    status = attrs.evolve(status, drillSince=status.drillSince if known else start, nextDrillTime=None)
    table = drill_table(schedule)
    if table is None:
        return Drilling(status)
    due = table.last_due(start, now)
    if due is not None:
        status = attrs.evolve(status, lastDrillTime=due)
    status = attrs.evolve(status, nextDrillTime=None if schedule.spec.pause else table.next_due(now))
    return Drilling(status, _at(facts, due, now) if due else ())


def _at(facts: ScheduleFacts, due: datetime, now: datetime) -> tuple[Action, ...]:
    # Dying before the status is written: the next run finds the same due time, and the drill among its own.
    meta, name = facts.schedule.metadata, drill_name(facts.schedule, due)
    own = [each for each in facts.drills if each.metadata.owner and each.metadata.owner.uid == meta.uid]
    # A round ends with its Create: the next one tells it.
    if there := [each for each in own if each.metadata.name == name]:
        return (_created(facts.schedule, name, there[0].spec.backup),)
    good = [made.backup for made in facts.made if is_good(made.backup)]
    if why := _why_not(facts, due, now, own, good):
        text = f"no drill at {format_time(due)}: {why}"
        return (event(facts.schedule, reasons.DRILL_SKIPPED, text, warns=True),)
    # An Invalid one never finishes, so its ttlSecondsAfterFinished never removes it.
    over = [Delete(each.key, each.metadata.uid) for each in own if each.status.phase == Phase.INVALID]
    create = Create(_manifest(facts.schedule, good[-1], due))
    return (*over, create, _created(facts.schedule, name, good[-1].metadata.name))


def _created(schedule: BackupSchedule, name: str, backup: str) -> Announce:
    return event(schedule, reasons.DRILL_CREATED, f"made {name}, which restores {backup}")


def _why_not(
    facts: ScheduleFacts, due: datetime, now: datetime, own: list[Restore], good: list[Backup]
) -> str:
    """Why there is to be no drill; empty if there is to be one."""
    runs = [each.metadata.name for each in own if each.status.phase in UNFINISHED]
    if facts.schedule.spec.pause:
        return "the schedule is paused"
    if now - due > _LATEST:
        return "it is more than an hour late: no controller ran, or the schedule was edited"
    if runs:
        return f"{runs[0]} still runs"
    if not good:
        return "no Backup of this schedule is Complete"
    return f"the API server refuses it: {facts.refusal.message}" if facts.refusal else ""


def _proven(facts: ScheduleFacts, status: BackupScheduleStatus) -> BackupScheduleStatus:
    """What is gone stays as history."""
    done = [
        (each.status.timeCompleted, each.spec.backup)
        for each in facts.drills
        if each.status.phase == Phase.COMPLETE and each.status.timeCompleted and each.is_drill
    ]
    best = max(done, default=None)
    if best is None or (status.lastProvenTime and status.lastProvenTime >= best[0]):
        return status
    return attrs.evolve(status, lastProvenTime=best[0], lastProvenBackup=best[1])


def drill_name(schedule: BackupSchedule, due: datetime) -> str:
    """`<schedule>-drill-2006-01-02t15-04-05`: one name for one due time, in UTC."""
    return name_at(f"{schedule.metadata.name}-drill", due)


def _manifest(schedule: BackupSchedule, backup: Backup, due: datetime) -> dict[str, Any]:
    """The Restore of a due time. It goes with its schedule; if it runs then, what it has created stays."""
    meta = schedule.metadata
    owner = {"apiVersion": API_VERSION, "kind": KIND, "name": meta.name, "uid": meta.uid, "controller": True}
    annotations = {DUE_TIME: format_time(due), PRUNE: "Prune=false"}
    return {
        "apiVersion": API_VERSION,
        "kind": RESTORE_KIND,
        "metadata": {
            "name": drill_name(schedule, due),
            "namespace": meta.namespace,
            "labels": {SCHEDULE_LABEL: short(meta.name)},
            "annotations": pod_annotations(meta.annotations) | annotations,
            "ownerReferences": [owner],
        },
        "spec": spec_to_wire(_spec(schedule, backup.metadata.name)),
    }


def _spec(schedule: BackupSchedule, backup: str) -> RestoreSpec:
    drill, template = schedule.spec.drill, schedule.spec.backup_spec()
    assert drill is not None
    pod: dict[str, Any] = {each.name: getattr(template, each.name) for each in attrs.fields(PodSettings)}
    return RestoreSpec(
        to=drill.to or template.source,
        backup=backup,
        tableFilter=drill.tableFilter,
        databaseSuffix=drill.databaseSuffix,
        afterwards=Afterwards.DROP.value,
        **pod | {"ttlSecondsAfterFinished": int(_KEPT.total_seconds())},
    )


def drill_table(schedule: BackupSchedule) -> Timetable | None:
    """When its drills are due; None where it has none, or something is wrong with them."""
    return _table(schedule) if schedule.spec.drill and not drill_fault(schedule) else None


def _table(schedule: BackupSchedule) -> Timetable | None:
    assert schedule.spec.drill is not None
    assert schedule.metadata.creationTimestamp is not None
    with suppress(UnknownZone):
        return parse(
            schedule.spec.drill.schedule, schedule.spec.timeZone, schedule.metadata.creationTimestamp
        )
    return None


def drill_fault(schedule: BackupSchedule) -> Cause | None:
    """Why no drill can be created; Backups are created all the same."""
    drill, meta = schedule.spec.drill, schedule.metadata
    if drill is None:
        return None
    found: list[Problem | str] = []
    try:
        _table(schedule)
    except InvalidSchedule as error:
        found.append(str(error).replace("spec.schedule", "spec.drill.schedule"))
    if len(f"{meta.name}-drill") + SUFFIX_LENGTH > NAME_LIMIT:
        found.append(
            Problem("metadata.name", meta.name, "is too long for drills: create it under a shorter name")
        )
    if drill.to is None and not drill.databaseSuffix:
        cure = "is missing: name a server in spec.drill.to, or a suffix such as _drill for the same server"
        found.append(Problem("spec.drill.databaseSuffix", None, cure))
    whole = BackupStatus(conditions=(Condition(Phase.COMPLETE, "True"),), backupPath="s3://bucket/any.tgz")
    any_backup = Backup(Meta(name="any"), schedule.spec.backup_spec(), whole)
    judged = resolve(Restore(meta, _spec(schedule, "any")), any_backup)
    # What the template gives is judged with the template.
    own = _JUDGED if drill.to else _JUDGED[1:]
    found += [
        attrs.evolve(each, path=each.path.replace("spec.", "spec.drill.", 1))
        for each in (() if isinstance(judged, Resolved) else judged)
        if each.path.startswith(own)
    ]
    text = "; ".join(map(str, found))
    return (
        Cause(reasons.INVALID_DRILL, f"{text}; until that is corrected there is no drill") if text else None
    )
