"""`worker clean`: take away what a Backup left in the storage. Safe to repeat.

Acts on the task's own key and nothing else. Must not know databases.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.storage import objects
from tidbbackup.storage.client import Patience, S3Client, credentials_from, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.worker.archive.ownership import Owned, owned
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
    async with open_client(target, credentials_from(env.keys), env.s3_ca, patience, env.proxies) as client:
        try:
            await _clean(client, env.task, journal)
        except StorageError as error:
            if error.reason != reasons.BUCKET_NOT_FOUND:
                raise
            text = f"the bucket is not there: nothing was deleted; should it come back, delete {target.url}"
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
    found: list[Owned] = []
    failed: StorageError | None = None
    try:
        found = await owned(client, target)
    except StorageError as error:
        # Those who may not list the bucket are denied a look at what is not there. An upload tells nobody
        # whose it is anyway: docs/decisions/0051.
        failed = error if task.deleteData or error.reason != reasons.ACCESS_DENIED else None
    others = [each for each in found if each.uid != task.uid]
    for each in others:
        whose = f"is of the Backup with uid {each.uid}" if each.uid else "bears no uid of a Backup"
        text = f"what {whose}, and not ours ({task.uid}), was not deleted: s3://{target.bucket}/{each.key}"
        journal.notice(reasons.KEY_TAKEN, text)
    try:
        if not any(each.uid for each in others):
            count = await objects.abort_uploads(client, target)
            log.info("aborted %d open uploads of %s", count, target.url)
    except StorageError as error:
        # A right that is lacking for uploads must not keep the data from being deleted.
        failed = failed or error
    for each in found if task.deleteData else ():
        # Dying between the two leaves an archive without a manifest, which nobody takes for complete; only
        # one without a uid of its own goes before its manifest. The next run does the rest.
        if each not in others and await objects.delete(client, target, each.key) and each.key == target.key:
            text = "the bucket keeps versions: a delete marker was written, former versions stay in it"
            journal.notice(reasons.DELETE_MARKER, text)
    if failed:
        raise failed
