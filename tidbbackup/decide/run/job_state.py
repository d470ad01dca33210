"""What holds one of the names of a Backup's Jobs, and how far it is, as one typed value.

Names are locks: until the name is free, no Job of ours can be made. The same for all kinds of Jobs. Must not
know what the Job is for, nor what follows from its state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from tidbbackup.decide.run import diagnosis
from tidbbackup.decide.run.diagnosis import has_run, is_out_of_reach, lost_at, next_out_of_reach
from tidbbackup.decide.run.ownership import owner_uid, pods_made_by
from tidbbackup.decide.status import Cause, Subject
from tidbbackup.model.contract.result import Outcome, WorkerResult, decode_result
from tidbbackup.model.resource.kubernetes import Job, Pod


@frozen
class Absent:
    """No Job has the name, as far as the cache knows. Only a live look proves that."""


@frozen
class Present:
    """A Job has the name; `pods` are those that it has made."""

    job: Job
    pods: tuple[Pod, ...]
    lost: bool
    """One of them is out of reach: it holds the Job, and so the name, for as long as its node is away."""
    lost_at: datetime | None
    """When the next of them is out of reach, if none of them is heard of before."""

    @property
    def created(self) -> datetime:
        """When the Job was created."""
        assert self.job.metadata.creationTimestamp is not None
        return self.job.metadata.creationTimestamp


@frozen
class Foreign(Present):
    """It is anybody else's, and is not touched."""


@frozen
class Former(Present):
    """It belongs to a Backup of the same name that is gone, and may be deleted."""


@frozen
class Ours(Present):
    """It belongs to this very Backup."""

    stoppable: bool
    """It may still do something that can be stopped. One pod and no retry: once that has ended, or is out of
    reach, all is over, although the Job itself says so only a moment later, or never."""

    @property
    def deleting(self) -> bool:
        """Whether it is being deleted."""
        return self.job.metadata.deletionTimestamp is not None

    @property
    def leaving(self) -> bool:
        """Whether nothing more is to be expected of it: it is being deleted, or its pod is out of reach."""
        return self.deleting or self.lost

    @property
    def begun(self) -> bool:
        """Whether a worker of it has begun, whatever became of that."""
        return any(map(has_run, self.pods))

    @property
    def done(self) -> bool:
        """Whether it has ended and has done its work."""
        return False


@frozen
class NotStarted(Ours):
    """No container runs yet. `cause` is what the pod itself tells of it, if it tells anything."""

    cause: Cause | None = None


@frozen
class Working(Ours):
    """The worker runs."""

    since: datetime


@frozen
class _Over(Ours):
    told_at: datetime | None
    """When it ended, where that is told."""

    @property
    def at(self) -> datetime:
        """When it ended; where nothing tells that, it was after the Job was made."""
        return self.told_at or self.created


@frozen
class Reported(_Over):
    """The worker had its say: this is its result, whatever the exit code."""

    result: WorkerResult

    @property
    def done(self) -> bool:
        """Whether it has done its work, by its own word."""
        return self.result.outcome is not Outcome.FAILED


@frozen
class Silent(_Over):
    """It is over, and the worker had no say.

    Each worker ends with exit code 0 where its work is done, and only there. So the end of our own container
    counts: a container that a webhook put beside it may end later, fail, or never end, and the Job with it.
    """

    cause: Cause
    completed: bool
    """By the exit code, or else by the Job."""
    pod_known: bool = True
    """False: its pod is not in the cache, or is behind. Look before believing that it had no say."""

    @property
    def done(self) -> bool:
        """Whether it has done its work."""
        return self.completed


JobState = Absent | Foreign | Former | NotStarted | Working | Reported | Silent


def job_state(job: Job | None, pods: Iterable[Pod], subject: Subject, now: datetime) -> JobState:
    """What `job`, which has one of the names of the subject's Jobs, is to it, and how far it is.

    `pods` may be those of other Jobs too; of the Job's own the newest counts.
    """
    if job is None:
        return Absent()
    made = tuple(pods_made_by(job, pods))
    known: dict[str, Any] = {
        "job": job,
        "pods": made,
        "lost": any(is_out_of_reach(pod, now) for pod in made),
        "lost_at": next_out_of_reach(made, now),
    }
    uid = owner_uid(job, subject)
    if uid != subject.metadata.uid:
        return Former(**known) if uid else Foreign(**known)
    over = made and all(pod.ended or is_out_of_reach(pod, now) for pod in made)
    return _ours(job, made, now, known | {"stoppable": not job.ended and not over})


def _ours(job: Job, pods: Sequence[Pod], now: datetime, known: dict[str, Any]) -> JobState:
    pod = max(pods, key=lambda pod: (str(pod.metadata.creationTimestamp), pod.metadata.uid), default=None)
    complete = job.condition("Complete") is not None
    ended = known | {"told_at": _ended_at(job, pod)}
    terminated = pod.state.terminated if pod else None
    result = decode_result(terminated.message) if terminated else None
    if pod is not None and result is not None:
        return Reported(**ended, result=diagnosis.with_real_reason(result, pod))
    if pod is not None and pod.over:
        well = terminated is not None and terminated.exitCode == 0 and has_run(pod)
        return Silent(**ended, cause=diagnosis.why_pod_ended(pod, terminated), completed=complete or well)
    if pod is not None and is_out_of_reach(pod, now):
        return Silent(**ended, cause=diagnosis.lost(pod), completed=complete)
    if complete or (pod is None and (job.ended or job.condition("FailureTarget"))):
        return Silent(**ended, cause=diagnosis.why_job_ended(job), completed=complete, pod_known=False)
    if pod is not None and pod.state.running is not None:
        started = pod.state.running.startedAt or job.status.startTime or job.metadata.creationTimestamp
        assert started is not None
        return Working(**known, since=started)
    if job.condition("Failed") is not None:
        return Silent(**ended, cause=diagnosis.why_job_ended(job), completed=False)
    return NotStarted(**known, cause=diagnosis.why_pod_waits(pod) if pod else None)


def _ended_at(job: Job, pod: Pod | None) -> datetime | None:
    # The pod first: beside a container that a webhook put there, or on a lost node, the Job never ends.
    terminated = pod.state.terminated if pod else None
    told = [job.condition(kind) for kind in ("Complete", "Failed", "FailureTarget")]
    times = [
        *((terminated.finishedAt if terminated else None), pod and lost_at(pod)),
        *(end.lastTransitionTime for end in told if end),
    ]
    return next((at for at in times if at), None)
