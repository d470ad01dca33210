"""Makes the Backups of a schedule: at each due time one, or a reason why not.

The name of a Backup is computed from its due time, so making it twice makes it once. Removing old ones is
retention's part. Must not know how its Plan is carried out.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from tidbbackup.decide.plan import NOTHING, Action, Announce, Counted, Create, PatchStatus, Plan, Tally
from tidbbackup.decide.schedule.cron import COUNT_LIMIT
from tidbbackup.decide.schedule.drill import Drilling, drilling
from tidbbackup.decide.schedule.events import event, refused_for_now, why_not
from tidbbackup.decide.schedule.ledger import Ledger, Passed, settle
from tidbbackup.decide.schedule.readiness import Reading, read
from tidbbackup.decide.schedule.run_now import run_now
from tidbbackup.decide.schedule.scheduled import ScheduleFacts, backup_name, manifest
from tidbbackup.decide.schedule.status import condition, wanted
from tidbbackup.decide.status import changes
from tidbbackup.model import schedule_reasons as reasons
from tidbbackup.model.names import short
from tidbbackup.model.reasons import INVALID_SPEC
from tidbbackup.model.resource.schedule import BackupSchedule, BackupScheduleStatus
from tidbbackup.model.units import format_time

_NEXT_TRY = timedelta(minutes=1)


def decide(facts: ScheduleFacts, now: datetime) -> Plan:
    """What to do about one schedule; never raises, whatever its spec says."""
    schedule = facts.schedule
    if schedule.metadata.deletionTimestamp is not None:
        return NOTHING
    if facts.unreadable:
        message = (
            f"this BackupSchedule cannot be read ({facts.unreadable}): correct its spec, or create it again"
        )
        return Plan((event(schedule, INVALID_SPEC, message, warns=True),))
    reading = read(schedule)
    ledger = settle(facts, reading, now)
    asked = run_now(facts, reading, ledger, now)
    status = attrs.evolve(
        wanted(facts, ledger, reading, now), observedRunNow=asked.observed, runNowTime=asked.due
    )
    drills = Drilling(status)
    if ledger.due is None and ledger.held is None and schedule.status.runNowTime is None:
        # Only then a refusal is one of the drill. The status of a Backup that is due wakes us at once.
        drills = drilling(facts, status, now)
    status = drills.status
    patch = changes(schedule.status, status)
    # Dying before the status is written: the next run finds the same open due times, and the Backup, if it
    # was made, among them. So none is made twice and none is counted twice.
    group = schedule.metadata.namespace, short(schedule.metadata.name)
    tallies = tuple(Tally(Counted.MISSED, *group, each.reason, each.count) for each in ledger.passed)
    write = (PatchStatus(schedule.key, schedule.metadata.resourceVersion, patch, tallies),) if patch else ()
    said = [_say(facts, schedule, passed) for passed in ledger.passed]
    made = (*_make(facts, schedule, ledger), *asked.actions, *drills.actions)
    actions = (*said, *made, *_say_readiness(schedule, status, reading), *write)
    plan = Plan(actions, wake_at=_wake_at(reading, ledger, now))
    return plan.no_later(asked.wake_at).no_later(status.nextDrillTime)


def _wake_at(reading: Reading, ledger: Ledger, now: datetime) -> datetime | None:
    # Also in a pause and while something is wrong: those due times are counted too.
    table = reading.table
    due = table.next_due(max(now, ledger.settled or now)) if table else None
    if ledger.held is None or due is None:
        return due
    return min(due, now + _NEXT_TRY)


def _make(facts: ScheduleFacts, schedule: BackupSchedule, ledger: Ledger) -> tuple[Action, ...]:
    meta = schedule.metadata
    if ledger.held is not None and facts.refusal is not None:
        name = backup_name(meta.name, ledger.held)
        return (refused_for_now(schedule, name, facts.refusal),)
    if ledger.due is None:
        return ()
    name = backup_name(meta.name, ledger.due)
    say = event(schedule, reasons.BACKUP_CREATED, f"made {name}, due at {format_time(ledger.due)}")
    if any(backup.metadata.name == name for backup in facts.backups):
        return (say,)
    return (Create(manifest(schedule, ledger.due)), say)


def _say(facts: ScheduleFacts, schedule: BackupSchedule, passed: Passed) -> Announce:
    when = format_time(passed.newest)
    many = "at least " if passed.count >= COUNT_LIMIT - 1 else ""
    before = passed.reason == reasons.MISSED_DOWNTIME
    which = f"{many}{passed.count} due {'before' if before else 'up to'} {when}"
    if passed.count == 1 and not before:
        which = f"the one due at {when}"
    text = f"no backup for {which}: {why_not(facts, passed.reason, passed.newest)}"
    return event(schedule, passed.reason, text, warns=passed.reason != reasons.SKIPPED_PAUSED)


def _say_readiness(
    schedule: BackupSchedule, status: BackupScheduleStatus, reading: Reading
) -> tuple[Announce, ...]:
    old, new = condition(schedule.status, reasons.READY), condition(status, reasons.READY)
    assert new is not None
    first_and_fine = old is None and new.status == "True"
    if first_and_fine or (old is not None and (old.reason, old.message) == (new.reason, new.message)):
        return ()
    return (event(schedule, new.reason, new.message, warns=reading.faulty),)
