"""Takes away what a Backup left in the storage. Safe to repeat.

Acts on the task's own key and nothing else. Must not know databases.
"""

from __future__ import annotations

import logging

from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Data
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.storage import objects
from tidbbackup.storage.client import S3Client
from tidbbackup.storage.errors import StorageError
from tidbbackup.worker.archive.ownership import Owned, log_there, owned
from tidbbackup.worker.failure import Journal
from tidbbackup.worker.inspection import is_whole

log = logging.getLogger(__name__)


async def clean(client: S3Client, task: WorkerTask, journal: Journal, data: Data) -> bool:
    """Abort the open uploads of exactly this key, and do with all that is stored what `data` says.

    What is gone already is success. Where the bucket is missing nothing is left to do either, but it may have
    been renamed: that is a Warning. Returns whether manifest and archive are to be gone now.

    Raises:
        StorageError: something may be left; the next run begins again.
    """
    try:
        return await _clean(client, task, journal, data)
    except StorageError as error:
        if error.reason != reasons.BUCKET_NOT_FOUND:
            raise
        text = f"the bucket is not there: nothing was deleted; if it exists again, delete {task.target.url}"
        journal.notice(error.reason, text)
    return data not in (Data.KEEP, Data.LOG)


async def _clean(client: S3Client, task: WorkerTask, journal: Journal, data: Data) -> bool:
    target = task.target
    found: list[Owned] = []
    failed: StorageError | None = None
    delete = data in (Data.DELETE, Data.LOG)
    try:
        found = await (log_there if data is Data.LOG else owned)(client, target)
        # Dying here: the next run asks again, and finds the same or less.
        delete = delete or (data is Data.DELETE_UNLESS_WHOLE and not await is_whole(client, task))
    except StorageError as error:
        # Those who may not list the bucket are denied a look at what is not there. An upload tells nobody
        # whose it is anyway: docs/decisions/0051.
        kept = data is Data.KEEP and error.reason == reasons.ACCESS_DENIED
        failed = None if kept else error
    others = [each for each in found if each.uid != task.uid]
    for each in others:
        whose = f"is of the Backup with uid {each.uid}" if each.uid else "bears no uid of a Backup"
        text = f"what {whose}, and not ours ({task.uid}), was not deleted: s3://{target.bucket}/{each.key}"
        journal.notice(reasons.KEY_TAKEN, text)
    try:
        if data is not Data.LOG and not any(each.uid for each in others):
            count = await objects.abort_uploads(client, target)
            log.info("aborted %d open uploads of %s", count, target.url)
    except StorageError as error:
        # A right that is lacking for uploads must not keep the data from being deleted.
        failed = failed or error
    for each in found if delete else ():
        # Dying between the two leaves an archive without a manifest, which nobody takes for complete; only
        # one without a uid of its own goes before its manifest. The next run does the rest.
        if each not in others and await objects.delete(client, target, each.key) and each.key == target.key:
            text = "the bucket keeps versions: a delete marker was written, former versions stay in it"
            journal.notice(reasons.DELETE_MARKER, text)
    if failed:
        raise failed
    return delete and data is not Data.LOG
