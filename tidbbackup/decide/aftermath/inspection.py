"""A run that ended and left no result: the storage tells whether it has made a whole backup all the same.

`status.runEnded` tells how it ended, whatever becomes of its Job and pod meanwhile. Bounded: where nothing is
found out in time, the Backup is Failed by what ended the run. Must not know how the storage is asked.
"""

from __future__ import annotations

from datetime import timedelta

import attrs

from tidbbackup.decide import rows
from tidbbackup.decide.aftermath.job import follow
from tidbbackup.decide.aftermath.left import done, left_to_inspect
from tidbbackup.decide.plan import Action, Plan
from tidbbackup.decide.run import ending
from tidbbackup.decide.run.life import BackupLife
from tidbbackup.decide.run.stopping import ended
from tidbbackup.decide.status import Cause, move, update_status
from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Part
from tidbbackup.model.contract.result import WorkerResult
from tidbbackup.model.resource.backup import Phase, RunEnd

_TAKES = timedelta(minutes=5)
"""Beside the time for which its pod may wait: a lost node is just when there is no room."""


def begin(life: BackupLife, cause: Cause) -> Plan:
    """Remember how the run ended: from here on nothing else is needed of it."""
    # Dying here: the next run finds status.runEnded, and makes the Job that inspects.
    return Plan(move(life.backup, Phase.RUNNING, _told(cause), life.now, status=ended(life, cause)))


def decide(life: BackupLife, end: RunEnd) -> Plan:
    """What to do about a run of which all that is known is how it ended."""
    backup, cause, at = life.backup, Cause(end.reason, end.message), end.at or life.now
    step = follow(life, left_to_inspect(backup), at)
    status = done(life.status, step.report)
    found = step.report and step.report.part(Part.INSPECT)
    if step.report and found and found.done:
        if not found.reason:
            return Plan(_whole(life, step.report, cause), row=rows.Inspecting.WHOLE)
        if found.reason != reasons.NOTHING_STORED:
            cause = Cause(cause.reason, f"{cause.message}; {found.message}")
        failed = ending.end_attempt(backup, cause, life.now, status)
        return Plan(failed, row=rows.Inspecting.NOT_WHOLE)
    until = at + timedelta(seconds=backup.spec.pendingDeadlineSeconds) + _TAKES
    why = step.trouble.message if step.trouble else "it did not end in time"
    if life.now >= until:
        text = f"{cause.message}; whether its archive is whole could not be told: {why}"
        untold = ending.end_attempt(backup, Cause(cause.reason, text), life.now, status)
        return Plan(untold, row=rows.Inspecting.UNTOLD)
    if step.report:
        return Plan(update_status(backup, status), row=rows.Inspecting.RELEASED)
    say = move(backup, Phase.RUNNING, _told(cause, f"; {why}"), life.now) if step.trouble else ()
    return Plan((*step.actions, *say), step.wake_at, rows.Inspecting.WAITS).no_later(until)


def _whole(life: BackupLife, report: WorkerResult, cause: Cause) -> tuple[Action, ...]:
    text = f"read from its manifest, the worker's own result was lost ({cause.reason}: {cause.message})"
    status = attrs.evolve(done(life.status, report), uploadLeftOpen=False)
    result = attrs.evolve(report, message=text)
    return ending.complete(life.backup, result, life.now, status, reasons.ARCHIVE_FOUND)


def _told(cause: Cause, trouble: str = "") -> Cause:
    text = f"the run ended and the worker left no result ({cause.reason}: {cause.message}): the storage is "
    return Cause(reasons.INSPECTING, f"{text}inspected, whether the backup is whole{trouble}")
