"""The dump step: what is to be dumped and where to, and which failure tells why there is no dump.

Must not know what becomes of the files, nor which dumper it is.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from tidbbackup.model import reasons
from tidbbackup.worker.database.catalog import Database, Survey
from tidbbackup.worker.dumpers.dumper import Dump, Order
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.job import Job
from tidbbackup.worker.staging import throttle, volume


@frozen
class Assignment:
    """What is to be dumped, and where to."""

    job: Job
    found: Survey
    databases: tuple[Database, ...]
    folder: Path
    """The dumper's."""
    definitions: Path
    """The folder of the definitions."""
    budget: int
    """How many bytes may be on the staging volume."""
    dump: Dump


async def assignment(job: Job, found: Survey, databases: tuple[Database, ...]) -> Assignment:
    """Order the dump.

    Raises:
        StepFailed: StagingNotWritable, DumpFailed, InvalidSpec.
    """
    folder = volume.prepare(job.env.staging)
    definitions = volume.prepare(job.env.staging, volume.DEFINITIONS)
    order = Order(found, databases, job.login, folder, job.limits.lock_pauses)
    budget = throttle.budget(job.env.task.stagingBytes, volume.free_bytes(folder))
    return Assignment(job, found, databases, folder, definitions, budget, await job.dumper.prepare(order))


def raise_failure(task: Assignment, failure: StepFailed | None, was_full: bool) -> None:
    """A full volume explains every other failure, and is one by itself.

    Raises:
        StepFailed: the failure, or StagingFull.
    """
    if was_full or (failure and failure.reason == reasons.STAGING_FULL) or volume.is_full(task.folder):
        raise volume.full(task.job.env.staging, task.job.env.task.stagingBytes)
    if failure:
        raise failure
