"""Which Backups of a schedule are kept, which go, and why; one goes at a time.

Age wins over number where both are given. Only Complete ones count for the number and for the floor, which
neither age nor number goes below; Failed and Invalid ones have a limit of their own, and age counts for
them too. Nothing goes that runs, was made by hand, or is another operator's. A pause changes nothing.

Must not know what becomes of an archive when its Backup is deleted: its cleanPolicy says that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import frozen

from tidbbackup.decide.plan import NOTHING, Announce, Counted, Delete, Plan, Tally
from tidbbackup.decide.schedule.doubt import doubt
from tidbbackup.decide.schedule.readiness import retention_fault
from tidbbackup.decide.schedule.scheduled import ScheduleFacts, is_good
from tidbbackup.model import schedule_reasons as reasons
from tidbbackup.model.names import short
from tidbbackup.model.resource.backup import Backup, Phase
from tidbbackup.model.resource.schedule import KIND as SCHEDULE_KIND
from tidbbackup.model.resource.schedule import BackupSchedule
from tidbbackup.model.units import format_time, parse_duration


@frozen
class Fate:
    """What retention makes of one Backup."""

    backup: Backup
    reason: str = ""
    """Why it goes; empty: it stays."""
    why: str = ""
    """The same, or why it stays, for people."""
    is_floor: bool = False
    """One of the newest complete ones below which nothing complete goes."""
    expires: datetime | None = None
    """When it becomes too old, if that alone decides."""


def retention(facts: ScheduleFacts, now: datetime) -> Plan:
    """Remove the oldest Backup that is to go, if the API server agrees that it is what we take it for."""
    schedule = facts.schedule
    if facts.unreadable or schedule.metadata.deletionTimestamp is not None:
        return NOTHING
    found = fates(facts, now)
    going = next((fate for fate in found if fate.reason), None)
    if going is None:
        return Plan(wake_at=min((fate.expires for fate in found if fate.expires), default=None))
    # What has to be there still before a complete one goes.
    floor = [fate.backup for fate in found if fate.is_floor and is_good(going.backup)]
    unsure = doubt(facts, SCHEDULE_KIND, schedule.metadata, (going.backup, *floor), now)
    if unsure is not None:
        return unsure
    meta = going.backup.metadata
    text = f"{meta.name} is removed: {going.why}"
    say = Announce(SCHEDULE_KIND, schedule.metadata, "Normal", going.reason, text)
    # Its deletion is a change that wakes us for the next one. Dying here: the next run decides the same.
    counted = Tally(Counted.RETENTION, meta.namespace, short(schedule.metadata.name), going.reason)
    return Plan((say, Delete(going.backup.key, meta.uid, (counted,))))


def fates(facts: ScheduleFacts, now: datetime) -> tuple[Fate, ...]:
    """What becomes of each of the schedule's Backups that has ended, oldest first."""
    schedule, spec = facts.schedule, facts.schedule.spec
    # By due time within a second: `made` has that order.
    ended = sorted((each.backup for each in facts.made if _has_ended(each.backup)), key=_created)
    good = [each for each in ended if is_good(each)]
    failed = _newest([each for each in ended if not is_good(each)], spec.failedBackupsLimit)
    floor = _newest(good, spec.minBackups)
    unclear = retention_fault(schedule) is not None
    reserved = None if unclear else parse_duration(spec.maxReservedTime or "0") or None
    by_number = not unclear and reserved is None and spec.maxBackups
    within = _newest(good, spec.maxBackups or 0 if by_number else len(good))

    def fate(backup: Backup) -> Fate:
        uid = backup.metadata.uid
        if not is_good(backup) and uid not in failed:
            why = f"more than {spec.failedBackupsLimit} failed ones (failedBackupsLimit)"
            return Fate(backup, reasons.RETENTION_FAILED_LIMIT, why)
        if uid in floor:
            return Fate(
                backup, why=f"the newest {spec.minBackups} complete ones stay (minBackups)", is_floor=True
            )
        if reserved is not None:
            return _by_age(schedule, backup, reserved, now)
        if is_good(backup) and uid not in within:
            why = f"more than {spec.maxBackups} complete ones (maxBackups)"
            return Fate(backup, reasons.RETENTION_MAX_BACKUPS, why)
        return Fate(backup, why="nothing asks for its removal")

    return tuple(map(fate, ended))


def _has_ended(backup: Backup) -> bool:
    ended = backup.status.phase in (Phase.COMPLETE, Phase.FAILED, Phase.INVALID)
    return ended and backup.metadata.deletionTimestamp is None


def _by_age(schedule: BackupSchedule, backup: Backup, reserved: timedelta, now: datetime) -> Fate:
    try:
        expires = _created(backup) + reserved
    except OverflowError:
        return Fate(backup, why="its time never comes")
    text = f"older than {schedule.spec.maxReservedTime} (maxReservedTime)"
    if now >= expires:
        return Fate(backup, reasons.RETENTION_EXPIRED, text)
    return Fate(backup, why=f"not {text} before {format_time(expires)}", expires=expires)


def _created(backup: Backup) -> datetime:
    assert backup.metadata.creationTimestamp is not None
    return backup.metadata.creationTimestamp


def _newest(ordered: Sequence[Backup], count: int) -> frozenset[str]:
    return frozenset(backup.metadata.uid for backup in ordered[-count:]) if count else frozenset()
