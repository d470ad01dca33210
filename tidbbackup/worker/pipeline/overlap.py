"""Dump, archive and upload at the same time: what the dumper has closed is packed and sent while it goes on.

Must not know how any of them works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from tidbbackup.model import reasons
from tidbbackup.storage.completion import Part
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import Upload
from tidbbackup.worker.archive.tar import Archive, parts
from tidbbackup.worker.dumpers.dumper import Dump
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.pipeline.completeness import check_whole, cut_off, is_cut_off
from tidbbackup.worker.pipeline.definitions import Definitions
from tidbbackup.worker.pipeline.progress import Progress
from tidbbackup.worker.pipeline.standstill import Standstill
from tidbbackup.worker.pipeline.throttler import Throttler
from tidbbackup.worker.run import Run
from tidbbackup.worker.staging import closed_files, throttle, volume
from tidbbackup.worker.staging.belt import Belt

log = logging.getLogger(__name__)


async def overlap(run: Run, dump: Dump, archive: Archive, upload: Upload) -> tuple[Part, ...]:
    """Send the whole archive of a dump; its parts, of which the upload is not completed yet.

    Raises:
        StepFailed, StorageError: whatever failed first; nothing of it runs on.
    """
    journal, staging = run.journal, run.env.staging
    volume.prepare(staging, volume.FOLDER)
    volume.prepare(staging, volume.DEFINITIONS)
    budget = throttle.budget(run.env.task.stagingBytes, volume.free_bytes(staging))
    belt = Belt(dump.order.folder, dump.whole)
    progress = Progress(journal.counters, belt, archive, dump.process)
    throttler = Throttler(journal.counters, dump, belt, archive, budget)
    try:
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(_send(dump, belt, archive, upload))
            guards = [group.create_task(progress.keep()), group.create_task(progress.watch(run.limits.stall))]
            await _dump(run, dump, belt, throttler, group)
            journal.step = "upload"
            sent = await sending
            for guard in guards:
                guard.cancel()
    except BaseExceptionGroup as errors:
        error = errors.exceptions[0]
        if isinstance(error, StorageError):
            journal.step = "upload"
        raise error from None
    finally:
        progress.count()
    return sent


async def _dump(run: Run, dump: Dump, belt: Belt, throttler: Throttler, group: asyncio.TaskGroup) -> None:
    """Run the dumper, hand its files on, and let the archive end only when all of them are judged."""
    definitions = Definitions(run, dump, belt)
    await definitions.write()
    run.journal.step = "dump"
    with closed_files.watch(dump.order.folder) as events:
        followers = [group.create_task(Standstill(run, dump).keep())]
        if events:
            followers += [group.create_task(belt.follow(events)), group.create_task(throttler.keep())]
        else:
            belt.go_blind()
        failure = await dump.run(definitions.gone, run.limits.lock_pauses)
        for follower in followers:
            follower.cancel()
    _raise(run, failure, was_full=belt.was_full)
    await definitions.read_again()
    belt.take_rest()
    await check_whole(dump, definitions.databases, belt.sizes)
    held = run.journal.counters.held_seconds
    log.info("dumped %d files, %d bytes, held for %.1f s", len(belt.sizes), belt.closed_bytes, held)
    belt.end()


def _raise(run: Run, failure: StepFailed | None, *, was_full: bool) -> None:
    """A full volume explains every other failure, and is one by itself."""
    staging = run.env.staging
    if was_full or (failure and failure.reason == reasons.STAGING_FULL) or volume.is_full(staging):
        raise volume.full(staging, run.env.task.stagingBytes)
    if failure:
        raise failure


async def _send(dump: Dump, belt: Belt, archive: Archive, upload: Upload) -> tuple[Part, ...]:
    async with contextlib.aclosing(parts(archive, _judged(dump, belt))) as bodies:
        return await upload.send(bodies)


async def _judged(dump: Dump, belt: Belt) -> AsyncIterator[Path]:
    in_the_middle: list[str] = []
    async for path in belt.files():
        await dump.check(path)
        if is_cut_off(path):
            in_the_middle.append(path.name)
        yield path
    # Only now: what the dumper says of a full volume or a lost database explains it better.
    if in_the_middle:
        raise cut_off(in_the_middle)
