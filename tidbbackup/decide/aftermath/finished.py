"""A Backup whose run has ended: its Jobs are removed in time, and itself where the user wants that.

Must not know how it ended, nor what becomes of its archive.
"""

from __future__ import annotations

from datetime import timedelta

import attrs

from tidbbackup.decide.plan import Announce, Delete, Plan
from tidbbackup.decide.run.job_state import Ours
from tidbbackup.decide.run.life import Life
from tidbbackup.decide.run.name_lock import remove
from tidbbackup.decide.schedule.doubt import doubt
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import KIND, Backup, Phase

# A finished Job holds its pod's log, and the staging volume: somebody may want the one, nobody the other.
_KEEP_COMPLETE = timedelta(minutes=5)
_KEEP_FAILED = timedelta(days=1)


def decide(life: Life) -> Plan:
    """What is left to do about a Backup that is Complete or Failed."""
    backup, status, now = life.backup, life.status, life.now
    ended = status.timeCompleted or backup.metadata.creationTimestamp
    assert ended is not None
    ttl = backup.spec.ttlSecondsAfterFinished
    expires = None if ttl is None else ended + timedelta(seconds=ttl)
    plan = Plan(wake_at=expires)
    if expires is not None and now >= expires:
        plan = doubt(life.facts, KIND, backup.metadata, (backup,), now) or _expired(backup)
        if plan.wake_at is None:
            return plan  # A Backup that goes takes its Jobs along.
    # The Job that releases is needed for as long as there is something to release.
    for job in (life.run, life.inspection, *(() if status.gcLifeTimeHeld else (life.release,))):
        if isinstance(job, Ours):
            at = ended + _kept_for(job, failed=status.phase == Phase.FAILED)
            step = remove(job) if at <= now else Plan(wake_at=at)
            plan = attrs.evolve(plan, actions=(*plan.actions, *step.actions)).no_later(step.wake_at)
    return plan


def _expired(backup: Backup) -> Plan:
    ttl = backup.spec.ttlSecondsAfterFinished
    text = f"it ended {ttl} s ago (spec.ttlSecondsAfterFinished): the Backup is deleted, by its cleanPolicy"
    say = Announce(KIND, backup.metadata, "Normal", reasons.EXPIRED, text)
    return Plan((say, Delete(backup.key, backup.metadata.uid)))


def _kept_for(job: Ours, *, failed: bool) -> timedelta:
    """How long after the end of the Backup.

    A run that was given up (its pod never started) is Failed first and its Job deleted then: dying in between
    leaves Failed and a Job. An inspection that took too long is given up likewise.
    """
    if failed and (not job.stoppable or job.job.condition("FailureTarget")):
        return _KEEP_FAILED
    # A log is not worth a pod that runs for a day, because of a container that a webhook put beside ours.
    worker_ended = bool(job.pods) and all(pod.over for pod in job.pods)
    return _KEEP_COMPLETE if worker_ended or not failed else timedelta()
