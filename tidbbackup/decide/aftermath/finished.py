"""A Backup whose run has ended: its Jobs are removed in time, and itself where the user wants that.

Must not know how it ended, nor what becomes of its archive.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Announce, Delete, Plan
from tidbbackup.decide.run.ownership import JOB_KIND, owned_by, pods_made_by, runs
from tidbbackup.decide.schedule.doubt import doubt
from tidbbackup.model import reasons
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.resource.backup import KIND, Backup, Phase
from tidbbackup.model.resource.kubernetes import Job

# A finished Job holds its pod's log, and the staging volume: somebody may want the one, nobody the other.
_KEEP_COMPLETE = timedelta(minutes=5)
_KEEP_FAILED = timedelta(days=1)


def decide(facts: BackupFacts, backup: Backup, now: datetime) -> Plan:
    """What is left to do about a Backup that is Complete or Failed."""
    status = backup.status
    ended = status.timeCompleted or backup.metadata.creationTimestamp
    assert ended is not None
    ttl = backup.spec.ttlSecondsAfterFinished
    expires = None if ttl is None else ended + timedelta(seconds=ttl)
    held = Plan(wake_at=expires)
    if expires is not None and now >= expires:
        held = doubt(facts, KIND, backup.metadata, (backup,), now) or _expired(backup)
        if held.look is not None or held.wake_at is None:
            return held  # A look comes first; a Backup that goes takes its Jobs along.
    jobs = [job for job in (facts.job, facts.inspect_job) if job is not None and _is_left(job, backup)]
    times = [(job, ended + _kept_for(job, facts, now, failed=status.phase == Phase.FAILED)) for job in jobs]
    remove = tuple(
        Delete(ObjectKey(JOB_KIND, backup.key.namespace, job.metadata.name), job.metadata.uid)
        for job, at in times
        if at <= now
    )
    soon = min((at for _, at in times if at > now), default=None)
    return attrs.evolve(held, actions=(*held.actions, *remove)).no_later(soon)


def _expired(backup: Backup) -> Plan:
    ttl = backup.spec.ttlSecondsAfterFinished
    text = f"it ended {ttl} s ago (spec.ttlSecondsAfterFinished): the Backup is deleted, by its cleanPolicy"
    say = Announce(KIND, backup.metadata, "Normal", reasons.EXPIRED, text)
    return Plan((say, Delete(backup.key, backup.metadata.uid)))


def _is_left(job: Job, backup: Backup) -> bool:
    return owned_by(job, backup) and job.metadata.deletionTimestamp is None


def _kept_for(job: Job, facts: BackupFacts, now: datetime, *, failed: bool) -> timedelta:
    """How long after the end of the Backup.

    A run that was given up (its pod never started) is Failed first and its Job deleted then: dying in between
    leaves Failed and a Job. An inspection that took too long is given up likewise.
    """
    pods = pods_made_by(job, (*facts.pods, *facts.inspect_pods))
    if failed and (not runs(job, pods, now) or job.condition("FailureTarget")):
        return _KEEP_FAILED
    # A log is not worth a pod that runs for a day, because of a container that a webhook put beside ours.
    worker_ended = bool(pods) and all(pod.over for pod in pods)
    return _KEEP_COMPLETE if worker_ended or not failed else timedelta()
