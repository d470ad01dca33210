"""A Backup that is Complete or Failed: its Jobs are removed in time, TiDB's GC life time is put back if its
run may have left it raised, and the Backup itself is deleted if the user wants that.

Must not know how it ended, nor what becomes of its archive.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from tidbbackup.decide import rows
from tidbbackup.decide.aftermath.drilled import drilled
from tidbbackup.decide.aftermath.job import follow, tried_until
from tidbbackup.decide.aftermath.left import done, left_to_release
from tidbbackup.decide.plan import Action, Announce, Delete, Plan
from tidbbackup.decide.run.job_state import Ours
from tidbbackup.decide.run.life import BackupLife
from tidbbackup.decide.run.name_lock import remove
from tidbbackup.decide.schedule.doubt import doubt
from tidbbackup.decide.status import Cause, update_status, warn
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import KIND, Backup, Phase, StatusWarning

# A finished Job holds its pod's log, and the staging volume: somebody may want the one, nobody the other.
_KEEP_COMPLETE = timedelta(minutes=5)
_KEEP_FAILED = timedelta(days=1)

_ONE_TRY = timedelta(minutes=5)
RELEASE_TRIES = timedelta(days=1)
"""After the end of a Backup its GC life time is given up."""
BY_HAND = (
    "if the database is a TiDB, see what was there before in the comment of: SELECT * FROM mysql.tidb WHERE "
    "variable_name = 'tikv_gc_life_time', and set value and comment back to it with UPDATE; the next backup "
    "of that database does the same"
)
_NOT_PUT_BACK = f"the GC life time that its run may have raised was not put back; {BY_HAND}"


def decide(life: BackupLife) -> Plan:
    """What is left to do about a Backup that is Complete or Failed."""
    backup, now = life.backup, life.now
    if told := drilled(life):
        return Plan(told, row=rows.Finished.DRILLED)
    ended = life.status.timeCompleted or backup.metadata.creationTimestamp
    assert ended is not None
    ttl = backup.spec.ttlSecondsAfterFinished
    expires = None if ttl is None else ended + timedelta(seconds=ttl)
    plan = Plan(wake_at=expires, row=rows.Finished.NOTHING)
    if expires is not None and now >= expires:
        doubted = doubt(life.facts, KIND, backup.metadata, (backup,), now)
        if doubted is None:
            return _expired(backup)  # It takes its Jobs along.
        plan = doubted.by(rows.Finished.DOUBTED)
    jobs: tuple[object, ...] = (life.run,)
    if life.status.gcLifeTimeHeld:
        released = _release(life, ended)
        actions = (*plan.actions, *released.actions)
        plan = attrs.evolve(plan, actions=actions, row=released.row).no_later(released.wake_at)
    else:
        jobs = (life.run, life.aftermath)
    for job in jobs:
        if isinstance(job, Ours):
            at = ended + _kept_for(job, failed=life.status.phase == Phase.FAILED)
            step = remove(job) if at <= now else Plan(wake_at=at)
            plan = attrs.evolve(plan, actions=(*plan.actions, *step.actions)).no_later(step.wake_at)
    return plan


def not_put_back_yet(backup: Backup, why: Cause) -> Action:
    """Said while it is tried."""
    said = f"the GC life time that its run may have raised could not be put back yet: {why.message}"
    return Announce(KIND, backup.metadata, "Warning", reasons.RELEASE_FAILED, said)


def not_put_back(backup: Backup) -> Action:
    """Said once it is given up."""
    return Announce(KIND, backup.metadata, "Warning", reasons.RELEASE_GIVEN_UP, _NOT_PUT_BACK)


def _release(life: BackupLife, ended: datetime) -> Plan:
    backup, until = life.backup, tried_until(life, ended + RELEASE_TRIES, _ONE_TRY)
    if life.awaited:
        # A worker that still stops may put it back itself: its end wakes us.
        return Plan(wake_at=life.lost_at, row=rows.Finished.POD_STOPS)
    step = follow(life, left_to_release(backup), ended)
    if step.report:
        # Dying here: the next run finds the Job's report once more.
        released = warn(done(life.status, step.report), life.status.warnings, life.now)
        return Plan(update_status(backup, released), row=rows.Finished.RELEASED)
    if life.now >= until:
        told = (StatusWarning(reasons.RELEASE_GIVEN_UP, _NOT_PUT_BACK), *life.status.warnings)
        given_up = warn(attrs.evolve(life.status, gcLifeTimeHeld=False), told, life.now)
        actions = (not_put_back(backup), *update_status(backup, given_up))
        return Plan(actions, row=rows.Finished.RELEASE_GIVEN_UP)
    say = (not_put_back_yet(backup, step.trouble),) if step.trouble else ()
    return Plan((*step.actions, *say), step.wake_at, rows.Finished.RELEASING).no_later(until)


def _expired(backup: Backup) -> Plan:
    ttl = backup.spec.ttlSecondsAfterFinished
    text = f"it ended {ttl} s ago (spec.ttlSecondsAfterFinished): the Backup is deleted, by its cleanPolicy"
    say = Announce(KIND, backup.metadata, "Normal", reasons.EXPIRED, text)
    return Plan((say, Delete(backup.key, backup.metadata.uid)), row=rows.Finished.EXPIRED)


def _kept_for(job: Ours, *, failed: bool) -> timedelta:
    """How long after the end of the Backup. A log is not worth a pod that runs for a day, because of a
    container that a webhook put beside ours."""
    if failed and (not job.stoppable or job.job.condition("FailureTarget")):
        return _KEEP_FAILED
    worker_ended = bool(job.pods) and all(pod.over for pod in job.pods)
    return _KEEP_COMPLETE if worker_ended or not failed else timedelta()
