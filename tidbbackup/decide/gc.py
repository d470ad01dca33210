"""Ends a Backup's life: stops its run, has its leftovers and data cleaned, lets it go.

The finalizer is dropped as soon as nothing remains to do, and nothing is deleted that the policy did not
ask for. Must not know how a Plan is carried out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeGuard

import attrs

from tidbbackup.decide.aftermath import cleaning, earlier, finalizer, inspection, release
from tidbbackup.decide.aftermath.remains import Remains, what_remains
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import NOTHING, Action, Announce, Delete, Look, Plan
from tidbbackup.decide.run import diagnosis, given_up
from tidbbackup.decide.run.job_state import (
    Absent,
    Foreign,
    JobState,
    Ours,
    Present,
    Reported,
    Silent,
    job_state,
)
from tidbbackup.decide.run.life import Life, life_of
from tidbbackup.decide.run.name_lock import remove, taken
from tidbbackup.decide.run.ownership import JOB_KIND, job_key, pods_of
from tidbbackup.decide.spec.task import clean_policy
from tidbbackup.decide.status import Cause, move
from tidbbackup.model import reasons
from tidbbackup.model.names import FINALIZER
from tidbbackup.model.resource.backup import KIND, CleanPolicy, Phase
from tidbbackup.model.resource.kubernetes import Job, Pod

_NEXT_LOOK = timedelta(seconds=10)
_OPEN = {"", Phase.INVALID, Phase.SCHEDULED, Phase.RUNNING}
"""The phases that do not tell how a run ended."""


def decide(facts: BackupFacts, now: datetime) -> Plan:
    """What to do about one Backup that is being deleted; the first row that fits wins."""
    backup = facts.backup
    if backup is None or backup.metadata.deletionTimestamp is None:
        return NOTHING
    if FINALIZER not in backup.metadata.finalizers:
        return NOTHING
    if backup.foreign or facts.unreadable:
        return Plan((finalizer.let_go(backup),))
    life = life_of(facts, backup, now)
    mended = earlier.brought_up_to_date(life) or given_up.started_after_all(life)
    if mended:
        return Plan(mended)
    if _is_to_stop(life.run, life):
        return _stop_run(life, life.run)
    if life.awaited:
        # Stopped means that its pods are gone too: their end wakes us.
        begun = any(map(diagnosis.has_run, facts.pods))
        return Plan(_note_that_it_began(life) if begun else (), wake_at=life.lost_at)
    return _clean_up(life, what_remains(life))


def _clean_up(life: Life, remains: Remains) -> Plan:
    """Its run is over, as far as the caches know."""
    job = life.cleaning
    if life.status.phase == Phase.CLEAN:
        return _leave(life, remains)
    if isinstance(job, Ours) and cleaning.contradicts_policy(job, remains):
        # Until it is gone nothing else is done: it may still delete what is to be kept.
        return remove(job)
    if not remains:
        return _end(life, remains)
    if not (isinstance(job, Ours) and job.done):
        uninstalled = finalizer.if_the_crd_goes(life.facts, life.backup, wanted_gone=remains.data)
        if uninstalled is not None:
            return _without_cleaning(life, uninstalled)
    if isinstance(job, Present):
        return cleaning.follow(life, job, remains)
    return _clean(life, remains)


def _is_to_stop(run: JobState, life: Life) -> TypeGuard[Ours]:
    """Whether the run has to be stopped. One whose worker had ended before, while a container that a webhook
    put beside ours keeps its pod, is not: its Job stays until what it tells has been acted on."""
    if not isinstance(run, Ours) or not run.stoppable:
        return False
    told = (life.status.condition(Phase.COMPLETE), life.status.condition(Phase.FAILED), life.status.stoppedAt)
    untold = not any(told)
    return not (untold and run.begun and isinstance(run, Reported | Silent))


def _stop_run(life: Life, run: Ours) -> Plan:
    backup, begun = life.backup, life.begun or run.begun
    untold = life.status.phase in ("", Phase.INVALID)
    if run.deleting and not untold:
        return Plan(_note_that_it_began(life) if run.begun else (), wake_at=run.lost_at)
    cause = _stopped(begun=begun)
    say = Announce(KIND, backup.metadata, "Normal", cause.reason, cause.message)
    # Written first: once the Job is gone, only the status tells whether there was a run to clean up after.
    # A phase that is final already (a run that was given up) tells enough.
    write = _write_that_it_is_stopped(life, begun=begun) if life.status.phase in _OPEN else ()
    stop = () if run.deleting else (Delete(job_key("backup", backup), run.job.metadata.uid),)
    return Plan((say, *write, *stop))


def _stopped(*, begun: bool) -> Cause:
    when = "is stopped" if begun else "is stopped before it began"
    return Cause(reasons.RUN_STOPPED, f"the Backup is being deleted: its run {when}")


def _write_that_it_is_stopped(life: Life, *, begun: bool) -> tuple[Action, ...]:
    status = attrs.evolve(
        life.status,
        stoppedAt=life.status.stoppedAt or life.now.replace(microsecond=0),
        uploadLeftOpen=life.status.uploadLeftOpen or begun,
        gcLifeTimeHeld=life.status.gcLifeTimeHeld or begun,
    )
    phase = Phase.RUNNING if begun else Phase.SCHEDULED
    return move(life.backup, phase, _stopped(begun=begun), life.now, status=status)


def _note_that_it_began(life: Life) -> tuple[Action, ...]:
    """A worker that began just before its Job was deleted: what it may have left is cleaned, see
    what_remains. (One that ends before anybody saw it run has not come so far as to open an upload.)"""
    late = life.status.phase == Phase.SCHEDULED
    return _write_that_it_is_stopped(life, begun=True) if late else ()


def _end(life: Life, remains: Remains) -> Plan:
    # Only a result proves that a run is over: else a Job or pod may be there that no cache shows yet.
    over = life.status.condition(Phase.COMPLETE) is not None
    running = None if over else _look_for_run(life)
    return running or _leave(life, remains, finalizer.say_kept(life.backup, is_kept=remains.kept))


def _leave(life: Life, remains: Remains, *words: Action) -> Plan:
    """Nothing is left in the storage; what may be left in the database comes last."""
    step = release.before_leaving(life, unheard=remains.unheard)
    if step.over:
        return Plan((*step.actions, *words, finalizer.let_go(life.backup)))
    return Plan(step.actions, wake_at=step.wake_at)


def _look_for_run(life: Life) -> Plan | None:
    """A live look for a Job or pod that the cache may not show yet; None once there surely is none."""
    backup, now = life.backup, life.now
    key = job_key("backup", backup)
    look = Look(JOB_KIND, key.namespace, name=key.name)
    for found in life.look_up(look, Job):
        run = job_state(found, life.facts.pods, backup, now)
        if _is_to_stop(run, life):
            return _stop_run(life, run)
        if isinstance(run, Ours) and isinstance(life.run, Absent):
            return Plan(wake_at=now + _NEXT_LOOK)  # What it tells of its run comes with the cache.
    pods = life.look_up(pods_of(backup, "backup"), Pod)
    awaited = attrs.evolve(life, facts=attrs.evolve(life.facts, pods=pods)).awaited
    return Plan(wake_at=now + _NEXT_LOOK) if awaited else None


def _clean(life: Life, remains: Remains) -> Plan:
    running = _look_for_run(life)
    if running is not None:
        return running
    if life.refusal is not None and life.refusal.namespace_terminating:
        return finalizer.as_the_namespace_goes(life.backup, wanted_gone=remains.data)
    looking = _look_whether_whole(life, remains)
    if looking is not None:
        return looking
    plan = cleaning.begin(life, remains)
    return attrs.evolve(plan, actions=(*_say_lost(life), *plan.actions))


def _look_whether_whole(life: Life, remains: Remains) -> Plan | None:
    """OnFailure is about what a failure leaves, and a run that ended without a word may have made a whole
    backup: it is looked for as if the Backup lived. One that this deletion stopped was to come to nothing."""
    backup = life.backup
    known = life.status.condition(Phase.FAILED) is not None or life.status.stoppedAt is not None
    if known or not remains.data or clean_policy(backup) is not CleanPolicy.ON_FAILURE:
        return None
    cause = _ended_by(life.run)
    if cause is None:
        return None
    if isinstance(life.inspection, Foreign) and inspection.worth_a_look(life, cause):
        return cleaning.failed(life, remains, taken(life.inspection))
    looking = inspection.inspect(life, cause)
    if not isinstance(looking, inspection.Looking):
        return None
    told = life.status.phase == Phase.CLEAN_FAILED
    say = () if told else move(backup, Phase.RUNNING, looking.cause, life.now)
    return Plan((*looking.actions, *say), wake_at=looking.wake_at)


def _ended_by(run: JobState) -> Cause | None:
    """What ended a run without a word; None where its worker had its say."""
    if not isinstance(run, Ours):
        return Cause(reasons.JOB_DELETED, "its Job was deleted from outside")
    return run.cause if isinstance(run, Silent) else None


def _say_lost(life: Life) -> tuple[Action, ...]:
    """A pod that is not waited for any more may be at work all the same, on a node that is only cut off. It
    opened its one upload before its dump: once that is aborted, it can complete nothing."""
    lost = [diagnosis.lost(pod) for pod in life.at_work]
    return tuple(Announce(KIND, life.backup.metadata, "Warning", each.reason, each.message) for each in lost)


def _without_cleaning(life: Life, going: Plan) -> Plan:
    """Nothing is let go before a look at the run, nor while a cleaning goes on."""
    return remove(life.cleaning) if isinstance(life.cleaning, Ours) else _look_for_run(life) or going
