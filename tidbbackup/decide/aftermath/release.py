"""Puts TiDB's GC life time back where a worker may have died with it raised: `release-<bk>`.

Nobody here knows whether the database is a TiDB, or how far the worker had come: the Job finds out, and is
cheap. A Job that has Completed is the record that it is done, so it stays for as long as it is asked for.
Bounded both ways: a Backup that lives is released for a day, one that is being deleted waits seconds, and
then an Event says what to do by hand. Must not know how the worker does it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
from attrs import frozen

from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Action, Announce, Create, Delete, Plan
from tidbbackup.decide.render import is_outdated, release_job
from tidbbackup.decide.run.diagnosis import (
    Broken,
    End,
    Ended,
    Verdict,
    Waiting,
    end_of,
    next_out_of_reach,
    verdict,
)
from tidbbackup.decide.run.name_lock import Holder, holder, is_leaving, remove, taken
from tidbbackup.decide.run.ownership import awaited, job_key, owned_by, pods_made_by
from tidbbackup.decide.run.pauses import again_at
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import KIND, WARNING, Backup, Phase
from tidbbackup.model.resource.kubernetes import Job

_TRIES_FOR = timedelta(days=1)
_HOLDS_UP_A_DELETION = timedelta(seconds=45)
_NEXT_QUESTION = timedelta(minutes=1)

BY_HAND = (
    "if the database is a TiDB, see what was there before in the comment of: SELECT * FROM mysql.tidb WHERE "
    "variable_name = 'tikv_gc_life_time', and set value and comment back to it with UPDATE; the next backup "
    "of that database does the same"
)


@frozen
class Step:
    """What to do for the release now; `over`: nothing more, whether it is done or given up."""

    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None
    over: bool = False


def beside(plan: Plan, facts: BackupFacts, backup: Backup, now: datetime) -> Plan:
    """The plan for a Backup that has ended, and what its release needs besides."""
    ended = backup.status.timeCompleted
    job = facts.release_job
    ours = job if job is not None and owned_by(job, backup) else None
    going = Delete(backup.key, backup.metadata.uid) in plan.actions
    if ended is None or going or not (ours or may_hold(facts, backup, now)):
        return plan
    if awaited(facts.pods, backup, now):
        # A worker that still stops may put it back itself: its end wakes us.
        return plan.no_later(next_out_of_reach(facts.pods, now))
    until = ended + _TRIES_FOR
    step = _step(facts, backup, ended, until, now)
    actions, wake_at = step.actions, step.wake_at
    if ours and now >= until:
        away = remove("release", backup, ours, facts.release_pods, now)
        actions, wake_at = (*actions, *away.actions), away.wake_at
    elif step.over and ours and now < until:
        wake_at = until
    return attrs.evolve(plan, actions=(*plan.actions, *actions)).no_later(wake_at)


def before_leaving(facts: BackupFacts, backup: Backup, now: datetime, *, unheard: bool) -> Step:
    """What has to be done before a Backup that is being deleted may go; once it is over, that may go.

    `unheard`: its run was stopped, or died, and nobody knows how far it had come.
    """
    deleted, cleaned = backup.metadata.deletionTimestamp, backup.status.condition(Phase.CLEAN)
    assert deleted is not None
    # The storage comes first, however long that takes: what holds up is counted from then on.
    since = max(
        deleted, (cleaned.lastTransitionTime if cleaned else None) or deleted, *_looked(facts, backup)
    )
    old = (backup.status.timeCompleted or since) + _TRIES_FOR <= now
    if old or not (unheard or may_hold(facts, backup, now)):
        return Step(over=True)
    until = since + _HOLDS_UP_A_DELETION
    if backup.status.phase == Phase.CLEAN_FAILED:
        until = _after_one_try(facts, backup, until, now)
    return _step(facts, backup, since, until, now)


def _looked(facts: BackupFacts, backup: Backup) -> list[datetime]:
    """When a look at the storage, as OnFailure asks for it, was over."""
    job = facts.inspect_job
    if job is None or not owned_by(job, backup):
        return []
    ends = [pod.state.terminated for pod in pods_made_by(job, facts.inspect_pods)]
    times = [end.finishedAt for end in ends if end and end.finishedAt]
    complete = job.condition("Complete")
    return [*times, complete.lastTransitionTime] if complete and complete.lastTransitionTime else times


def _after_one_try(facts: BackupFacts, backup: Backup, until: datetime, now: datetime) -> datetime:
    """When it is given up: not before one try. A cleaning that failed until it was not asked for any more
    (spec.cleanPolicy was set to Retain) has taken any time, and no status tells when that was over."""
    job = facts.release_job
    if job is None:
        can_be = facts.refusal is None and not problems(backup.spec)
        return max(until, now + _HOLDS_UP_A_DELETION) if can_be and now >= until else until
    tries = owned_by(job, backup) and not is_leaving(job, facts.release_pods, now)
    if not tries or _end(facts, job) is not None or job.metadata.creationTimestamp is None:
        return until
    return max(until, job.metadata.creationTimestamp + _HOLDS_UP_A_DELETION)


def may_hold(facts: BackupFacts, backup: Backup, now: datetime) -> bool:
    """Whether the run of a Backup that has ended may have left a GC life time raised."""
    status = backup.status
    if status.timeCompleted is not None and now >= status.timeCompleted + _TRIES_FOR:
        return False
    warning, failed = status.condition(WARNING), status.condition(Phase.FAILED)
    complete = status.condition(Phase.COMPLETE)
    tried_before = failed is not None and backup.tried_before
    if warning is not None and warning.reason == reasons.GC_LIFE_TIME_STILL_RAISED:
        return True
    job = facts.job
    if job is not None and owned_by(job, backup):
        found = verdict(job, pods_made_by(job, facts.pods), now)
        if isinstance(found, Ended):
            # Also of a worker that was asked to end, and by whom.
            return found.result.gcLifeTimeHeld or tried_before
    if complete is not None and complete.reason == reasons.ARCHIVE_FOUND:
        return True  # Its worker died without a word too, after the archive was whole.
    return tried_before or (failed is not None and failed.reason in reasons.DIED_WITHOUT_A_WORD)


def _step(facts: BackupFacts, backup: Backup, since: datetime, until: datetime, now: datetime) -> Step:
    job = facts.release_job
    ours = job is not None and owned_by(job, backup)
    end = _end(facts, job) if job is not None and ours else None
    if end is not None and end.done:
        return Step(over=True)
    refusal = facts.refusal
    if now >= until:
        return Step((_given_up(backup),), over=True)
    if refusal is not None and refusal.namespace_terminating:
        return Step(over=True)
    if refusal is not None and not ours:
        text = f"the API server refuses Job {job_key('release', backup).name}: {refusal.message}"
        return Step((_failed(backup, text),), min(now + _NEXT_QUESTION, until))
    if job is None and problems(backup.spec):
        return Step(wake_at=until)  # No Job can be made of a spec that was edited into nonsense.
    if job is None:
        # Dying here: the next run finds the Job with our uid, and follows it.
        return Step((Create(release_job(backup, facts.image)),), until)
    whose = holder(job, backup)
    if whose is Holder.FOREIGN:
        return Step((_failed(backup, taken(job).message),), until)
    if whose is Holder.FORMER or is_leaving(job, facts.release_pods, now):
        return _remove(facts, backup, job, until, now)
    return _follow(facts, backup, job, since, until, now)


def _follow(
    facts: BackupFacts, backup: Backup, job: Job, since: datetime, until: datetime, now: datetime
) -> Step:
    end = _end(facts, job)
    if (end or isinstance(_found(facts, job, now), Waiting)) and _is_mended(facts, backup, job):
        return _remove(facts, backup, job, until, now)
    if end is None:
        lost_at = next_out_of_reach(pods_made_by(job, facts.release_pods), now)
        return Step(wake_at=min(until, lost_at or until))
    retry_at = again_at(since, end.at)
    say = _failed(backup, _why(facts, job, now))
    if now < retry_at:
        return Step((say,), min(retry_at, until))
    away = _remove(facts, backup, job, until, now)
    return Step((say, *away.actions), away.wake_at)


def _remove(facts: BackupFacts, backup: Backup, job: Job, until: datetime, now: datetime) -> Step:
    """Its disappearance wakes us, and the next round makes it anew."""
    away = remove("release", backup, job, facts.release_pods, now).no_later(until)
    return Step(away.actions, away.wake_at)


def _end(facts: BackupFacts, job: Job) -> End | None:
    return end_of(job, pods_made_by(job, facts.release_pods))


def _found(facts: BackupFacts, job: Job, now: datetime) -> Verdict:
    return verdict(job, pods_made_by(job, facts.release_pods), now)


def _is_mended(facts: BackupFacts, backup: Backup, job: Job) -> bool:
    """Whether the Job would be made otherwise now: its pod may wait for what the spec no longer names."""
    return not problems(backup.spec) and is_outdated(job, release_job(backup, facts.image))


def _why(facts: BackupFacts, job: Job, now: datetime) -> str:
    found = _found(facts, job, now)
    if isinstance(found, Ended):
        return found.result.message
    return found.cause.message if isinstance(found, Broken) else "nothing tells why"


def _failed(backup: Backup, text: str) -> Action:
    said = f"the GC life time that its run may have raised could not be put back yet: {text}"
    return Announce(KIND, backup.metadata, "Warning", reasons.RELEASE_FAILED, said)


def _given_up(backup: Backup) -> Action:
    said = f"the GC life time that its run may have raised was not put back; {BY_HAND}"
    return Announce(KIND, backup.metadata, "Warning", reasons.RELEASE_GIVEN_UP, said)
