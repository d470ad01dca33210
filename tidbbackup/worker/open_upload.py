"""The upload of a run, open for as long as a block lasts, and taken back on any end but the good one.

Must not know what is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from uuid import uuid4

from tidbbackup.model import reasons
from tidbbackup.storage.client import S3Client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import Upload, start_upload
from tidbbackup.worker.job import Job

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def open_upload(client: S3Client, job: Job) -> AsyncIterator[Upload]:
    """Opened before the dump: the proof that bucket and keys are right.

    Raises:
        StorageError: it could not be opened. What the block raises comes out as it is, and journal tells
            whether the upload had to be left open.
    """
    target = job.env.task.target
    try:
        upload, notices = await start_upload(
            client, target, uuid4().hex, job.limits.patience, job.journal.counters
        )
    except asyncio.CancelledError:
        # The request may have been heard.
        job.journal.upload_left_open = True
        raise
    job.journal.notices += notices
    # Dying from here on leaves this upload open: the next run of this Backup and its cleaner abort it.
    try:
        await _abort_others(upload)
        yield upload
    except BaseException:
        job.journal.upload_left_open = True
        try:
            async with asyncio.timeout(job.limits.withdraw):
                await upload.withdraw()
            job.journal.upload_left_open = False
        except (StorageError, TimeoutError) as error:
            log.error("could not take back the upload of %s: %s", target.url, error)
        raise


async def _abort_others(upload: Upload) -> None:
    """Sweep up after an earlier run of this very Backup; a right that is lacking for it is no failure."""
    try:
        await upload.abort_others()
    except StorageError as error:
        if error.reason != reasons.ACCESS_DENIED:
            raise
        log.warning("cannot look for uploads left open by an earlier run: %s", error)
