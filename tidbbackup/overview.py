"""What people on call look at first: one screen about all schedules, runs, and what failed last.

Pure: from objects to text. Must not read a cluster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import frozen

from tidbbackup.columns import columns
from tidbbackup.decide.schedule.scheduled import UNFINISHED, ScheduleFacts, is_good
from tidbbackup.decide.status import Subject
from tidbbackup.model import schedule_reasons
from tidbbackup.model.names import SCHEDULE_LABEL, short
from tidbbackup.model.resource.backup import Backup, Phase
from tidbbackup.model.resource.restore import Restore
from tidbbackup.model.resource.schedule import BackupSchedule
from tidbbackup.model.units import format_size

_FAILED_SHOWN = 5
_MESSAGE_SHOWN = 100
_WRONG = (Phase.FAILED, Phase.INVALID, Phase.CLEAN_FAILED)

Row = tuple[str, ...]


@frozen
class Objects:
    """All that is shown, of one namespace or of all."""

    schedules: Sequence[BackupSchedule]
    backups: Sequence[Backup]
    restores: Sequence[Restore]


def overview(found: Objects, now: datetime) -> str:
    """The screen. Ages are as of `now` (UTC)."""
    backups = [each for each in found.backups if not each.foreign]
    restores = [each for each in found.restores if not each.foreign]
    runs: list[Subject] = [*backups, *restores]
    of_schedule = defaultdict[tuple[str, str], list[Backup]](list)
    for each in backups:
        if label := each.metadata.labels.get(SCHEDULE_LABEL):
            of_schedule[each.metadata.namespace, label].append(each)
    sections = [
        (
            ("SCHEDULE", "STATE", "NEXT DUE", "NEWEST GOOD", "OLDEST GOOD", "GOOD"),
            [
                _of_schedule(each, of_schedule[each.metadata.namespace, short(each.metadata.name)], now)
                for each in found.schedules
            ],
            "no schedule",
        ),
        (
            ("RUNNING", "PHASE", "PROGRESS", "AGE"),
            [_of_run(each, now) for each in runs if each.status.phase in UNFINISHED],
            "nothing runs",
        ),
        (
            (f"FAILED (NEWEST {_FAILED_SHOWN})", "PHASE", "AGE", "REASON", "MESSAGE"),
            _failures(runs, now),
            "nothing failed",
        ),
    ]
    return "\n".join(columns([head, *rows]) if rows else f"{none}\n" for head, rows, none in sections)


def _of_schedule(schedule: BackupSchedule, labelled: Sequence[Backup], now: datetime) -> Row:
    """`labelled`: the Backups of its namespace that carry its label."""
    meta, status = schedule.metadata, schedule.status
    good = [each.backup for each in ScheduleFacts(schedule, tuple(labelled)).made if is_good(each.backup)]
    ready = next((each for each in status.conditions if each.type == schedule_reasons.READY), None)
    state = "new" if ready is None else ready.reason
    if status.successDueTime is not None and status.successDueTime < now:
        state = f"{state}, OVERDUE" if ready is None or ready.status == "True" else f"{state}, no new copy"
    due = status.nextBackupTime
    return (
        f"{meta.namespace}/{meta.name}",
        state,
        f"in {_age(due - now)}" if due else "-",
        _copy(good[-1], now) if good else "NONE",
        _copy(good[0], now) if good else "NONE",
        str(len(good)),
    )


def _copy(backup: Backup, now: datetime) -> str:
    ended, size = backup.status.timeCompleted, backup.status.backupSize
    age = f"{_age(now - ended)} ago" if ended else backup.metadata.name
    return age if size is None else f"{age} ({format_size(size)})"


def _of_run(run: Subject, now: datetime) -> Row:
    progress, made = run.status.progress, run.metadata.creationTimestamp
    return (
        f"{run.kind} {run.metadata.namespace}/{run.metadata.name}",
        run.status.phase or "new",
        progress.text if progress else "",
        _age(now - made) if made else "",
    )


def _failures(runs: Sequence[Subject], now: datetime) -> list[Row]:
    failures = [
        (condition.lastTransitionTime or now, run, condition)
        for run in runs
        if run.status.phase in _WRONG and (condition := run.status.condition(run.status.phase))
    ]
    failures.sort(key=lambda each: each[0], reverse=True)
    return [
        (
            f"{run.kind} {run.metadata.namespace}/{run.metadata.name}",
            run.status.phase,
            f"{_age(now - since)} ago",
            condition.reason,
            _cut(condition.message),
        )
        for since, run, condition in failures[:_FAILED_SHOWN]
    ]


def _cut(message: str) -> str:
    plain = " ".join(message.split())
    return plain if len(plain) <= _MESSAGE_SHOWN else f"{plain[: _MESSAGE_SHOWN - 1]}…"


def _age(span: timedelta) -> str:
    """As kubectl writes ages: one unit, two where the first one is small."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, length, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        whole, rest = divmod(seconds, length)
        if whole:
            return f"{whole}{unit}{rest // part}{smaller}" if whole < 3 and rest >= part else f"{whole}{unit}"
    return f"{seconds}s"
