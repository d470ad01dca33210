"""Holds the dumper while it is too far ahead, as `hold` decides. The only one that stops or continues it.

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
from tidbbackup.worker.dumpers.process import DumperProcess
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.pipeline.dumping import Assignment
from tidbbackup.worker.staging import throttle
from tidbbackup.worker.staging.belt import Belt
from tidbbackup.worker.staging.throttle import Decision, HoldFacts
from tidbbackup.worker.staging.volume import readable

log = logging.getLogger(__name__)

_NAMED = 3


@define
class Holder:
    """One dumper, the volume it writes to, and what empties that."""

    task: Assignment
    belt: Belt
    archive: Archive
    dumper: DumperProcess

    async def keep(self) -> None:
        """Hold and release until cancelled, which is when the dumper has ended.

        Raises:
            StepFailed: StagingTooSmall.
        """
        loop = asyncio.get_running_loop()
        held, since = False, loop.time()
        while True:
            now = loop.time()
            harmless = self.task.found.is_tidb or self.dumper.holds_no_lock()
            facts = self._facts(harmless, held, since)
            decision = throttle.decide(facts, now)
            if decision is Decision.TOO_SMALL:
                raise self._too_small()
            if held != (decision is Decision.HOLD):
                self._switch(held, facts, now)
                held, since = not held, now
            await asyncio.sleep(throttle.pause(facts))

    def _switch(self, held: bool, facts: HoldFacts, now: float) -> None:
        name = self.task.job.dumper.name
        log.debug("%s is %s, %d bytes staged", name, "released" if held else "held", facts.staged)
        if held:
            self.task.job.journal.counters.held_seconds += now - facts.since
            self.dumper.release()
        else:
            # Dying while it is held: SIGKILL ends a stopped process too.
            self.dumper.hold()

    def _facts(self, harmless: bool, held: bool, since: float) -> HoldFacts:
        waiting = self.belt.closed_bytes - self.archive.freed_bytes
        staged = waiting + sum(self.belt.writing_sizes().values())
        return HoldFacts(staged, waiting, self.task.budget, harmless, held, since)

    def _too_small(self) -> StepFailed:
        dumper = self.task.job.dumper
        sizes = sorted(self.belt.writing_sizes().items(), key=lambda item: -item[1])
        names = [f"{printable(name)} ({readable(size)})" for name, size in sizes]
        return StepFailed(
            reasons.STAGING_TOO_SMALL,
            f"files that are still being written fill the {readable(self.task.budget)} that may be used of "
            f"the staging volume, and nothing else is left to be sent: {some(names, _NAMED)}; raise "
            "spec.storageSize, or cut the tables into smaller files with the "
            f"{dumper.name} option {dumper.cutting_option}",
        )
