"""Who holds the name of one of a Backup's Jobs, and how a Job that is in the way goes.

Names are locks: until the name is free, no Job of ours can be made. Must not know what the Job is for, nor
what is said where the name is somebody else's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum

from tidbbackup.decide.plan import Delete, Plan
from tidbbackup.decide.run.diagnosis import is_out_of_reach, next_out_of_reach
from tidbbackup.decide.run.ownership import job_key, of_a_former, owned_by, pods_made_by
from tidbbackup.decide.status import Cause
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.kubernetes import Job, Pod


class Holder(Enum):
    """Whose Job has the name."""

    OURS = "this very Backup"
    FORMER = "a Backup of the same name that is gone: its Job may be deleted"
    FOREIGN = "anybody else: its Job is not touched"


def holder(job: Job, backup: Backup) -> Holder:
    """Who holds the name, `job` being what has it."""
    if owned_by(job, backup):
        return Holder.OURS
    return Holder.FORMER if of_a_former(job, backup) else Holder.FOREIGN


def is_leaving(job: Job, pods: Sequence[Pod], now: datetime) -> bool:
    """Whether nothing is to be expected of a Job: it is being deleted, or its pod is out of reach."""
    return job.metadata.deletionTimestamp is not None or _is_lost(job, pods, now)


def remove(verb: str, backup: Backup, job: Job, pods: Sequence[Pod], now: datetime) -> Plan:
    """Delete the Job that holds the name of ours of that verb, or wait until it is gone, which wakes us.

    A pod that is out of reach would hold it, and so the name, for as long as its node is away: then it is
    abandoned. `pods` may be those of other Jobs too.
    """
    made = pods_made_by(job, pods)
    lost = _is_lost(job, made, now)
    if job.metadata.deletionTimestamp is not None and not lost:
        return Plan(wake_at=next_out_of_reach(made, now))
    # Dying here: the next run finds it being deleted, or gone, or the same once more.
    delete = Delete(job_key(verb, backup), job.metadata.uid, abandon=lost)
    return Plan((delete,), wake_at=next_out_of_reach(made, now))


def taken(job: Job) -> Cause:
    """What is said of a Job that is not ours."""
    owner = job.metadata.owner
    held_by = f"{owner.kind} {owner.name}, {owner.apiVersion}" if owner else "nobody's"
    text = f"a Job {job.metadata.name} that is not ours ({held_by}) is in the way: delete it"
    return Cause(reasons.NAME_TAKEN, text)


def _is_lost(job: Job, pods: Sequence[Pod], now: datetime) -> bool:
    return any(is_out_of_reach(pod, now) for pod in pods_made_by(job, pods))
