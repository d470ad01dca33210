"""Reads what all parts of a run have done: keeps its counters up to date, and ends it where nothing moves.

The upload counts for itself. Must not know who reads them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from attrs import define

from tidbbackup.model import reasons
from tidbbackup.worker.archive.tar import Archive
from tidbbackup.worker.counters import Counters
from tidbbackup.worker.dumpers.process import DumperProcess
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.staging.belt import Belt

_SECONDS = 0.5
_WATCH_SECONDS = 5.0
_BLIND_SECONDS = 5.0
"""It looks at each of perhaps a hundred thousand files."""


@define
class Progress:
    """The parts that are read, and the counters that are written."""

    counters: Counters
    belt: Belt
    archive: Archive
    dumper: DumperProcess

    async def keep(self) -> None:
        """Count until cancelled."""
        while True:
            self.count()
            await asyncio.sleep(_BLIND_SECONDS if self.belt.blind else _SECONDS)

    def count(self) -> None:
        """Bring the counters up to date."""
        self.counters.see(self.belt.written_bytes(), self.archive.packed_bytes, self.archive.freed_bytes)

    async def watch(self, stall_seconds: float) -> None:
        """Never return; raise once nothing has moved for this time.

        Raises:
            StepFailed: Stalled.
        """
        loop = asyncio.get_running_loop()
        before, since = self._moved(), loop.time()
        while True:
            await asyncio.sleep(min(_WATCH_SECONDS, stall_seconds / 4))
            if (now := self._moved()) != before:
                before, since = now, loop.time()
            elif loop.time() - since >= stall_seconds:
                text = f"no byte has been read or sent for {stall_seconds:g} s: {self._where()}"
                raise StepFailed(reasons.STALLED, text)

    def _moved(self) -> Hashable:
        """Changes as long as a byte is read, sent or kept back on purpose, or the dumper says something."""
        self.count()
        counters = self.counters
        sent = counters.sent_bytes, counters.waited_seconds
        return counters.dumped_bytes, counters.packed_bytes, sent, self.dumper.lines

    def _where(self) -> str:
        """What seems to wait for what, for a run in which nothing moves."""
        running = self.dumper.process is not None and self.dumper.process.returncode is None
        if running and self.belt.closed_bytes == self.archive.freed_bytes:
            return (
                f"the dumper stands at {self.counters.dumped_bytes} bytes; is the database waiting for a lock"
            )
        return f"the upload stands at {self.counters.uploaded_bytes} bytes; does the storage still answer"
