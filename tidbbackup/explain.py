"""When the schedules in a file are due, and which Backups they keep: the controller's code, no cluster.

Must not know Kubernetes' API, and must not decide by itself: decide does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TextIO
from zoneinfo import ZoneInfo

import attrs
from attrs import frozen

from tidbbackup.decide.schedule.drill import drill_name, drill_table
from tidbbackup.decide.schedule.readiness import Reading, read, warnings
from tidbbackup.decide.schedule.retention import fates
from tidbbackup.decide.schedule.scheduled import ScheduleFacts, backup_name
from tidbbackup.model.meta import Meta
from tidbbackup.model.names import API_VERSION, SCHEDULE_LABEL
from tidbbackup.model.resource.backup import KIND as BACKUP_KIND
from tidbbackup.model.resource.backup import Backup, decode_backup
from tidbbackup.model.resource.schedule import KIND as SCHEDULE_KIND
from tidbbackup.model.resource.schedule import BackupSchedule, decode_schedule
from tidbbackup.model.units import format_time
from tidbbackup.offline import INVALID, OK, USAGE
from tidbbackup.schema_check import schema_problems
from tidbbackup.yaml_files import UNFIT, Found, Unreadable, encoded, found_in

_DUE_TIMES = 5


@frozen
class _Schedule:
    """A schedule of the file, or the reason why it is none."""

    title: str
    schedule: BackupSchedule | None
    wrong: tuple[str, ...]


@frozen
class _File:
    schedules: tuple[_Schedule, ...]
    backups: tuple[Backup, ...]


def explain(paths: Sequence[str], at: datetime, out: TextIO, err: TextIO) -> int:
    """Print what every BackupSchedule in the files does from `at` (UTC) on; returns the exit code."""
    try:
        found = _read(paths, at)
    except Unreadable as error:
        print(f"tidbbackup explain: {error}", file=err)
        return USAGE
    faulty = False
    for each in found.schedules:
        faulty |= _explain(each, found.backups, at, out)
    strangers = _strangers(found)
    if strangers:
        print("not made by these schedules, and kept:", file=out)
    for backup in strangers:
        print(f"  Backup {backup.metadata.namespace}/{backup.metadata.name}", file=out)
    return INVALID if faulty else OK


def _explain(found: _Schedule, backups: Sequence[Backup], at: datetime, out: TextIO) -> bool:
    """Print it; returns whether something is wrong with it."""
    print(f"{found.title} at {format_time(at)}", file=out)
    for line in found.wrong:
        print(f"  invalid: {line}", file=out)
    schedule = found.schedule
    if schedule is None:
        return True
    reading, told = read(schedule), warnings(schedule)
    if not found.wrong or reading.faulty:
        print(f"  {reading.cause.reason}: {reading.cause.message}", file=out)
    for warning in told:
        print(f"  {warning.reason}: {warning.message}", file=out)
    for line in (*_due_times(schedule, reading, at), *_kept_and_deleted(schedule, backups, at)):
        print(f"  {line}", file=out)
    return bool(found.wrong) or reading.faulty or bool(told)


def _due_times(schedule: BackupSchedule, reading: Reading, at: datetime) -> Iterator[str]:
    table, due = reading.table, at
    if table is None:
        return
    yield "due next, and skipped:" if reading.faulty or schedule.spec.pause else "due next:"
    for _ in range(_DUE_TIMES):
        due = table.next_due(due)
        there = _there(due, schedule.spec.timeZone)
        yield f"  {format_time(due)}{there}  {backup_name(schedule.metadata.name, due)}"
    if (drills := drill_table(schedule)) and not schedule.spec.pause:
        due = drills.next_due(at)
        there = _there(due, schedule.spec.timeZone)
        yield f"next drill: {format_time(due)}{there}  {drill_name(schedule, due)}"


def _there(due: datetime, zone: str) -> str:
    """The same time on the clocks of the schedule's zone; nothing for UTC."""
    return "" if zone in ("", "UTC") else f" ({due.astimezone(ZoneInfo(zone)):%a %H:%M} {zone})"


def _kept_and_deleted(schedule: BackupSchedule, backups: Sequence[Backup], at: datetime) -> Iterator[str]:
    near = [backup for backup in backups if backup.metadata.namespace == schedule.metadata.namespace]
    facts = ScheduleFacts(schedule, tuple(near))
    decided = {fate.backup.metadata.uid: fate for fate in fates(facts, at)}
    if facts.made:
        yield "its Backups, oldest first:"
    for backup in (each.backup for each in facts.made):
        fate = decided.get(backup.metadata.uid)
        if fate is None:
            going = backup.metadata.deletionTimestamp is not None
            verb, why = ("delete", "is being deleted") if going else ("keep", "has not ended")
        else:
            verb, why = "delete" if fate.reason else "keep", fate.why
            why = f"{fate.reason}: {why}" if fate.reason else why
        yield f"  {verb:<6}  {backup.metadata.name}  {backup.status.phase or 'Pending'}  {why}"


def _strangers(found: _File) -> list[Backup]:
    made = {
        (made.backup.metadata.namespace, made.name)
        for each in found.schedules
        if each.schedule
        for made in ScheduleFacts(each.schedule, found.backups).made
        if made.backup.metadata.namespace == each.schedule.metadata.namespace
    }
    return [each for each in found.backups if (each.metadata.namespace, each.metadata.name) not in made]


def _read(paths: Sequence[str], at: datetime) -> _File:
    """The schedules and Backups in the files. Raises Unreadable."""
    schedules: list[_Schedule] = []
    backups: list[Backup] = []
    for each in found_in(paths):
        if each.kind == SCHEDULE_KIND and each.ours:
            schedules.append(_schedule(each, at))
        elif each.kind == BACKUP_KIND and each.ours:
            backups.append(_backup(each))
        elif each.wrong:
            schedules.append(_Schedule(each.title, None, each.wrong))
    if not schedules:
        raise Unreadable(f"{', '.join(paths)}: holds no {API_VERSION} BackupSchedule")
    return _File(tuple(schedules), tuple(backups))


def _schedule(found: Found, at: datetime) -> _Schedule:
    wrong = (*found.wrong, *map(str, schema_problems(SCHEDULE_KIND, found.value)))
    refused = tuple(map(found.at_its_line, wrong))
    try:
        schedule = decode_schedule(encoded(found.value))
    except UNFIT as error:
        return _Schedule(found.title, None, refused or (str(error),))
    # A schedule that is not in a cluster yet is explained as if it were created now.
    meta = _placed(schedule.metadata)
    meta = attrs.evolve(meta, creationTimestamp=meta.creationTimestamp or at)
    return _Schedule(
        f"{SCHEDULE_KIND} {meta.namespace}/{meta.name}", attrs.evolve(schedule, metadata=meta), refused
    )


def _backup(found: Found) -> Backup:
    title = f"{found.file}: {found.title}"
    try:
        backup = decode_backup(encoded(found.value))
    except UNFIT as error:
        found_wrong = schema_problems(BACKUP_KIND, found.value)
        why = "; ".join(found.at_its_line(str(each)) for each in found_wrong) or str(error)
        raise Unreadable(f"{title}: {why}") from error
    meta = backup.metadata
    if SCHEDULE_LABEL in meta.labels and not (meta.uid and meta.creationTimestamp):
        raise Unreadable(
            f"{title}: metadata has no uid or no creationTimestamp; `kubectl get bks,bk -o yaml` "
            "writes a file that has"
        )
    return attrs.evolve(backup, metadata=_placed(meta))


def _placed(meta: Meta) -> Meta:
    return attrs.evolve(meta, namespace=meta.namespace or "default")
