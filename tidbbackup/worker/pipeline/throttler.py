"""Suspends the dumper while it is too far ahead, and resumes it, as `throttle` decides.

Must not know why.
"""

from __future__ import annotations

import asyncio
import logging

from attrs import define

from tidbbackup.model import reasons
from tidbbackup.model.enumeration import some
from tidbbackup.worker.archive.manifest import printable
from tidbbackup.worker.archive.tar import Archive
from tidbbackup.worker.counters import Counters
from tidbbackup.worker.dumpers.dumper import Dump
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.staging import throttle
from tidbbackup.worker.staging.belt import Belt
from tidbbackup.worker.staging.throttle import Decision, VolumeFacts
from tidbbackup.worker.staging.volume import readable

log = logging.getLogger(__name__)

_NAMED = 3


@define
class Throttler:
    """One dumper, the volume it writes to, and what empties that."""

    counters: Counters
    dump: Dump
    belt: Belt
    archive: Archive
    budget: int
    """How many bytes may be on the staging volume."""

    async def keep(self) -> None:
        """Suspend and resume it until cancelled, which is when the dumper has ended.

        Raises:
            StepFailed: StagingTooSmall.
        """
        loop = asyncio.get_running_loop()
        suspended, since = False, loop.time()
        while True:
            now = loop.time()
            harmless = self.dump.order.found.is_tidb or self.dump.process.holds_no_lock()
            facts = self._facts(harmless, suspended, since)
            decision = throttle.decide(facts, now)
            if decision is Decision.TOO_SMALL:
                raise self._too_small()
            if suspended != (decision is Decision.SUSPEND):
                self._switch(suspended, facts, now)
                suspended, since = not suspended, now
            await asyncio.sleep(throttle.pause(facts))

    def _switch(self, suspended: bool, facts: VolumeFacts, now: float) -> None:
        name = self.dump.name
        log.debug("%s is %s, %d bytes staged", name, "resumed" if suspended else "suspended", facts.staged)
        if suspended:
            self.counters.held_seconds += now - facts.since
            self.dump.process.resume()
        else:
            # Dying while it is suspended: SIGKILL ends a suspended process too.
            self.dump.process.suspend()

    def _facts(self, harmless: bool, suspended: bool, since: float) -> VolumeFacts:
        waiting = self.belt.closed_bytes - self.archive.freed_bytes
        staged = waiting + sum(self.belt.writing_sizes().values())
        return VolumeFacts(staged, waiting, self.budget, harmless, suspended, since)

    def _too_small(self) -> StepFailed:
        sizes = sorted(self.belt.writing_sizes().items(), key=lambda item: -item[1])
        names = [f"{printable(name)} ({readable(size)})" for name, size in sizes]
        return StepFailed(
            reasons.STAGING_TOO_SMALL,
            f"files that are still being written fill the {readable(self.budget)} that may be used of "
            f"the staging volume, and nothing else is left to be sent: {some(names, _NAMED)}; raise "
            "spec.storageSize, or cut the tables into smaller files with the "
            f"{self.dump.name} option {self.dump.cutting_option}",
        )
