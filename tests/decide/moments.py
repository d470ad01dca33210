"""Moments in the life of a Backup from which several tables of decisions begin."""

from __future__ import annotations

from typing import Any

import attrs

from tests.decide.builders import JOB_LOOK, NOW, PODS_LOOK, URL, backup, later, pod, status, terminated
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Look
from tidbbackup.decide.run.job_state import JobState, job_state
from tidbbackup.model.resource.backup import BackupStatus, RunEnd
from tidbbackup.model.resource.kubernetes import Job, Pod

SCHEDULED = status("Scheduled")
RUNNING = status("Scheduled", "Running", timeStarted=NOW)
KILLED = pod("Failed", terminated(exit_code=137))
"""A worker that was at work and left no result."""
WHY_KILLED = "the worker was killed (SIGKILL) from outside"
AFTERMATH_LOOK = Look("Job", "ns", name="aftermath-demo")
LET_GO = ["Normal DataKept", "finalizers "]
"""What is done with a Backup of which nothing is to be cleaned."""


def settled(found: BackupFacts, **evidence: Any) -> BackupFacts:
    """The facts with what live looks have found: jobs, pods."""
    looks = {"jobs": JOB_LOOK, "pods": PODS_LOOK}
    seen = {looks[name]: tuple(items) for name, items in evidence.items()}
    return attrs.evolve(found, evidence={**found.evidence, **seen})


def ended(
    reason: str = "Killed", message: str = WHY_KILLED, *, stopped: bool = False, **told: Any
) -> BackupStatus:
    """The status of a run that has ended and left no result, or is stopped; its worker had begun."""
    end = RunEnd(NOW, reason, message, stopped)
    left = {"uploadLeftOpen": True, "gcLifeTimeHeld": True, "backupPath": URL, "timeStarted": NOW}
    why = reason if stopped else "Inspecting"
    return status("Scheduled", "Running", reason=why, runEnded=end, **(left | told))


def failed(reason: str = "Killed", *phases: str, **told: Any) -> BackupStatus:
    """The status of a Backup that failed by that; only by a death without a result anything is left."""
    return status("Scheduled", "Running", "Failed", *phases, reason=reason, timeCompleted=NOW, **told)


def state(found: Job | None, *pods: Pod, at: float = 0) -> JobState:
    """What a Job with these pods is to a Backup, and how far it is, so many seconds after NOW."""
    return job_state(found, pods, backup(), later(at))
