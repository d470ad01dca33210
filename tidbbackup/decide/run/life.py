"""The life of one Backup or Restore at one instant: where its run is, and what is known beside it.

Made once for each decision, and all that a decision reads. Must not decide.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

from attrs import frozen

from tidbbackup.decide import rows
from tidbbackup.decide.facts import BackupFacts, Refusal, RunFacts, View
from tidbbackup.decide.plan import Look
from tidbbackup.decide.problem import Problem
from tidbbackup.decide.run.diagnosis import is_out_of_reach, next_out_of_reach
from tidbbackup.decide.run.job_state import JobState, Silent, job_state
from tidbbackup.decide.run.ownership import job_key, look_for_job, may_work_for, owned_by, pods_of
from tidbbackup.decide.spec.task import notices, resolve_backup
from tidbbackup.decide.status import is_over
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.names import RESTORE
from tidbbackup.model.resource.backup import Backup, BackupStatus, RunEnd
from tidbbackup.model.resource.kubernetes import Job, Pod
from tidbbackup.model.resource.restore import Restore, RestoreStatus

S = TypeVar("S", BackupStatus, RestoreStatus)


@frozen
class Finished:
    """Complete or Failed is written: nothing about the run is open any more."""


@frozen
class Ended:
    """The run has ended or is being stopped, and its worker left no result: this is all that is known."""

    end: RunEnd


Stage = Finished | Ended | JobState
"""Where a run is. Before it has ended, that is what the Job of the newest attempt is."""


@frozen(kw_only=True)
class Life(Generic[S]):
    """All that is known of a Backup or Restore now."""

    subject: Backup | Restore
    facts: RunFacts
    now: datetime
    status: S
    """What has been told of it."""
    notices: tuple[Notice, ...]
    """What is told of its spec in the Warning condition."""
    run: JobState
    """The Job of the newest attempt."""

    @property
    def verb(self) -> str:
        """What the Job of its run is called by."""
        return "backup" if isinstance(self.subject, Backup) else RESTORE

    @property
    def job_key(self) -> ObjectKey:
        """The key of the newest attempt's Job."""
        return job_key(self.verb, self.subject)

    @property
    def rows(self) -> type[rows.Living] | type[rows.Restoring]:
        """The rows of the decisions about it."""
        return rows.Living if isinstance(self.subject, Backup) else rows.Restoring

    @property
    def stage(self) -> Stage:
        """Where its run is."""
        if is_over(self.status):
            return Finished()
        return Ended(self.status.runEnded) if self.status.runEnded else self.run

    @property
    def refusal(self) -> Refusal | None:
        """The API server's answer to our last create, where it refused that."""
        return self.facts.refusal

    @property
    def at_work(self) -> list[Pod]:
        """The pods of its runs that may work for it."""
        return [pod for pod in self.facts.pods if may_work_for(pod, self.subject)]

    @property
    def awaited(self) -> list[Pod]:
        """Those of them whose end will be heard of."""
        return [pod for pod in self.at_work if not is_out_of_reach(pod, self.now)]

    @property
    def lost_at(self) -> datetime | None:
        """When the next pod of a run is out of reach, if it is not heard of before."""
        return next_out_of_reach(self.facts.pods, self.now)

    def look_up(self, look: Look, kind: type[View]) -> tuple[View, ...]:
        """What the live look has found. Raises Unknown where nobody has looked yet."""
        return self.facts.look_up(look, kind)

    def look_for_jobs(self) -> tuple[Job, ...]:
        """What a live look finds under the name of the newest attempt's Job, ours or not."""
        return self.look_up(look_for_job(self.job_key), Job)

    def has_unseen_job(self) -> bool:
        """Whether it has a Job that the cache does not show: its arrival there wakes us."""
        return any(owned_by(job, self.subject) for job in self.look_for_jobs())

    def settled(self, job: JobState, component: str) -> JobState:
        """The same Job, whose pod is looked up if the cache does not show it although the Job has ended: only
        the pod tells whether the worker left a result."""
        if not isinstance(job, Silent) or job.pod_known:
            return job
        pods = self.look_up(pods_of(self.subject, component), Pod)
        return job_state(job.job, pods, self.subject, self.now)


@frozen(kw_only=True)
class BackupLife(Life[BackupStatus]):
    """All that is known of a Backup now."""

    backup: Backup
    facts: BackupFacts
    resolved: WorkerTask | tuple[Problem, ...]
    """What its spec comes to. While anything is wrong with it, no Job can be made of it."""
    aftermath: JobState
    """The Job that does what is left to do after a run."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with its spec."""
        return () if isinstance(self.resolved, WorkerTask) else self.resolved

    @property
    def archive_url(self) -> str:
        """`s3://bucket/key`. The status tells it where the spec was edited into nonsense."""
        return self.resolved.target.url if isinstance(self.resolved, WorkerTask) else self.status.backupPath


def life_of(facts: BackupFacts, backup: Backup, now: datetime) -> BackupLife:
    """The life of `backup`, which the facts are about."""
    return BackupLife(
        subject=backup,
        backup=backup,
        facts=facts,
        now=now,
        status=backup.status,
        notices=notices(backup.spec),
        resolved=resolve_backup(backup),
        run=job_state(facts.job, facts.pods, backup, now),
        aftermath=job_state(facts.aftermath_job, facts.aftermath_pods, backup, now),
    )
