"""Whether a schedule can do its work: its cron, its zone, its name, its template, its pause.

Must not know what became of any due time.
"""

from __future__ import annotations

from contextlib import suppress

from attrs import frozen

from tidbbackup.decide.problem import Problem
from tidbbackup.decide.schedule.cron import InvalidSchedule, Timetable, UnknownZone, parse
from tidbbackup.decide.schedule.drill import drill_fault
from tidbbackup.decide.schedule.scheduled import NAME_LIMIT, SUFFIX_LENGTH
from tidbbackup.decide.spec.valid import problems
from tidbbackup.decide.status import Cause
from tidbbackup.model import schedule_reasons as reasons
from tidbbackup.model.meta import Meta
from tidbbackup.model.resource.schedule import BackupSchedule
from tidbbackup.model.units import parse_duration


@frozen
class Reading:
    """What a spec says, as far as it says anything."""

    table: Timetable | None
    """By what due times are counted; None where the text of the spec is no schedule."""
    former: Timetable | None
    """That of the schedule and zone the status last spoke of."""
    cause: Cause
    """Why it works, or does not."""
    faulty: bool = False
    """Something is wrong with the spec, and no Backup can be made; a pause is nothing wrong."""


def read(schedule: BackupSchedule) -> Reading:
    """Read a schedule; never raises."""
    meta, spec, status = schedule.metadata, schedule.spec, schedule.status
    table = _table(spec.schedule, spec.timeZone, meta)
    former = _table(status.observedSchedule, status.observedTimeZone, meta)
    wrong = faults(schedule)
    if not wrong:
        return Reading(table, former, _cause(schedule))
    told = Cause(wrong[0].reason, "; ".join(fault.message for fault in wrong))
    return Reading(table, former, told, faulty=True)


def _table(schedule: str, zone: str, meta: Meta) -> Timetable | None:
    assert meta.creationTimestamp is not None
    with suppress(InvalidSchedule, UnknownZone):
        return parse(schedule, zone, meta.creationTimestamp)
    return None


def faults(schedule: BackupSchedule) -> list[Cause]:
    """All that is wrong with it: zone, cron, name, template."""
    meta, spec = schedule.metadata, schedule.spec
    assert meta.creationTimestamp is not None
    found: list[Cause | None] = []
    for zone in (spec.timeZone, ""):
        try:
            parse(spec.schedule, zone, meta.creationTimestamp)
        except UnknownZone as error:
            found.append(Cause(reasons.UNKNOWN_ZONE, str(error)))
            continue  # The zone is told before the cron is read: read it in UTC.
        except InvalidSchedule as error:
            found.append(Cause(reasons.INVALID_SCHEDULE, str(error)))
        break
    found += [_name_fault(meta.name), _template_fault(schedule)]
    return [fault for fault in found if fault]


def _name_fault(name: str) -> Cause | None:
    excess = len(name) + SUFFIX_LENGTH - NAME_LIMIT
    if excess <= 0:
        return None
    cure = (
        f"is {excess} characters too long: `<name>-<time>` names a Backup and may have {NAME_LIMIT}; "
        "create the schedule under a shorter name"
    )
    return Cause(reasons.NAME_TOO_LONG, str(Problem("metadata.name", name, cure)))


def _template_fault(schedule: BackupSchedule) -> Cause | None:
    if schedule.spec.backupTemplate is None:
        text = str(Problem("spec.backupTemplate", None, "is missing: say what to back up, and to where"))
        return Cause(reasons.INVALID_TEMPLATE, text)
    wrong = problems(schedule.spec.backup_spec())
    text = "; ".join(str(problem).replace("spec.", "spec.backupTemplate.", 1) for problem in wrong)
    return Cause(reasons.INVALID_TEMPLATE, text) if wrong else None


def _cause(schedule: BackupSchedule) -> Cause:
    spec = schedule.spec
    if spec.pause:
        return Cause(reasons.PAUSED, "spec.pause is true: no new backups; retention goes on")
    return Cause(reasons.READY, f"backups are made by {spec.schedule!r} in {spec.timeZone or 'UTC'}")


def warnings(schedule: BackupSchedule) -> list[Cause]:
    """What is wrong with it although Backups are created."""
    return [fault for fault in (retention_fault(schedule), drill_fault(schedule)) if fault]


def retention_fault(schedule: BackupSchedule) -> Cause | None:
    """Why retention cannot tell what is too old; until that is corrected it removes no good Backup."""
    text = schedule.spec.maxReservedTime
    if not text:
        return None
    try:
        parse_duration(text)
    except ValueError:
        cure = "write a duration such as 72h or 7d; until then no backup is removed by age or number"
        return Cause(reasons.INVALID_RETENTION, str(Problem("spec.maxReservedTime", text, cure)))
    return None
