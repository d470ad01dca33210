"""The ledger of due times: each ends as exactly one of ran, skipped, paused or missed.

The status remembers up to where it is settled; what lies between there and now is settled here, once, with
the same answer however often we die before it is written. Must not know what is said of it, nor cron.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
from attrs import frozen

from tidbbackup.decide.schedule.cron import Timetable, count_between
from tidbbackup.decide.schedule.readiness import Reading
from tidbbackup.decide.schedule.scheduled import (
    ScheduleFacts,
    backup_name,
)
from tidbbackup.model import schedule_reasons as reasons
from tidbbackup.model.names import SCHEDULE_UID
from tidbbackup.model.resource.schedule import BackupSchedule

# Clocks of two leaders may differ by this much; more than this, and the clock has been put back.
_SKEW = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)


@frozen
class Passed:
    """Due times without a Backup, and why. `newest` is the latest of them, or of those looked at."""

    reason: str
    count: int
    newest: datetime


@frozen
class Ledger:
    """What became of the due times up to now, and from when on they count."""

    since: datetime
    settled: datetime | None
    """The newest due time that has its outcome."""
    due: datetime | None = None
    """The one whose Backup is to be there now."""
    held: datetime | None = None
    """The one whose Backup the API server refuses for now: not settled, to be tried again."""
    passed: tuple[Passed, ...] = ()


def settle(facts: ScheduleFacts, reading: Reading, now: datetime) -> Ledger:
    """What became of the due times since the last time."""
    schedule, table = facts.schedule, reading.table
    start, since = settled_until(schedule), counted_since(schedule)
    whole = now.replace(microsecond=0)
    if start > now + _SKEW:
        # Else it would be silent until the clock gets there again.
        return Ledger(whole, None)
    if _reopened(schedule):
        reason = reasons.SKIPPED_PAUSED if schedule.status.observedPause else reasons.MISSED_EDITED
        return _all_passed(facts, reading.former, Ledger(whole, schedule.status.lastDueTime), reason, now)
    ledger = Ledger(since, schedule.status.lastDueTime)
    if schedule.spec.pause:
        return _all_passed(facts, table, ledger, reasons.SKIPPED_PAUSED, now)
    newest = table.last_due(start, now) if table else None
    if newest is None or table is None:
        return ledger
    reason = _why_not(facts, newest, reading, now)
    if reason == reasons.BACKUP_REFUSED:
        return attrs.evolve(ledger, held=newest)
    older = (
        count_between(table, start, newest) - 1 - sum(due < newest for due in _ran_since(facts, table, start))
    )
    passed = (Passed(reasons.MISSED_DOWNTIME, older, newest),) if older > 0 else ()
    if reason:
        return Ledger(since, newest, passed=(*passed, Passed(reason, 1, newest)))
    return Ledger(since, newest, due=newest, passed=passed)


def counted_since(schedule: BackupSchedule) -> datetime:
    """From when on due times count: creation, or the last change of schedule, zone or pause."""
    assert schedule.metadata.creationTimestamp is not None
    return schedule.status.scheduleSince or schedule.metadata.creationTimestamp


def settled_until(schedule: BackupSchedule) -> datetime:
    """Up to when each due time has had its outcome."""
    since = counted_since(schedule)
    return max(since, schedule.status.lastDueTime or since)


def _reopened(schedule: BackupSchedule) -> bool:
    """Whether schedule or zone were edited or a pause ended since the status was last written."""
    status, spec = schedule.status, schedule.spec
    if status.scheduleSince is None:
        return False
    edited = (status.observedSchedule, status.observedTimeZone) != (spec.schedule, spec.timeZone)
    return edited or (bool(status.observedPause) and not spec.pause)


def _all_passed(
    facts: ScheduleFacts, table: Timetable | None, ledger: Ledger, reason: str, now: datetime
) -> Ledger:
    """No Backup for any of the open due times, but those that were made before we died."""
    start = settled_until(facts.schedule)
    newest = table.last_due(start, now) if table else None
    if newest is None or table is None:
        return ledger
    ran = sum(due <= newest for due in _ran_since(facts, table, start))
    count = count_between(table, start, newest) - ran
    return attrs.evolve(ledger, settled=newest, passed=(Passed(reason, count, newest),) if count > 0 else ())


def _why_not(facts: ScheduleFacts, due: datetime, reading: Reading, now: datetime) -> str:
    """Why there is to be no Backup for this due time; empty if there is to be one, or is one."""
    spec, name = facts.schedule.spec, backup_name(facts.schedule.metadata.name, due)
    if any(backup.metadata.name == name for backup in facts.backups):
        return "" if due in _ran(facts) else reasons.MISSED_NAME_TAKEN
    if reading.faulty:
        return reasons.MISSED_INVALID
    deadline = spec.startingDeadlineSeconds
    if deadline is not None and (now.replace(microsecond=0) - due).total_seconds() > deadline:
        return reasons.MISSED_DEADLINE
    if spec.concurrencyPolicy != "Allow" and facts.active:
        return reasons.SKIPPED_OVERLAP
    if facts.refusal is None:
        return ""
    by_status = {409: reasons.MISSED_NAME_TAKEN, 400: reasons.MISSED_REFUSED, 422: reasons.MISSED_REFUSED}
    return by_status.get(facts.refusal.status, reasons.BACKUP_REFUSED)


def _ran_since(facts: ScheduleFacts, table: Timetable, start: datetime) -> list[datetime]:
    """Those after `start` that are due times of the table: a run now is none."""
    return [due for due in _ran(facts) if due > start and table.next_due(due - _SECOND) == due]


def _ran(facts: ScheduleFacts) -> set[datetime]:
    """The due times for which this very schedule has made a Backup that is there."""
    uid = facts.schedule.metadata.uid
    return {each.due for each in facts.made if each.backup.metadata.annotations.get(SCHEDULE_UID) == uid}
