"""What the run of a Backup that is going may have left, and what of that its policy wants gone.

Asked once the run is over or stopped. Must not know how it is cleaned.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

from tidbbackup.decide.run.diagnosis import Broken, Ended, Verdict, end_of, has_run, succeeded, verdict
from tidbbackup.decide.run.ownership import pods_made_by
from tidbbackup.decide.spec.task import clean_policy
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import WorkerResult
from tidbbackup.model.resource.backup import WARNING, Backup, CleanPolicy, Phase
from tidbbackup.model.resource.kubernetes import Job, Pod


@frozen
class Remains:
    """What is left of a Backup that is going; true where there is something to clean."""

    uploads: bool = False
    """A multipart upload may be open."""
    data: bool = False
    """An archive may be there, and the policy wants it gone."""
    kept: bool = False
    """An archive is there, and the policy keeps it."""
    unheard: bool = False
    """Nobody knows how far the run had come."""

    def __bool__(self) -> bool:
        return self.uploads or self.data


def what_remains(
    backup: Backup, job: Job | None, pods: Sequence[Pod], now: datetime, *, found_whole: bool = False
) -> Remains:
    """What a Backup whose run is over or stopped may have left, by its phase, its policy and its last word.

    `job` is its own, if it is still there: it knows of a run, and of its end, that no status tells of yet.
    `found_whole`: an inspection has found archive and manifest.
    A worker that could say why it failed has aborted its upload; one that died without a word may have
    left anything, even a whole archive, and what an upload that is left open becomes nobody knows either.
    """
    status = backup.status
    policy = clean_policy(backup)
    if status.phase in ("", Phase.INVALID) and job is None and not backup.tried_before:
        return Remains()
    made = pods_made_by(job, pods) if job is not None else []
    found = verdict(job, made, now) if job is not None else None
    end = end_of(job, made) if job is not None else None
    heard = found is not None and succeeded(found)
    completed = heard or found_whole or (end is not None and end.done)
    # A failure is one, in the status for good: the archive's fate must not hang on which Job is still there.
    failed = status.condition(Phase.FAILED)
    completed = completed and failed is None
    if completed or status.condition(Phase.COMPLETE) is not None:
        goes = policy is CleanPolicy.DELETE
        return Remains(data=goes, kept=not goes, unheard=completed and not heard)
    if not backup.tried_before and job is not None and found and _never_began(backup, job, pods, found):
        return Remains()
    if failed is None and not backup.tried_before:
        if _stopped_before_it_began(backup):
            return Remains()
        if isinstance(found, Ended) and found.result.reason not in reasons.DIED_WITHOUT_A_WORD:
            return _as_its_worker_says(found.result, policy)
    unheard = failed is None or backup.tried_before or failed.reason in reasons.DIED_WITHOUT_A_WORD
    warning = status.condition(WARNING)
    left_open = warning is not None and warning.reason == reasons.UPLOAD_LEFT_OPEN
    uploads = unheard or left_open
    return Remains(uploads=uploads, data=uploads and policy is not CleanPolicy.RETAIN, unheard=unheard)


def _as_its_worker_says(result: WorkerResult, policy: CleanPolicy) -> Remains:
    """Its own failure, which no status tells of yet. The commonest, wrong keys, would fail a cleaning too."""
    uploads = result.uploadLeftOpen
    data = uploads and policy is not CleanPolicy.RETAIN
    return Remains(uploads=uploads, data=data, unheard=result.gcLifeTimeHeld)


def _never_began(backup: Backup, job: Job, pods: Sequence[Pod], found: Verdict) -> bool:
    """Its pod ended (drained, evicted) while it waited, and its node was there to say so."""
    if backup.status.condition(Phase.RUNNING) is not None or not isinstance(found, Broken):
        return False
    made = pods_made_by(job, pods)
    told = all(pod.ended and pod.state.waiting is None and not has_run(pod) for pod in made)
    return bool(made) and told and found.cause.reason != reasons.NODE_LOST


def _stopped_before_it_began(backup: Backup) -> bool:
    """Its Job was deleted by us while its pod waited: a cleaning pod might wait for the same for ever."""
    scheduled = backup.status.condition(Phase.SCHEDULED)
    never_ran = backup.status.condition(Phase.RUNNING) is None
    return never_ran and scheduled is not None and scheduled.reason == reasons.RUN_STOPPED
