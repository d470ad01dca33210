"""Ends a Backup's life: stops its run, has its leftovers and data cleaned, lets it go.

The finalizer is dropped as soon as nothing remains to do, and nothing is deleted that the policy did not
ask for. Must not know how a Plan is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs

from tidbbackup.decide.aftermath import cleaning, finalizer, inspection, release
from tidbbackup.decide.aftermath.remains import Remains, what_remains
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import NOTHING, Action, Announce, Delete, Look, Plan
from tidbbackup.decide.run import diagnosis, given_up
from tidbbackup.decide.run.diagnosis import Broken, Unclear, has_run, next_out_of_reach, verdict
from tidbbackup.decide.run.name_lock import Holder, holder, taken
from tidbbackup.decide.run.ownership import (
    JOB_KIND,
    awaited,
    job_key,
    may_work_for,
    owned_by,
    pods_made_by,
    pods_of,
    runs,
)
from tidbbackup.decide.spec.task import clean_policy
from tidbbackup.decide.status import Cause, move
from tidbbackup.model import reasons
from tidbbackup.model.names import FINALIZER
from tidbbackup.model.resource.backup import KIND, Backup, CleanPolicy, Phase
from tidbbackup.model.resource.kubernetes import Job, Pod

_NEXT_LOOK = timedelta(seconds=10)


def decide(facts: BackupFacts, now: datetime) -> Plan:
    """What to do about one Backup that is being deleted; the first row that fits wins."""
    backup = facts.backup
    if backup is None or backup.metadata.deletionTimestamp is None:
        return NOTHING
    if FINALIZER not in backup.metadata.finalizers:
        return NOTHING
    if backup.foreign or facts.unreadable:
        return Plan((finalizer.let_go(backup),))
    job = facts.job if facts.job is not None and owned_by(facts.job, backup) else None
    mended = given_up.started_after_all(facts, backup, now)
    if mended:
        return Plan(mended)
    if job is not None and runs(job, facts.pods, now):
        return _stop_run(backup, job, facts.pods, now)
    if awaited(facts.pods, backup, now):
        # Stopped means that its pods are gone too: their end wakes us.
        return _note_that_it_began(backup, facts.pods, now)
    whole = inspection.found_whole(facts, backup)
    remains = what_remains(backup, job, facts.pods, now, found_whole=whole)
    if backup.status.phase == Phase.CLEAN:
        return _leave(facts, backup, remains, (), now)
    if facts.clean_job is not None and cleaning.of_another_mind(facts, backup, facts.clean_job, remains):
        return cleaning.stop(facts, backup, facts.clean_job, now)
    if not remains:
        return _end(facts, backup, remains, now)
    if not cleaning.is_cleaned(facts, backup):
        uninstalled = finalizer.if_the_crd_goes(facts, backup, wanted_gone=remains.data)
        if uninstalled is not None:
            return _without_cleaning(facts, backup, uninstalled, now)
    if facts.clean_job is None:
        return _clean(facts, backup, remains, now)
    return cleaning.follow(facts, backup, facts.clean_job, remains, now)


def _stop_run(backup: Backup, job: Job, pods: Sequence[Pod], now: datetime) -> Plan:
    made = pods_made_by(job, pods)
    untold = backup.status.phase in ("", Phase.INVALID)
    stopping = job.metadata.deletionTimestamp is not None
    if stopping and not untold:
        return _note_that_it_began(backup, made, now)
    began = backup.status.condition(Phase.RUNNING) is not None or any(map(has_run, made))
    when = "is stopped" if began else "is stopped before it began"
    cause = Cause(reasons.RUN_STOPPED, f"the Backup is being deleted: its run {when}")
    say = Announce(KIND, backup.metadata, "Normal", cause.reason, cause.message)
    # Written first: once the Job is gone, only the status tells whether there was a run to clean up after.
    # A phase that is final already (a run that was given up) tells enough.
    open_end = untold or backup.status.phase in (Phase.SCHEDULED, Phase.RUNNING)
    write = move(backup, Phase.RUNNING if began else Phase.SCHEDULED, cause, now) if open_end else ()
    stop = () if stopping else (Delete(job_key("backup", backup), job.metadata.uid),)
    return Plan((say, *write, *stop))


def _note_that_it_began(backup: Backup, pods: Sequence[Pod], now: datetime) -> Plan:
    """A worker that began just before its Job was deleted: what it may have left is cleaned, see
    what_remains. (One that ends before anybody saw it run has not come so far as to open an upload.)"""
    late = backup.status.phase == Phase.SCHEDULED and any(map(has_run, pods))
    cause = Cause(reasons.RUN_STOPPED, "the Backup is being deleted: its run is stopped")
    write = move(backup, Phase.RUNNING, cause, now) if late else ()
    return Plan(write, wake_at=next_out_of_reach(pods, now))


def _end(facts: BackupFacts, backup: Backup, remains: Remains, now: datetime) -> Plan:
    # Only a result proves that a run is over: else a Job or pod may be there that no cache shows yet.
    over = backup.status.condition(Phase.COMPLETE) is not None
    running = None if over else _look_for_run(facts, backup, now)
    return running or _leave(facts, backup, remains, (finalizer.say_kept(backup, is_kept=remains.kept),), now)


def _leave(
    facts: BackupFacts, backup: Backup, remains: Remains, words: tuple[Action, ...], now: datetime
) -> Plan:
    """Nothing is left in the storage; what may be left in the database comes last."""
    step = release.before_leaving(facts, backup, now, unheard=remains.unheard)
    if step.over:
        return Plan((*step.actions, *words, finalizer.let_go(backup)))
    return Plan(step.actions, wake_at=step.wake_at)


def _look_for_run(facts: BackupFacts, backup: Backup, now: datetime) -> Plan | None:
    """A live look for a Job or pod that the cache may not show yet; None once there surely is none."""
    key = job_key("backup", backup)
    look = Look(JOB_KIND, key.namespace, name=key.name)
    jobs = facts.seen(look, Job)
    if jobs is None:
        return Plan(look=look)
    for job in jobs:
        if owned_by(job, backup) and runs(job, facts.pods, now):
            return _stop_run(backup, job, facts.pods, now)
        if owned_by(job, backup) and facts.job is None:
            return Plan(wake_at=now + _NEXT_LOOK)  # What it tells of its run comes with the cache.
    pods_look = pods_of(backup, "backup")
    pods = facts.seen(pods_look, Pod)
    if pods is None:
        return Plan(look=pods_look)
    return Plan(wake_at=now + _NEXT_LOOK) if awaited(pods, backup, now) else None


def _clean(facts: BackupFacts, backup: Backup, remains: Remains, now: datetime) -> Plan:
    running = _look_for_run(facts, backup, now)
    if running is not None:
        return running
    if facts.refusal is not None and facts.refusal.namespace_terminating:
        return finalizer.as_the_namespace_goes(backup, wanted_gone=remains.data)
    looking = _look_whether_whole(facts, backup, remains, now)
    if looking is not None:
        return looking
    plan = cleaning.begin(facts, backup, remains, now)
    return attrs.evolve(plan, actions=(*_say_lost(facts, backup), *plan.actions))


def _look_whether_whole(facts: BackupFacts, backup: Backup, remains: Remains, now: datetime) -> Plan | None:
    """OnFailure is about what a failure leaves, and a run that ended without a word may have made a whole
    backup: it is looked for as if the Backup lived. One that this deletion stopped was to come to nothing."""
    known = backup.status.condition(Phase.FAILED) is not None or _was_stopped(backup)
    if known or not remains.data or clean_policy(backup) is not CleanPolicy.ON_FAILURE:
        return None
    job = facts.job if facts.job is not None and owned_by(facts.job, backup) else None
    made = pods_made_by(job, facts.pods) if job is not None else []
    cause = _ended_by(job, made, now)
    if cause is None:
        return None
    in_the_way = facts.inspect_job is not None and holder(facts.inspect_job, backup) is Holder.FOREIGN
    if facts.inspect_job is not None and in_the_way and inspection.worth_a_look(backup, made, cause):
        return cleaning.failed(backup, remains, taken(facts.inspect_job), now)
    looking = inspection.inspect(facts, backup, made, cause, now)
    if not isinstance(looking, inspection.Looking):
        return None
    say = () if backup.status.phase == Phase.CLEAN_FAILED else move(backup, Phase.RUNNING, looking.cause, now)
    return Plan((*looking.actions, *say), wake_at=looking.wake_at)


def _ended_by(job: Job | None, pods: Sequence[Pod], now: datetime) -> Cause | None:
    """What ended a run without a word; None where its worker had its say."""
    if job is None:
        return Cause(reasons.JOB_DELETED, "its Job was deleted from outside")
    found = verdict(job, pods, now)
    if isinstance(found, Unclear):
        return diagnosis.why_job_ended(job)
    return found.cause if isinstance(found, Broken) else None


def _was_stopped(backup: Backup) -> bool:
    phases = (backup.status.condition(phase) for phase in (Phase.SCHEDULED, Phase.RUNNING))
    return any(phase is not None and phase.reason == reasons.RUN_STOPPED for phase in phases)


def _say_lost(facts: BackupFacts, backup: Backup) -> tuple[Action, ...]:
    """A pod that is not waited for any more may be at work all the same, on a node that is only cut off. It
    opened its one upload before its dump: once that is aborted, it can complete nothing."""
    lost = [diagnosis.lost(pod) for pod in facts.pods if may_work_for(pod, backup)]
    return tuple(Announce(KIND, backup.metadata, "Warning", each.reason, each.message) for each in lost)


def _without_cleaning(facts: BackupFacts, backup: Backup, going: Plan, now: datetime) -> Plan:
    """A look at the CRD comes first; no farewell before a look at the run, nor while a cleaning goes on."""
    job = facts.clean_job
    if going.look is None and job is not None and owned_by(job, backup):
        return cleaning.stop(facts, backup, job, now)
    return going if going.look else _look_for_run(facts, backup, now) or going
