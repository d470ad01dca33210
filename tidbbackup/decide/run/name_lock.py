"""How a Job goes that has the name of one of a Backup's Jobs, and what is said where it must not.

Must not know what the Job is for.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from tidbbackup.decide.facts import Facts
from tidbbackup.decide.plan import Delete, Look, Plan
from tidbbackup.decide.run.job_state import Foreign, Former, Ours
from tidbbackup.decide.run.ownership import JOB_KIND
from tidbbackup.decide.status import Cause, Subject
from tidbbackup.model import reasons
from tidbbackup.model.meta import ObjectKey

_CACHE_LAGS = timedelta(seconds=10)


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


def remove_former(held: Former, subject: Subject, facts: Facts, now: datetime) -> Plan:
    """The same for a Job of another uid, if a live read shows that `subject` is the newest of its name.

    Else the cache of Backups is behind that of Jobs: our `subject` is gone, and the Job belongs to the one
    that has its name now. Raises Unknown where nobody has looked yet.
    """
    plan = remove(held)
    if not plan.actions:
        return plan
    meta = subject.metadata
    look = Look(subject.kind, meta.namespace, names=(meta.name,))
    shown = {each.metadata.uid for each in facts.look_up(look, type(subject))}
    # The cache's next change wakes us sooner.
    return plan if meta.uid in shown else Plan(wake_at=now + _CACHE_LAGS)


def taken(held: Foreign) -> Cause:
    """What is said of a Job that is not ours."""
    owner = held.job.metadata.owner
    held_by = f"{owner.kind} {owner.name}, {owner.apiVersion}" if owner else "nobody's"
    text = f"the name is taken by a Job {held.job.metadata.name} that is not ours ({held_by}): delete it"
    return Cause(reasons.NAME_TAKEN, text)
