"""The Job `aftermath-<bk>`: made, followed, and created again until what is asked for is done.

One Job does all that is left to do after a run, for a Backup that lives and for one that is being deleted.
All of it may be repeated, so whatever becomes of the Job, another one is made after a pause. Must not know
why something is left to do, nor what follows from it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
from attrs import frozen

from tidbbackup.decide import rows
from tidbbackup.decide.plan import Action, Ask, Create
from tidbbackup.decide.render import AFTERMATH_SECONDS, aftermath_job, idle_job, is_outdated
from tidbbackup.decide.run.diagnosis import why_in_events
from tidbbackup.decide.run.job_state import Absent, Foreign, Former, NotStarted, Ours, Reported, Silent
from tidbbackup.decide.run.life import BackupLife
from tidbbackup.decide.run.name_lock import remove, remove_former, taken
from tidbbackup.decide.run.ownership import events_of_start
from tidbbackup.decide.status import Cause
from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Aftermath, Data, Part, PartResult
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.model.resource.kubernetes import Happening

# Its pod may take this long to start before that is worth a word.
_START_PATIENCE = timedelta(seconds=30)
# What is waited for tells nobody when it comes.
_NEXT_QUESTION = timedelta(seconds=30)
_LATE = f"its pod was ended because it worked for longer than {AFTERMATH_SECONDS // 60} minutes"
_SHORTEST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(minutes=10)


@frozen
class Step:
    """What to do now to get it done, and how far it is."""

    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None
    report: WorkerResult | None = None
    """What the worker says of parts that are asked for and are done by now."""
    trouble: Cause | None = None
    """Why nothing is done, or not all of it."""
    row: rows.AftermathJob | None = None
    """By which row of the table of the Job."""


def follow(life: BackupLife, wanted: Aftermath, trying_since: datetime) -> Step:
    """What to do now so that the parts of `wanted` get done."""
    job = life.settled(life.aftermath, "aftermath")
    match job:
        case Absent():
            return _make(life, wanted)
        case Foreign():
            again = life.now + _NEXT_QUESTION
            return Step(wake_at=again, trouble=taken(job), row=rows.AftermathJob.NAME_TAKEN)
        case Reported(result=result) if _has_done_some(job, wanted):
            return Step(report=result, trouble=_why_not_done(job, wanted), row=rows.AftermathJob.DONE)
        case Silent(completed=True) if job.job.aftermath == wanted and wanted.parts != (Part.INSPECT,):
            # It exits with 0 only if all is done; what an inspection has found is lost with its result.
            return Step(report=_by_its_exit_code(wanted), row=rows.AftermathJob.DONE)
        case Former():
            away = remove_former(job, life.backup, life.facts, life.now)
            return Step(away.actions, away.wake_at, row=rows.AftermathJob.LEAVES)
        case Ours(leaving=True):
            # Its disappearance wakes us, and the next round creates it again.
            return _remove(job, rows.AftermathJob.LEAVES)
        case Ours() if _is_of_another_time(life, job, wanted):
            return _remove(job, rows.AftermathJob.OUTDATED)
        case Reported() | Silent():
            step = _try_again(life, job, _why_not_done(job, wanted), trying_since, job.at)
            return attrs.evolve(step, row=rows.AftermathJob.FAILED)
        case NotStarted():
            return _await_start(life, job, trying_since)
    return Step(wake_at=job.lost_at, row=rows.AftermathJob.WORKS)


def _make(life: BackupLife, wanted: Aftermath) -> Step:
    again, refusal = life.now + _NEXT_QUESTION, life.refusal
    task = _task(life)
    if isinstance(task, str):
        # Of such a spec no Job can be made, so none is refused, which is how a namespace that goes is known.
        ask = () if refusal else (Ask(idle_job(life.backup, life.facts.image)),)
        trouble = Cause(reasons.INVALID_SPEC, task)
        return Step(ask, again, trouble=trouble, row=rows.AftermathJob.INVALID)
    if refusal is not None:
        reason = reasons.QUOTA_EXCEEDED if refusal.quota_exceeded else reasons.POD_REFUSED
        reason = reasons.NAME_TAKEN if refusal.status == 409 else reason
        text = f"the API server refuses the Job: {refusal.message}"
        return Step(wake_at=again, trouble=Cause(reason, text), row=rows.AftermathJob.REFUSED)
    # Dying here: the next run finds the Job with our uid, and follows it.
    create = Create(aftermath_job(life.backup, task, life.facts.image, wanted))
    return Step((create,), row=rows.AftermathJob.CREATE)


def _task(life: BackupLife) -> WorkerTask | str:
    """The task of a Job that works for this very Backup, or why there is none."""
    made_at, task = life.status.backupPath, life.resolved
    if not isinstance(task, WorkerTask):
        return "; ".join(map(str, task))
    if made_at not in ("", task.target.url):
        return f"status.backupPath is {made_at}, but by spec.s3 the archive would be {task.target.url}"
    return task


def _is_of_another_time(life: BackupLife, job: Ours, wanted: Aftermath) -> bool:
    """Whether it was told something else than what is wanted now, or would be made otherwise now: its pod may
    wait for what the spec no longer names."""
    told = job.job.aftermath
    # One that shows no task is awaited: deleted, it would be created again just so, without a pause.
    if told is not None and told != wanted:
        return not isinstance(job, Reported | Silent)
    task = _task(life)
    if not isinstance(job, NotStarted | Reported | Silent) or isinstance(task, str):
        return False
    return is_outdated(job.job, aftermath_job(life.backup, task, life.facts.image, wanted))


def _await_start(life: BackupLife, job: NotStarted, trying_since: datetime) -> Step:
    patient_until = job.created + _START_PATIENCE
    if life.now < patient_until:
        return Step(wake_at=patient_until, row=rows.AftermathJob.STARTS)
    cause = job.cause
    if cause is None:
        cause = why_in_events(life.look_up(events_of_start(job.job, job.pods), Happening))
    overdue = job.created + timedelta(seconds=life.backup.spec.pendingDeadlineSeconds)
    if cause is None and life.now >= overdue:
        cause = Cause(reasons.PENDING_TOO_LONG, "nothing tells why its pod does not start")
    if cause is None:
        return Step(wake_at=life.now + _NEXT_QUESTION, row=rows.AftermathJob.STARTS)
    # A pod does not notice every repair.
    step = _try_again(life, job, cause, trying_since, patient_until)
    return attrs.evolve(step, row=rows.AftermathJob.STUCK)


def tried_until(life: BackupLife, until: datetime, one_try: timedelta) -> datetime:
    """When it is given up: not before one try, which a controller that was away has not made."""
    match life.aftermath:
        case Ours() as job if job.created > until:
            return job.created + one_try
        case Absent() if life.now >= until and life.refusal is None and isinstance(_task(life), WorkerTask):
            return life.now + one_try
    return until


def _by_its_exit_code(wanted: Aftermath) -> WorkerResult:
    told = {Data.DELETE: reasons.ARCHIVE_DELETED, Data.DELETE_UNLESS_WHOLE: ""}
    kept = told.get(wanted.data, reasons.DATA_KEPT)
    done = [
        PartResult(part, reason=kept if part is Part.CLEAN else "")
        for part in wanted.parts
        if part is not Part.INSPECT
    ]
    return WorkerResult(Outcome.DONE, parts=tuple(done))


def _has_done_some(job: Reported, wanted: Aftermath) -> bool:
    """Whether a part that is wanted is done. A cleaning only counts if it did what is wanted of the data."""
    told = job.job.aftermath
    covered = wanted.data is Data.KEEP or (told is not None and told.data is wanted.data)
    done = {each.part for each in job.result.parts if each.done and (covered or each.part is not Part.CLEAN)}
    return any(part in done for part in wanted.parts)


def _why_not_done(job: Reported | Silent, wanted: Aftermath) -> Cause | None:
    if isinstance(job, Silent):
        # The deadline is not the one of the spec, which is for the dump.
        late = job.cause.reason == reasons.DEADLINE_EXCEEDED
        return Cause(job.cause.reason, _LATE) if late else job.cause
    for each in job.result.parts:
        if each.part in wanted and not each.done:
            return Cause(each.reason, each.message)
    reason = job.result.reason or reasons.INTERNAL_ERROR
    return None if job.result.parts else Cause(reason, job.result.message or "the worker gave no reason")


def _try_again(
    life: BackupLife, job: Ours, cause: Cause | None, trying_since: datetime, failed_at: datetime
) -> Step:
    """After a pause as long as it has been tried already: each doubles the last, without any count."""
    pause = min(max(failed_at - trying_since, _SHORTEST_PAUSE), _LONGEST_PAUSE)
    if cause is not None and life.now < failed_at + pause:
        return Step((), min(failed_at + pause, life.now + _NEXT_QUESTION), trouble=cause)
    away = remove(job)
    return Step(away.actions, away.wake_at, trouble=cause)


def _remove(job: Ours, row: rows.AftermathJob) -> Step:
    away = remove(job)
    return Step(away.actions, away.wake_at, row=row)
