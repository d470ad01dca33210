"""Dump, archive and upload at the same time: what the dumper has closed is packed and sent while it goes on.

Must not know how any of them works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from attrs import define, field

from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import Part, Upload
from tidbbackup.worker.archive.tar import Archive, parts
from tidbbackup.worker.pipeline.completeness import check_whole, cut_off, is_cut_off
from tidbbackup.worker.pipeline.definitions import Definitions
from tidbbackup.worker.pipeline.dumping import Assignment, raise_failure
from tidbbackup.worker.pipeline.gauge import Gauge
from tidbbackup.worker.pipeline.standstill import Standstill
from tidbbackup.worker.pipeline.throttler import Holder
from tidbbackup.worker.pipeline.watchdog import watch_progress
from tidbbackup.worker.staging import closed_files
from tidbbackup.worker.staging.belt import Belt

log = logging.getLogger(__name__)


@define
class Overlap:
    """One dump on its way into one archive and one upload."""

    task: Assignment
    belt: Belt
    archive: Archive
    upload: Upload
    gauge: Gauge
    definitions: Definitions
    _cut_off: list[str] = field(factory=list, init=False)
    """Files that end in the middle."""

    async def run(self) -> tuple[Part, ...]:
        """The parts of the whole archive, sent but not completed.

        Raises:
            StepFailed, StorageError: whatever failed first; nothing of it runs on.
        """
        journal, limits = self.task.job.journal, self.task.job.limits
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send())
                guards = [
                    group.create_task(self.gauge.keep()),
                    group.create_task(watch_progress(self.gauge.moved, limits.stall, self.gauge.where)),
                ]
                await self._dump(group)
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
            self.gauge.count()
        return sent

    async def _dump(self, group: asyncio.TaskGroup) -> None:
        """Run the dumper, hand its files on, and let the archive end only when all of them are judged."""
        task, belt = self.task, self.belt
        await self.definitions.write()
        task.job.journal.step = "dump"
        with closed_files.watch(task.folder) as events:
            process = task.dump.process
            followers = [group.create_task(Standstill(task.job, process, task.found.is_tidb).keep())]
            if events:
                holder = Holder(task, belt, self.archive, process)
                followers += [group.create_task(belt.follow(events)), group.create_task(holder.keep())]
            else:
                belt.go_blind()
            failure = await task.dump.run(self.definitions.gone)
            for follower in followers:
                follower.cancel()
        raise_failure(task, failure, belt.was_full)
        await self.definitions.read_again()
        belt.take_rest()
        await check_whole(task, self.definitions.databases, belt.sizes)
        held = task.job.journal.counters.held_seconds
        log.info("dumped %d files, %d bytes, held for %.1f s", len(belt.sizes), belt.closed_bytes, held)
        belt.end()

    async def _send(self) -> tuple[Part, ...]:
        async with contextlib.aclosing(parts(self.archive, self._judged())) as bodies:
            return await self.upload.send(bodies)

    async def _judged(self) -> AsyncIterator[Path]:
        async for path in self.belt.files():
            await self.task.dump.check(path)
            if is_cut_off(path):
                self._cut_off.append(path.name)
            yield path
        # Only now: what the dumper says of a full volume or a lost database explains it better.
        if self._cut_off:
            raise cut_off(self._cut_off)
