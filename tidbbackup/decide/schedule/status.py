"""The status of a BackupSchedule: what is to stand in it, and what of it has to be written.

Counted are only due times without a Backup; all else is read off the spec and the Backups again each time.
Must not decide what becomes of a due time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import attrs

from tidbbackup.decide.schedule.cron import Timetable
from tidbbackup.decide.schedule.ledger import Ledger, Passed
from tidbbackup.decide.schedule.readiness import Reading, warnings
from tidbbackup.decide.schedule.scheduled import ScheduleFacts, backup_name
from tidbbackup.decide.status import Cause
from tidbbackup.model import schedule_reasons as reasons
from tidbbackup.model.resource.backup import WARNING, Backup, Condition, Phase
from tidbbackup.model.resource.schedule import BackupScheduleStatus

_MESSAGE_LIMIT = 2048


def wanted(facts: ScheduleFacts, ledger: Ledger, reading: Reading, now: datetime) -> BackupScheduleStatus:
    """The status as it should be. With `ledger.due`, as if that Backup were there."""
    schedule, spec, status = facts.schedule, facts.schedule.spec, facts.schedule.status
    table = None if reading.faulty or spec.pause else reading.table
    due = ledger.held or (table.next_due(max(now, ledger.settled or now)) if table else None)
    status = attrs.evolve(
        _of_backups(facts, ledger.due),
        scheduleSince=ledger.since,
        lastDueTime=ledger.settled,
        nextBackupTime=due,
        successDueTime=None if spec.pause else _success_due(facts, ledger.since, reading),
        missedRuns=_total(status.missedRuns, ledger.passed, "Missed"),
        skippedRuns=_total(status.skippedRuns, ledger.passed, reasons.SKIPPED_OVERLAP),
        pausedRuns=_total(status.pausedRuns, ledger.passed, reasons.SKIPPED_PAUSED),
        observedGeneration=schedule.metadata.generation,
        observedSchedule=spec.schedule,
        observedTimeZone=spec.timeZone,
        observedPause=spec.pause,
    )
    ready = not reading.faulty and not spec.pause
    conditions = [_condition(schedule.status, reasons.READY, ready, reading.cause, now)]
    if told := warnings(schedule):
        every = Cause(told[0].reason, "; ".join(each.message for each in told))
        conditions.append(_condition(schedule.status, WARNING, True, every, now))
    return attrs.evolve(status, conditions=tuple(conditions))


def _success_due(facts: ScheduleFacts, since: datetime, reading: Reading) -> datetime:
    """Two intervals, which may differ, after the newest good Backup that is still there.

    A schedule that is not valid makes none: for it that moment has passed.
    """
    start = max([since, *(at for each in facts.made if (at := _completed(each.backup)))])
    if reading.table is None or reading.faulty:
        return start
    return start + _two_intervals(reading.table, start)


@lru_cache(maxsize=1024)
def _two_intervals(table: Timetable, start: datetime) -> timedelta:
    # Three steps of cron, for a start that changes with each good Backup only.
    before = table.last_due(datetime.min.replace(tzinfo=UTC), start) or start
    return table.next_due(table.next_due(start)) - before


def condition(status: BackupScheduleStatus, kind: str) -> Condition | None:
    """The condition of that type, whatever its status."""
    return next((each for each in status.conditions if each.type == kind), None)


def _of_backups(facts: ScheduleFacts, made: datetime | None) -> BackupScheduleStatus:
    """The part of the status that tells of Backups; what retention has removed stays in it as history."""
    status = facts.schedule.status
    dues = [(each.due, each.name) for each in facts.made]
    active = [each.name for each in facts.active]
    if made is not None and (new := (made, backup_name(facts.schedule.metadata.name, made))) not in dues:
        dues.append(new)
        active.append(new[1])
    last = max(dues, default=None)
    if last and (status.lastBackupTime is None or last[0] >= status.lastBackupTime):
        status = attrs.evolve(status, lastBackup=last[1], lastBackupTime=last[0])
    done = [(at, each.name) for each in facts.made if (at := _completed(each.backup))]
    best = max(done, default=None)
    if best and (status.lastSuccessfulTime is None or best[0] >= status.lastSuccessfulTime):
        status = attrs.evolve(status, lastSuccessfulTime=best[0], lastSuccessfulBackup=best[1])
    return attrs.evolve(status, active=tuple(sorted(active)))


def _completed(backup: Backup) -> datetime | None:
    complete = backup.status.condition(Phase.COMPLETE)
    if complete is None:
        return None
    return backup.status.timeCompleted or complete.lastTransitionTime


def _total(before: int | None, passed: Sequence[Passed], reason: str) -> int:
    return (before or 0) + sum(each.count for each in passed if each.reason.startswith(reason))


def _condition(
    status: BackupScheduleStatus, kind: str, holds: bool, cause: Cause, now: datetime
) -> Condition:
    word, old = str(holds), condition(status, kind)
    since = old.lastTransitionTime if old and old.status == word else now.replace(microsecond=0)
    return Condition(kind, word, cause.reason, cause.message[:_MESSAGE_LIMIT], since)
