"""Whether a run that ended without a word has made a whole backup all the same: `inspect-<bk>` looks.

The manifest is written last and bears the Backup's uid, so where it is there nothing was left to do: also
after a kill, an eviction or a lost node, of which the worker's own word was the only thing lost. Must not
know what becomes of the Backup then, nor of a run that was deleted on purpose, which is not asked after.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs
from attrs import frozen

from tidbbackup.decide.facts import BackupFacts, Refusal
from tidbbackup.decide.plan import Action, Create
from tidbbackup.decide.render import inspect_job
from tidbbackup.decide.run.diagnosis import (
    Broken,
    Ended,
    Unclear,
    Verdict,
    Waiting,
    Working,
    end_of,
    has_run,
    over_since,
    verdict,
    why_job_ended,
)
from tidbbackup.decide.run.name_lock import Holder, holder, remove, taken
from tidbbackup.decide.run.ownership import owned_by, pods_made_by
from tidbbackup.decide.spec.valid import problems
from tidbbackup.decide.status import Cause
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.names import ENDED_BY, ENDED_BY_MESSAGE
from tidbbackup.model.resource.backup import Backup, Phase
from tidbbackup.model.resource.kubernetes import Job, Pod

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


def inspect(
    facts: BackupFacts, backup: Backup, pods: Sequence[Pod], cause: Cause, now: datetime
) -> Looking | WorkerResult | Cause:
    """What became of a run that ended by `cause`, `pods` being its own: on the way, complete, or failed."""
    job = facts.inspect_job
    if job is not None and owned_by(job, backup):
        return _follow(facts, backup, job, _first_cause(job) or cause, now)
    cause = _or_lost_since(backup, cause)
    if not worth_a_look(backup, pods, cause):
        return cause
    if facts.refusal is not None:
        return _refused(backup, facts.refusal, cause, _over_since(facts, backup, pods), now)
    if job is not None:
        return _other_holds_the_name(facts, backup, job, cause, now)
    # Dying here: the next run finds the Job with our uid, and on it the cause, and follows it.
    create = Create(inspect_job(backup, facts.image, cause))
    return Looking((create,), _looking(backup, cause), now + _patience(backup))


def _or_lost_since(backup: Backup, cause: Cause) -> Cause:
    """A Job that is deleted after its run was over is no wish to stop it: the garbage collector deletes all
    Jobs of a Backup that is deleted in the foreground, and with that of the look goes what ended the run."""
    running = backup.status.condition(Phase.RUNNING)
    over = running is not None and running.reason in (reasons.INSPECTING, reasons.INSPECTING_AGAIN)
    if cause.reason not in _NOT_ASKED or not over or backup.status.phase not in _LOOKED_IN:
        return cause
    return Cause(reasons.RESULT_LOST, "the run was over when its Job and that of the look at it were deleted")


def found_whole(facts: BackupFacts, backup: Backup) -> bool:
    """Whether the look is over and the backup is whole."""
    job = facts.inspect_job
    if job is None or not owned_by(job, backup):
        return False
    # It has done its work only then: a word that stays where its pod is gone.
    end = end_of(job, pods_made_by(job, facts.inspect_pods))
    return end is not None and end.done


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


def _over_since(facts: BackupFacts, backup: Backup, pods: Sequence[Pod]) -> datetime | None:
    running = backup.status.condition(Phase.RUNNING)
    # Where Job and pods are gone nothing tells it: then too early is better than never.
    return over_since(facts.job, pods) or (running.lastTransitionTime if running and not facts.job else None)


def _refused(
    backup: Backup, refusal: Refusal, cause: Cause, since: datetime | None, now: datetime
) -> Looking | Cause:
    why = f"the API server refuses the Job: {refusal.message}"
    until = (since or now) + _patience(backup)
    if refusal.status != 403 or refusal.namespace_terminating or now >= until:
        return _untold(cause, why)
    return Looking((), _looking(backup, cause, why), min(now + _NEXT_QUESTION, until))


def worth_a_look(backup: Backup, pods: Sequence[Pod], cause: Cause) -> bool:
    """Whether a run that ended by `cause`, `pods` being its own, may have made a backup all the same."""
    cause = _or_lost_since(backup, cause)
    if cause.reason not in reasons.DIED_WITHOUT_A_WORD - _NOT_ASKED or problems(backup.spec):
        return False
    begun = backup.status.condition(Phase.RUNNING) is not None
    return begun or not pods or any(map(has_run, pods))


def _other_holds_the_name(
    facts: BackupFacts, backup: Backup, job: Job, cause: Cause, now: datetime
) -> Looking | Cause:
    if holder(job, backup) is Holder.FOREIGN:
        return _untold(cause, taken(job).message)
    return _make_way(facts, backup, job, cause, now)


def _follow(
    facts: BackupFacts, backup: Backup, job: Job, cause: Cause, now: datetime
) -> Looking | WorkerResult | Cause:
    found = verdict(job, pods_made_by(job, facts.inspect_pods), now)
    end = _end(job, found)
    taken_away = end is not None and end.reason in _TAKEN_AWAY
    if isinstance(found, Ended) and not taken_away:
        return _told(found.result, cause)
    # Deleted by whomever, or its word lost although it completed: it has to be asked once more. Dying here:
    # the next run finds the Job going, whose disappearance wakes us, or gone, and makes it anew.
    if job.metadata.deletionTimestamp is not None or (isinstance(found, Unclear) and end is None):
        return _make_way(facts, backup, job, cause, now)
    if taken_away and not _looks_again(backup):
        return _make_way(facts, backup, job, cause, now, again=True)
    if end is not None:
        return _untold(cause, end.message)
    late, until, waits = _deadline(backup, job, found)
    if now < until:
        return Looking((), _looking(backup, cause, waits), until)
    return _untold(cause, f"Job {job.metadata.name} {late}")


def _end(job: Job, found: Verdict) -> Cause | None:
    """Why the look itself came to nothing; None where it has not ended, or has found a whole backup."""
    if isinstance(found, Broken):
        return found.cause
    if isinstance(found, Ended) and found.result.outcome is not Outcome.COMPLETE:
        return Cause(found.result.reason, found.result.message)
    failed = isinstance(found, Unclear) and job.condition("Complete") is None
    return why_job_ended(job) if failed else None


def _make_way(
    facts: BackupFacts, backup: Backup, job: Job, cause: Cause, now: datetime, *, again: bool = False
) -> Looking:
    away = remove("inspect", backup, job, facts.inspect_pods, now)
    return Looking(away.actions, _looking(backup, cause, again=again), away.wake_at)


def _deadline(backup: Backup, job: Job, found: Verdict) -> tuple[str, datetime, str]:
    """What has come to nothing at which time, and what is waited for until then."""
    if isinstance(found, Working):
        return f"did not end within {_LOOK_TAKES.seconds} s", found.since + _LOOK_TAKES, ""
    assert job.metadata.creationTimestamp is not None
    why = found.cause.message if isinstance(found, Waiting) and found.cause else ""
    late = f"did not start within {backup.spec.pendingDeadlineSeconds} s"
    until = job.metadata.creationTimestamp + _patience(backup)
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
