"""Whether a backup whose worker left no result is whole all the same. Changes nothing.

The manifest is written last. If it is there, for this very Backup and an archive of that size, everything
before it was done. Must not know why the worker left no result.
"""

from __future__ import annotations

import logging

import msgspec

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import MAX_DATABASES, Outcome, WorkerResult
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.storage import objects
from tidbbackup.storage.client import S3Client
from tidbbackup.storage.objects import RUN_METADATA
from tidbbackup.worker.archive.manifest import Summary, read_summary
from tidbbackup.worker.failure import StepFailed

log = logging.getLogger(__name__)


async def inspect(client: S3Client, task: WorkerTask) -> WorkerResult:
    """The result that the worker would have reported, read from the manifest of this Backup.

    Raises:
        StepFailed: there is no archive (`NothingStored`), or it is not whole (`ResultLost`).
        StorageError: the storage could not be asked.
    """
    target = task.target
    archive = await objects.head(client, target, target.key)
    if archive is None:
        raise StepFailed(reasons.NOTHING_STORED, f"there is no {target.url}")
    body = await objects.read(client, target, target.manifest_key)
    if body is None:
        raise StepFailed(reasons.RESULT_LOST, f"{target.url} is there without its manifest: it is not whole")
    return judge(task, archive.size, body, archive.metadata.get(RUN_METADATA, ""))


async def is_whole(client: S3Client, task: WorkerTask) -> bool:
    """Whether the backup is whole.

    Raises:
        StorageError: the storage could not be asked.
    """
    try:
        await inspect(client, task)
    except StepFailed:
        return False
    return True


def judge(task: WorkerTask, size: int, body: bytes, run: str = "") -> WorkerResult:
    """The result that a manifest stands for, beside an archive of `size` bytes that `run` wrote (not known
    if empty).

    Raises:
        StepFailed: the two do not belong together, or the manifest cannot be read.
    """
    target = task.target
    try:
        found = read_summary(body)
    except msgspec.MsgspecError as error:
        raise StepFailed(reasons.RESULT_LOST, f"the manifest of {target.url} is none: {error}") from error
    wrong = _difference(found, task, size, run)
    if wrong:
        raise StepFailed(reasons.RESULT_LOST, f"the manifest beside {target.url} is of another one: {wrong}")
    log.info("%s is whole, by its manifest", target.url)
    names = tuple(database.name for database in found.databases)
    return WorkerResult(
        outcome=Outcome.COMPLETE,
        started=found.started,
        finished=found.finished,
        path=target.url,
        size=found.size,
        checksum=f"sha256:{found.sha256}",
        commitTs=found.commitTs,
        databases=names[:MAX_DATABASES],
        databaseCount=len(names),
    )


def _difference(found: Summary, task: WorkerTask, size: int, run: str) -> str:
    """Why a manifest does not speak of this Backup's archive; empty where it does."""
    for what, told, real in (
        ("uid", found.uid, task.uid),
        ("key", found.key, task.target.key),
        ("size", found.size, size),
        # That of a former attempt may lie beside an archive whose worker died before its own.
        ("run", found.run or run, run or found.run),
    ):
        if told != real:
            return f"{what} {told}, not {real}"
    return ""
