"""The life of one Backup at one instant: where its run is, what its other Job is to it, what its spec gives.

Made once for each decision, and all that a decision reads. Must not decide.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from attrs import frozen

from tidbbackup.decide.facts import BackupFacts, Refusal
from tidbbackup.decide.plan import Look
from tidbbackup.decide.problem import Problem
from tidbbackup.decide.run.diagnosis import is_out_of_reach, next_out_of_reach
from tidbbackup.decide.run.job_state import JobState, Silent, job_state
from tidbbackup.decide.run.ownership import may_work_for, pods_of
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model.resource.backup import Backup, BackupStatus, Phase, RunEnd
from tidbbackup.model.resource.kubernetes import Pod

View = TypeVar("View")


@frozen
class Finished:
    """Complete or Failed is written: nothing about the run is open any more."""


@frozen
class Ended:
    """The run has ended or is being stopped, and its worker left no result: this is all that is known."""

    end: RunEnd


Stage = Finished | Ended | JobState
"""Where the run of a Backup is. Before it has ended, that is what the Job of the newest attempt is."""


@frozen
class Life:
    """All that is known of a Backup now."""

    backup: Backup
    facts: BackupFacts
    now: datetime
    problems: tuple[Problem, ...]
    """What is wrong with its spec: while anything is, no Job can be made of it."""
    run: JobState
    """The Job of the newest attempt."""
    aftermath: JobState
    """The Job that does what is left to do after a run."""

    @property
    def stage(self) -> Stage:
        """Where its run is."""
        if any(self.status.condition(phase) for phase in (Phase.COMPLETE, Phase.FAILED)):
            return Finished()
        return Ended(self.status.runEnded) if self.status.runEnded else self.run

    @property
    def status(self) -> BackupStatus:
        """What has been told of it."""
        return self.backup.status

    @property
    def refusal(self) -> Refusal | None:
        """The API server's answer to our last create, where it refused that."""
        return self.facts.refusal

    @property
    def at_work(self) -> list[Pod]:
        """The pods of its runs that may work for it."""
        return [pod for pod in self.facts.pods if may_work_for(pod, self.backup)]

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

    def settled(self, job: JobState, component: str) -> JobState:
        """The same Job, whose pod is looked up if the cache does not show it although the Job has ended: only
        the pod tells whether the worker left a result."""
        if not isinstance(job, Silent) or job.pod_known:
            return job
        return job_state(job.job, self.look_up(pods_of(self.backup, component), Pod), self.backup, self.now)


def life_of(facts: BackupFacts, backup: Backup, now: datetime) -> Life:
    """The life of `backup`, which the facts are about."""
    return Life(
        backup,
        facts,
        now,
        problems(backup.spec),
        run=job_state(facts.job, facts.pods, backup, now),
        aftermath=job_state(facts.aftermath_job, facts.aftermath_pods, backup, now),
    )
