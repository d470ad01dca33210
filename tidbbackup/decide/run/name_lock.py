"""How a Job goes that has the name of one of a Backup's Jobs, and what is said where it must not.

Must not know what the Job is for.
"""

from __future__ import annotations

from tidbbackup.decide.plan import Delete, Plan
from tidbbackup.decide.run.job_state import Foreign, Former, Ours
from tidbbackup.decide.run.ownership import JOB_KIND
from tidbbackup.decide.status import Cause
from tidbbackup.model import reasons
from tidbbackup.model.meta import ObjectKey


def remove(held: Former | Ours) -> Plan:
    """Delete the Job, or wait until it is gone, which wakes us.

    A pod that is out of reach would hold it, and so the name, for as long as its node is away: then it is
    abandoned.
    """
    meta = held.job.metadata
    if meta.deletionTimestamp is not None and not held.lost:
        return Plan(wake_at=held.lost_at)
    # Dying here: the next run finds it being deleted, or gone, or the same once more.
    key = ObjectKey(JOB_KIND, meta.namespace, meta.name)
    return Plan((Delete(key, meta.uid, abandon=held.lost),), wake_at=held.lost_at)


def taken(held: Foreign) -> Cause:
    """What is said of a Job that is not ours."""
    owner = held.job.metadata.owner
    held_by = f"{owner.kind} {owner.name}, {owner.apiVersion}" if owner else "nobody's"
    text = f"the name is taken by a Job {held.job.metadata.name} that is not ours ({held_by}): delete it"
    return Cause(reasons.NAME_TAKEN, text)
