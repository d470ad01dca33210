"""Stops a run, and makes sure that none goes on: its Job and all its pods are gone, by a live look.

The status tells first that the run is stopped, so whoever comes after a death goes on with it. Must not know
why it is stopped, nor what follows.
"""

from __future__ import annotations

from datetime import timedelta

import attrs

from tidbbackup.decide.plan import Action, Delete, Plan
from tidbbackup.decide.run.beginning import begun
from tidbbackup.decide.run.diagnosis import has_run, is_out_of_reach
from tidbbackup.decide.run.job_state import Ours, Silent
from tidbbackup.decide.run.life import BackupLife, Life, S
from tidbbackup.decide.run.name_lock import remove
from tidbbackup.decide.run.ownership import may_work_for, pods_of
from tidbbackup.decide.status import Cause, move, update_status
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import Phase, RunEnd
from tidbbackup.model.resource.kubernetes import Pod

_NEXT_LOOK = timedelta(seconds=10)


def ended(life: Life[S], cause: Cause, *, stopped: bool = False, began: bool = True) -> S:
    """The status once it is known that the run has ended, or is to be stopped, by `cause`.

    `began`: its worker may have begun, so a Backup's may have left anything.
    """
    # When it is seen: whatever is tried after it has its whole time, also if the controller was away.
    end = RunEnd(life.now.replace(microsecond=0), cause.reason, cause.message, stopped)
    if isinstance(life, BackupLife):
        status = begun(life)
        upload, held = status.uploadLeftOpen or began, status.gcLifeTimeHeld or began
        return attrs.evolve(status, runEnded=end, uploadLeftOpen=upload, gcLifeTimeHeld=held)
    return attrs.evolve(begun(life), runEnded=end)


def never_began(life: BackupLife, run: Silent) -> bool:
    """Its pod ended (drained, evicted) while it waited, and its node was there to say so.

    A kubelet that has lost a container that worked may tell neither that it began nor that it ended.
    """
    seen_at_work = life.status.phase == Phase.RUNNING
    if seen_at_work or run.begun or run.lost or run.cause.reason == reasons.NODE_LOST:
        return False
    return bool(run.pods) and all(pod.ended and pod.state.waiting is None for pod in run.pods)


def stop(life: Life[S], run: Ours, cause: Cause) -> Plan:
    """Write that the run is stopped, then delete its Job, its pods first."""
    began = run.begun or life.status.phase == Phase.RUNNING
    status = ended(life, cause, stopped=True, began=began)
    phase = Phase.RUNNING if began else Phase.SCHEDULED
    write: tuple[Action, ...] = move(life.subject, phase, cause, life.now, status=status)
    # Dying here: the next run finds in the status that it is stopped, and deletes the Job.
    return Plan((*write, Delete(life.job_key, run.job.metadata.uid)))


def until_it_is_gone(life: Life[S]) -> Plan | None:
    """What to do, or to wait for, until a run that is stopped is gone; None: it is."""
    run = life.run
    note = _note_that_it_began(life)
    if isinstance(run, Ours):
        away = remove(run)
        return Plan(note + away.actions, away.wake_at)
    if note or life.awaited:
        # Stopped means that its pods are gone too: their end wakes us.
        return Plan(note, life.lost_at)
    return look_for_a_run(life)


def look_for_a_run(life: Life[S]) -> Plan | None:
    """A live look for a Job or pod that the cache may not show yet; None once there surely is none that goes
    on."""
    unseen = not isinstance(life.run, Ours)
    if life.has_unseen_job() and unseen:
        return Plan(wake_at=life.now + _NEXT_LOOK)  # What it tells comes with the cache.
    return look_for_a_pod(life)


def look_for_a_pod(life: Life[S]) -> Plan | None:
    """A live look for a pod that goes on; None once there surely is none. One that is out of reach may be at
    work all the same, on a node that is only cut off."""
    subject, now = life.subject, life.now
    pods = life.look_up(pods_of(subject, life.verb), Pod)
    awaited = [pod for pod in pods if may_work_for(pod, subject) and not is_out_of_reach(pod, now)]
    return Plan(wake_at=now + _NEXT_LOOK) if awaited else None


def _note_that_it_began(life: Life[S]) -> tuple[Action, ...]:
    """A worker that began just before its Job was deleted may have left anything. (One that ends before
    anybody saw it run has not come so far as to open an upload.)"""
    began = any(map(has_run, life.facts.pods))
    if not began or not isinstance(life, BackupLife) or life.status.uploadLeftOpen:
        return ()
    return update_status(life.backup, attrs.evolve(life.status, uploadLeftOpen=True, gcLifeTimeHeld=True))
