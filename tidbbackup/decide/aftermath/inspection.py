"""Whether a run that ended without a word has made a whole backup all the same: `inspect-<bk>` looks.

The manifest is written last and bears the Backup's uid, so where it is there nothing was left to do: also
after a kill, an eviction or a lost node, of which the worker's own word was the only thing lost. Must not
know what becomes of the Backup then, nor of a run that was deleted on purpose, which is not asked after.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
from attrs import frozen

from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Action, Create
from tidbbackup.decide.render import inspect_job
from tidbbackup.decide.run.job_state import (
    Absent,
    Foreign,
    Former,
    NotStarted,
    Ours,
    Reported,
    Silent,
    Working,
)
from tidbbackup.decide.run.life import Life
from tidbbackup.decide.run.name_lock import remove, taken
from tidbbackup.decide.status import Cause
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.names import ENDED_BY, ENDED_BY_MESSAGE
from tidbbackup.model.resource.backup import Backup, Phase
from tidbbackup.model.resource.kubernetes import Job

_LOOK_TAKES = timedelta(minutes=5)
"""At the most, once its pod runs: a look at two objects, and an outage of the storage that is waited for."""
_NEXT_QUESTION = timedelta(seconds=30)
_NOT_ASKED = frozenset({reasons.JOB_DELETED})
_LOOKED_IN = frozenset({Phase.RUNNING, Phase.CLEAN_FAILED})
"""The phases in which Running/Inspecting is about this attempt."""
_TAKEN_AWAY = frozenset({reasons.EVICTED, reasons.NODE_LOST, reasons.POD_DELETED, reasons.TERMINATED})
"""Ends of the look that say nothing of the storage: it is begun anew, once."""


@frozen
class Looking:
    """Not known yet: what to do meanwhile, what to say of it, when to look again."""

    actions: tuple[Action, ...]
    cause: Cause
    wake_at: datetime | None = None


def inspect(life: Life, cause: Cause) -> Looking | WorkerResult | Cause:
    """What became of a run that ended by `cause`: on the way, complete, or failed."""
    job = life.inspection
    if isinstance(job, Ours):
        return _follow(life, job, _first_cause(job.job) or cause)
    cause = _or_lost_since(life.backup, cause)
    if not worth_a_look(life, cause):
        return cause
    if life.refusal is not None:
        return _refused(life, life.refusal, cause)
    match job:
        case Foreign():
            return _untold(cause, taken(job).message)
        case Former():
            return _make_way(life, job, cause)
    # Dying here: the next run finds the Job with our uid, and on it the cause, and follows it.
    create = Create(inspect_job(life.backup, life.facts.image, cause))
    return Looking((create,), _looking(life.backup, cause), life.now + _patience(life.backup))


def _or_lost_since(backup: Backup, cause: Cause) -> Cause:
    """A Job that is deleted after its run was over is no wish to stop it: the garbage collector deletes all
    Jobs of a Backup that is deleted in the foreground, and with that of the look goes what ended the run."""
    running = backup.status.condition(Phase.RUNNING)
    over = running is not None and running.reason in (reasons.INSPECTING, reasons.INSPECTING_AGAIN)
    if cause.reason not in _NOT_ASKED or not over or backup.status.phase not in _LOOKED_IN:
        return cause
    return Cause(reasons.RESULT_LOST, "the run was over when its Job and that of the look at it were deleted")


def found_whole(life: Life) -> bool:
    """Whether the look is over and the backup is whole: a word that stays where its pod is gone."""
    return isinstance(life.inspection, Ours) and life.inspection.done


def _first_cause(job: Job) -> Cause | None:
    """What ended the run as it was first seen: since then its pod, or its Job, may have been deleted too."""
    told = job.metadata.annotations
    return Cause(told[ENDED_BY], told.get(ENDED_BY_MESSAGE, "")) if ENDED_BY in told else None


def _patience(backup: Backup) -> timedelta:
    """Its pod may wait for as long as the run's own: a lost node is just when there is no room."""
    return timedelta(seconds=backup.spec.pendingDeadlineSeconds)


def _looks_again(backup: Backup) -> bool:
    running = backup.status.condition(Phase.RUNNING)
    told = running is not None and running.reason == reasons.INSPECTING_AGAIN
    return told and backup.status.phase == Phase.RUNNING


def _looking(backup: Backup, cause: Cause, waits: str = "", *, again: bool = False) -> Cause:
    text = f"the run ended and the worker left no word ({cause.reason}: {cause.message})"
    text = f"{text}: looking in the storage whether the backup is whole"
    reason = reasons.INSPECTING_AGAIN if again or _looks_again(backup) else reasons.INSPECTING
    return Cause(reason, f"{text}; {waits}" if waits else text)


def _refused(life: Life, refusal: Refusal, cause: Cause) -> Looking | Cause:
    why = f"the API server refuses the Job: {refusal.message}"
    until = (_over_since(life) or life.now) + _patience(life.backup)
    if refusal.status != 403 or refusal.namespace_terminating or life.now >= until:
        return _untold(cause, why)
    return Looking((), _looking(life.backup, cause, why), min(life.now + _NEXT_QUESTION, until))


def _over_since(life: Life) -> datetime | None:
    match life.run:
        case Reported(told_at=at) | Silent(told_at=at):
            return at
        case Absent():
            # Nothing tells it any more: then too early is better than never.
            running = life.status.condition(Phase.RUNNING)
            return running.lastTransitionTime if running else None
    return None


def worth_a_look(life: Life, cause: Cause) -> bool:
    """Whether a run that ended by `cause` may have made a backup all the same."""
    cause = _or_lost_since(life.backup, cause)
    if cause.reason not in reasons.DIED_WITHOUT_A_WORD - _NOT_ASKED or life.problems:
        return False
    return life.begun or not (isinstance(life.run, Ours) and life.run.pods)


def _follow(life: Life, job: Ours, cause: Cause) -> Looking | WorkerResult | Cause:
    end = _end(job)
    taken_away = end is not None and end.reason in _TAKEN_AWAY
    if isinstance(job, Reported) and not taken_away:
        return _told(job.result, cause)
    if isinstance(job, Silent) and end is None and job.pods and life.now < job.at + _NEXT_QUESTION:
        # The cache of pods lags behind that of Jobs: the word comes with the pod, and wakes us.
        return Looking((), _looking(life.backup, cause), job.at + _NEXT_QUESTION)
    # Deleted by whomever, or its word lost although it completed: it has to be asked once more. Dying here:
    # the next run finds the Job going, whose disappearance wakes us, or gone, and makes it anew.
    if job.deleting or (isinstance(job, Silent) and end is None):
        return _make_way(life, job, cause)
    if taken_away and not _looks_again(life.backup):
        return _make_way(life, job, cause, again=True)
    if end is not None:
        return _untold(cause, end.message)
    late, until, waits = _deadline(life.backup, job)
    if life.now < until:
        return Looking((), _looking(life.backup, cause, waits), until)
    return _untold(cause, f"Job {job.job.metadata.name} {late}")


def _end(job: Ours) -> Cause | None:
    """Why the look itself came to nothing; None where it has not ended, or has found a whole backup."""
    match job:
        case Reported(result=result) if result.outcome is not Outcome.COMPLETE:
            return Cause(result.reason, result.message)
        case Silent(cause=cause) if job.pod_known or not job.done:
            return cause
    return None


def _make_way(life: Life, job: Former | Ours, cause: Cause, *, again: bool = False) -> Looking:
    away = remove(job)
    return Looking(away.actions, _looking(life.backup, cause, again=again), away.wake_at)


def _deadline(backup: Backup, job: Ours) -> tuple[str, datetime, str]:
    """What has come to nothing at which time, and what is waited for until then."""
    if isinstance(job, Working):
        return f"did not end within {_LOOK_TAKES.seconds} s", job.since + _LOOK_TAKES, ""
    why = job.cause.message if isinstance(job, NotStarted) and job.cause else ""
    late, until = (
        f"did not start within {backup.spec.pendingDeadlineSeconds} s",
        job.created + _patience(backup),
    )
    return (f"{late}: {why}", until, f"its pod has not started: {why}") if why else (late, until, "")


def _told(result: WorkerResult, cause: Cause) -> WorkerResult | Cause:
    if result.outcome is Outcome.COMPLETE:
        text = f"read from its manifest, the worker's own word was lost ({cause.reason}: {cause.message})"
        return attrs.evolve(result, message=text)
    if result.reason == reasons.NOTHING_STORED:
        return cause
    if result.reason == reasons.RESULT_LOST:
        return Cause(cause.reason, f"{cause.message}; {result.message}")
    return _untold(cause, result.message)


def _untold(cause: Cause, why: str) -> Cause:
    return Cause(cause.reason, f"{cause.message}; whether its archive is whole could not be told: {why}")
