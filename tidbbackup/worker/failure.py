"""The worker's one kind of failure, and where in a run it stands.

Must not know how failures are found or reported.
"""

from __future__ import annotations

import attrs
from attrs import define, field

from tidbbackup.model.contract.progress import BEFORE_THE_END, Report, percent
from tidbbackup.model.contract.result import Notice, WorkerResult
from tidbbackup.worker.counters import Counters


class StepFailed(Exception):
    """A step ended for a reason the user can read: a constant of model.reasons and what cures it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UsageError(Exception):
    """The environment is not what a Job of ours gives: exit code 2."""


_BEFORE_THE_DUMP_IS_WHOLE = ("connect", "preflight", "dump")


@define
class Journal:
    """Where a run stands, so that whatever ends it can be reported with its step."""

    step: str = "preflight"
    notices: list[Notice] = field(factory=list)
    upload_left_open: bool = False
    disowned: bool = False
    """Its upload was aborted by another: a cleaning, or the next attempt. It writes nothing more."""
    life_time_held: bool = False
    """TiDB's GC life time may still be raised by this run."""
    complete: WorkerResult | None = None
    """The result once the manifest is written: whatever becomes of the run after that, it is complete."""
    counters: Counters = field(factory=Counters)
    _percent: int | None = None
    """What was said last: it never goes back."""

    def notice(self, reason: str, message: str) -> None:
        """Something the user should know although the run goes on."""
        self.notices.append(Notice(reason, message))

    def sign(self, result: WorkerResult) -> WorkerResult:
        """The result with all that has been noted besides."""
        return attrs.evolve(
            result,
            notices=tuple(self.notices),
            uploadLeftOpen=self.upload_left_open,
            gcLifeTimeHeld=self.life_time_held,
        )

    def report(self) -> Report:
        """How far the run is now."""
        counted = self.counters
        if counted.archive_bytes:
            share = BEFORE_THE_END * counted.read_bytes // counted.archive_bytes
            loaded, rows = counted.loaded_bytes, counted.loaded_rows
            return Report(self.step, loadedBytes=loaded, loadedRows=rows, percent=share)
        self._percent = percent(
            counted.dumped_bytes,
            counted.packed_bytes,
            counted.estimated_bytes,
            dumping=self.step in _BEFORE_THE_DUMP_IS_WHOLE,
            before=self._percent,
        )
        dumped, expected, sent = counted.dumped_bytes, counted.estimated_bytes, counted.uploaded_bytes
        return Report(self.step, dumped, expected, sent, self._percent)
