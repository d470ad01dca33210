"""The life of one Backup at one instant: what each of its Jobs is to it, and what its spec resolves to.

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
from tidbbackup.decide.run.job_state import JobState, Ours, job_state
from tidbbackup.decide.run.ownership import may_work_for
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model.resource.backup import Backup, BackupStatus, Phase
from tidbbackup.model.resource.kubernetes import Pod

View = TypeVar("View")


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
    inspection: JobState
    cleaning: JobState
    release: JobState

    @property
    def status(self) -> BackupStatus:
        """What has been told of it."""
        return self.backup.status

    @property
    def refusal(self) -> Refusal | None:
        """The API server's answer to our last create, where it refused that."""
        return self.facts.refusal

    @property
    def begun(self) -> bool:
        """Whether a worker of a run has begun: by the status, or by the pods of the newest attempt."""
        seen = isinstance(self.run, Ours) and self.run.begun
        return seen or self.status.condition(Phase.RUNNING) is not None

    @property
    def at_work(self) -> list[Pod]:
        """The pods, of whichever Job of a run, that may work for it."""
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


def life_of(facts: BackupFacts, backup: Backup, now: datetime) -> Life:
    """The life of `backup`, which the facts are about."""
    return Life(
        backup,
        facts,
        now,
        problems(backup.spec),
        run=job_state(facts.job, facts.pods, backup, now),
        inspection=job_state(facts.inspect_job, facts.inspect_pods, backup, now),
        cleaning=job_state(facts.clean_job, facts.clean_pods, backup, now),
        release=job_state(facts.release_job, facts.release_pods, backup, now),
    )
