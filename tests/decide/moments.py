"""Moments in the life of a Backup from which several tables of decisions begin."""

from __future__ import annotations

from typing import Any

import attrs

from tests.decide.builders import JOB_LOOK, NOW, PODS_LOOK, backup, job, later, pod, status, terminated
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Look
from tidbbackup.decide.run.job_state import JobState, job_state
from tidbbackup.model.resource.backup import Condition
from tidbbackup.model.resource.kubernetes import Job, Pod

SCHEDULED = status("Scheduled")
RUNNING = status("Scheduled", "Running", timeStarted=NOW)
KILLED = pod("Failed", terminated(exit_code=137))
"""A worker that was at work and left no word."""
INSPECT_LOOK = Look("Job", "ns", name="inspect-demo")
LET_GO = ["Normal DataKept", "finalizers "]
"""What is done with a Backup of which nothing is to be cleaned."""


def settled(found: BackupFacts, **evidence: Any) -> BackupFacts:
    """The facts with what live looks have found: jobs, pods."""
    looks = {"jobs": JOB_LOOK, "pods": PODS_LOOK}
    return attrs.evolve(found, evidence={looks[name]: tuple(items) for name, items in evidence.items()})


def inspecting(*conditions: Condition, **meta: Any) -> Job:
    """The Job that inspects."""
    return job(*conditions, verb="inspect", **({"uid": "inspect-uid"} | meta))


def releasing(*conditions: Condition, **meta: Any) -> Job:
    """The Job that releases."""
    return job(*conditions, verb="release", **({"uid": "release-uid"} | meta))


def state(found: Job | None, *pods: Pod, at: float = 0) -> JobState:
    """What a Job with these pods is to a Backup, and how far it is, so many seconds after NOW."""
    return job_state(found, pods, backup(), later(at))
