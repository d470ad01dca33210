"""The upload of a run, open for as long as a block lasts, and taken back on any end but the good one.

Must not know what is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

from tidbbackup.model import reasons
from tidbbackup.storage import objects
from tidbbackup.storage.client import S3Client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import Upload, start_upload
from tidbbackup.worker.run import Run

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def open_upload(client: S3Client, run: Run) -> AsyncIterator[Upload]:
    """Opened before the dump: the proof that bucket and keys are right.

    Raises:
        StorageError: it could not be opened. What the block raises comes out as it is, and journal tells
            whether the upload had to be left open.
    """
    target = run.env.task.target
    # Where nobody answers this ends the run before anything is opened, so that its Backup can be deleted at
    # once: docs/decisions/0006.
    await _sweep(lambda: objects.abort_uploads(client, target))
    # Dying from here on leaves this upload open: the next run of this Backup and its cleaner abort it.
    upload = await _started(client, run)
    try:
        if upload.duplicates:
            await _sweep(upload.abort_others)
        yield upload
    except BaseException:
        await _take_back(lambda: _withdraw(upload), run)
        raise
    if upload.duplicates:
        run.journal.upload_left_open = True
        run.journal.notice(
            reasons.UPLOAD_LEFT_OPEN,
            "a second, empty upload may be open beside the archive: the answer to the first try to open one "
            "was lost, and looking for it was refused (that takes s3:ListBucketMultipartUploads); it goes "
            "with the Backup's data, or by the bucket's rule for uploads that are never completed",
        )


async def _withdraw(upload: Upload) -> None:
    """Take back the upload and its duplicates, for which there was no time or no right before.

    Raises:
        StorageError: one may still be open.
    """
    await upload.withdraw()
    if upload.duplicates:
        await upload.abort_others()


async def _sweep(call: Callable[[], Awaitable[object]]) -> None:
    """Abort uploads of this very Backup that an earlier run, or an earlier try of this one, left open."""
    try:
        await call()
    except StorageError as error:
        if not error.code:
            raise
        # A right that is lacking for it is no failure, and any other refusal is told by what comes next.
        log.warning("cannot look for uploads left open earlier: %s", error)


async def _started(client: S3Client, run: Run) -> Upload:
    target, journal = run.env.task.target, run.journal
    try:
        upload, notices = await start_upload(
            client, target, uuid4().hex, run.limits.patience, journal.counters, run.env.task.uid
        )
    except asyncio.CancelledError:
        # The request may have been heard.
        journal.upload_left_open = True
        raise
    except StorageError as error:
        if error.answer_lost:
            await _take_back(lambda: objects.abort_uploads(client, target), run)
        raise
    journal.notices += notices
    return upload


async def _take_back(call: Callable[[], Awaitable[object]], run: Run) -> None:
    """Leave no upload open, or say in the journal that one may be."""
    run.journal.upload_left_open = True
    try:
        async with asyncio.timeout(run.limits.withdraw):
            await call()
        run.journal.upload_left_open = False
    except (StorageError, TimeoutError) as error:
        log.error("could not take back the upload of %s: %s", run.env.task.target.url, error)
