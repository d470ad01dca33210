"""Puts TiDB's GC life time back where a worker may have died with it raised: `release-<bk>`.

Nobody here knows whether the database is a TiDB, or how far the worker had come: the Job finds out, and is
cheap. `status.gcLifeTimeHeld` tells for how long that is to be done, whatever becomes of Jobs and pods.
Bounded both ways: a Backup that lives is released for a day, one that is being deleted waits seconds, and
then an Event says what to do by hand. Must not know how the worker does it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
from attrs import frozen

from tidbbackup.decide.plan import Action, Announce, Create, Delete, Plan
from tidbbackup.decide.render import is_outdated, release_job
from tidbbackup.decide.run.job_state import Absent, Foreign, Former, NotStarted, Ours, Reported, Silent
from tidbbackup.decide.run.life import Life
from tidbbackup.decide.run.name_lock import remove, taken
from tidbbackup.decide.run.ownership import job_key
from tidbbackup.decide.run.pauses import again_at
from tidbbackup.decide.status import mend, warn
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import KIND, Backup, Phase, StatusWarning

TRIES_FOR = timedelta(days=1)
"""After the end of a Backup; then it is given up."""
_HOLDS_UP_A_DELETION = timedelta(seconds=45)
_NEXT_QUESTION = timedelta(minutes=1)

BY_HAND = (
    "if the database is a TiDB, see what was there before in the comment of: SELECT * FROM mysql.tidb WHERE "
    "variable_name = 'tikv_gc_life_time', and set value and comment back to it with UPDATE; the next backup "
    "of that database does the same"
)
_NOT_PUT_BACK = f"the GC life time that its run may have raised was not put back; {BY_HAND}"


@frozen
class Step:
    """What to do for the release now; `over`: nothing more, whether it is `done` or given up."""

    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None
    over: bool = False
    done: bool = False


def beside(plan: Plan, life: Life) -> Plan:
    """The plan for a Backup that has ended, and what its release needs besides."""
    backup, ended = life.backup, life.status.timeCompleted
    going = Delete(backup.key, backup.metadata.uid) in plan.actions
    if ended is None or going or not life.status.gcLifeTimeHeld:
        return plan
    if life.awaited:
        # A worker that still stops may put it back itself: its end wakes us.
        return plan.no_later(life.lost_at)
    until = ended + TRIES_FOR
    step = _step(life, ended, until)
    written: tuple[Action, ...] = ()
    if step.done or (step.over and life.now >= until):
        given_up = () if step.done else (StatusWarning(reasons.RELEASE_GIVEN_UP, _NOT_PUT_BACK),)
        released = attrs.evolve(life.status, gcLifeTimeHeld=False)
        # Dying here: the next run finds the Job's end, or the end of the day, once more.
        written = mend(backup, warn(released, (*given_up, *life.status.warnings), life.now))
    return attrs.evolve(plan, actions=(*plan.actions, *step.actions, *written)).no_later(step.wake_at)


def before_leaving(life: Life, *, unheard: bool) -> Step:
    """What has to be done before a Backup that is being deleted may go; once it is over, that may go.

    `unheard`: its run was stopped, or died, and nobody knows how far it had come.
    """
    if not unheard:
        return Step(over=True)
    since = _held_up_since(life)
    until = since + _HOLDS_UP_A_DELETION
    if life.status.phase == Phase.CLEAN_FAILED:
        until = _after_one_try(life, until)
    return _step(life, since, until)


def _held_up_since(life: Life) -> datetime:
    """The storage comes first, however long that takes: what holds up is counted from then on."""
    deleted, cleaned = life.backup.metadata.deletionTimestamp, life.status.condition(Phase.CLEAN)
    assert deleted is not None
    looked = life.inspection.told_at if isinstance(life.inspection, Reported | Silent) else None
    return max(at for at in (deleted, cleaned and cleaned.lastTransitionTime, looked) if at)


def _after_one_try(life: Life, until: datetime) -> datetime:
    """When it is given up: not before one try. A cleaning that failed until it was not asked for any more
    (spec.cleanPolicy was set to Retain) has taken any time, and no status tells when that was over."""
    match life.release:
        case Absent() if life.refusal is None and not life.problems and life.now >= until:
            return max(until, life.now + _HOLDS_UP_A_DELETION)
        case Ours(leaving=False) as job if not isinstance(job, Reported | Silent):
            return max(until, job.created + _HOLDS_UP_A_DELETION)
    return until


def _step(life: Life, since: datetime, until: datetime) -> Step:
    backup, job, refusal = life.backup, life.release, life.refusal
    if isinstance(job, Ours) and job.done:
        return Step(over=True, done=True)
    if life.now >= until:
        return Step((_given_up(backup),), over=True)
    if refusal is not None and refusal.namespace_terminating:
        return Step(over=True)
    if refusal is not None and not isinstance(job, Ours):
        text = f"the API server refuses Job {job_key('release', backup).name}: {refusal.message}"
        return Step((_failed(backup, text),), min(life.now + _NEXT_QUESTION, until))
    match job:
        case Absent() if life.problems:
            return Step(wake_at=until)  # No Job can be made of a spec that was edited into nonsense.
        case Absent():
            # Dying here: the next run finds the Job with our uid, and follows it.
            return Step((Create(release_job(backup, life.facts.image)),), until)
        case Foreign():
            return Step((_failed(backup, taken(job).message),), until)
        case Former() | Ours(leaving=True):
            return _remove(job, until)
        case NotStarted() | Reported() | Silent() if _is_mended(life, job):
            return _remove(job, until)
        case Reported() | Silent():
            return _try_again(life, job, since, until)
    return Step(wake_at=min(until, job.lost_at or until))


def _try_again(life: Life, job: Reported | Silent, since: datetime, until: datetime) -> Step:
    why = job.result.message if isinstance(job, Reported) else job.cause.message
    retry_at, say = again_at(since, job.at), _failed(life.backup, why)
    if life.now < retry_at:
        return Step((say,), min(retry_at, until))
    away = _remove(job, until)
    return Step((say, *away.actions), away.wake_at)


def _remove(job: Former | Ours, until: datetime) -> Step:
    """Its disappearance wakes us, and the next round makes it anew."""
    away = remove(job).no_later(until)
    return Step(away.actions, away.wake_at)


def _is_mended(life: Life, job: Ours) -> bool:
    """Whether the Job would be made otherwise now: its pod may wait for what the spec no longer names."""
    return not life.problems and is_outdated(job.job, release_job(life.backup, life.facts.image))


def _failed(backup: Backup, text: str) -> Action:
    said = f"the GC life time that its run may have raised could not be put back yet: {text}"
    return Announce(KIND, backup.metadata, "Warning", reasons.RELEASE_FAILED, said)


def _given_up(backup: Backup) -> Action:
    return Announce(KIND, backup.metadata, "Warning", reasons.RELEASE_GIVEN_UP, _NOT_PUT_BACK)
