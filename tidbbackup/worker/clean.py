"""`worker clean`: take away what a Backup left in the storage. Safe to repeat.

Acts on the task's own key and nothing else. Must not know databases.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from tidbbackup.model import reasons
from tidbbackup.model.result import Outcome, WorkerResult
from tidbbackup.model.task import WorkerTask
from tidbbackup.storage import objects
from tidbbackup.storage.client import Patience, S3Client, credentials_from, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import Journal

log = logging.getLogger(__name__)


async def clean(
    env: Environment, journal: Journal, patience: Patience, now: Callable[[], datetime]
) -> WorkerResult:
    """Abort the open uploads of exactly this key; where the task says so, delete manifest and archive too.

    What is gone already is success. Where the bucket is missing nothing is left to do either, but it may have
    been renamed: that is a Warning.

    Raises:
        StorageError: something may be left; the next run begins again.
    """
    journal.step = "clean"
    started = now()
    target = env.task.target
    async with open_client(target, credentials_from(env.keys), env.s3_ca, patience) as client:
        try:
            await _clean(client, env.task, journal)
        except StorageError as error:
            if error.reason != reasons.BUCKET_NOT_FOUND:
                raise
            text = f"nothing was deleted: {error}; if the bucket comes back, delete {target.url} by hand"
            journal.notice(error.reason, text)
    return WorkerResult(
        outcome=Outcome.CLEANED,
        started=started,
        finished=now(),
        path=target.url,
        notices=tuple(journal.notices),
    )


async def _clean(client: S3Client, task: WorkerTask, journal: Journal) -> None:
    target = task.target
    failed: StorageError | None = None
    aborted = 0
    try:
        aborted = await objects.abort_uploads(client, target)
    except StorageError as error:
        # A right that is lacking for uploads must not keep the data from being deleted.
        failed = error
    if task.deleteData:
        # Dying between the two leaves an archive without a manifest, which nobody takes for complete;
        # the other way round a manifest would promise an archive that is gone. The next run does both.
        await objects.delete(client, target, target.manifest_key)
        if await objects.delete(client, target, target.key):
            text = "the bucket keeps versions: a delete marker was written, former versions stay in it"
            journal.notice(reasons.DELETE_MARKER, text)
    if failed:
        raise failed
    log.info("aborted %d open uploads of %s%s", aborted, target.url, ", deleted it" * task.deleteData)
