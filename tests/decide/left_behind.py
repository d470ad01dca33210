"""What the runs of one Backup have left in its bucket and its database, and what an aftermath makes of it.

The same for the world of the property tests and for the simulation. Must not know Jobs, nor when workers run.
"""

from __future__ import annotations

import attrs

from tests.decide.builders import result
from tidbbackup.model.contract.aftermath import Aftermath, Data, Part, PartResult
from tidbbackup.model.contract.result import Outcome, WorkerResult


@attrs.define(kw_only=True)
class LeftBehind:
    """Whether there is an archive, its manifest, a log, an open upload, and a GC life time that is raised."""

    archive: bool = False
    manifest: bool = False
    log: bool = False
    """Of a run that failed and said so."""
    upload: bool = False
    raised: bool = False
    """The GC life time of a TiDB."""

    def begun(self) -> None:
        """A dump has begun."""
        self.upload = self.raised = True

    def stored(self, *, released: bool) -> None:
        """A dump has stored its archive; one that is killed then has not put the GC life time back."""
        self.archive, self.manifest, self.upload, self.raised = True, True, False, not released

    def not_whole(self) -> str:
        """Why there is no whole backup; empty if there is one."""
        if self.archive and self.manifest:
            return ""
        return "ResultLost" if self.archive else "NothingStored"

    def aftermath(self, told: Aftermath, whole: WorkerResult) -> WorkerResult:
        """What the worker of an aftermath does and says; `whole` tells of a backup that is whole."""
        parts = tuple(self.part(part, told) for part in Part if part in told)
        failed = not all(part.done for part in parts)
        found = whole if Part.INSPECT in told and not self.not_whole() else result(Outcome.DONE)
        return attrs.evolve(found, outcome=Outcome.FAILED if failed else Outcome.DONE, parts=parts)

    def part(self, part: Part, told: Aftermath) -> PartResult:
        """One part; tests that make it fail lay their own over it."""
        if part is Part.RELEASE:
            self.raised = False
            return PartResult(part)
        why = self.not_whole()
        if part is Part.INSPECT:
            return PartResult(part, reason=why, message="no" if why else "")
        deletes = told.data is Data.DELETE or (told.data is Data.DELETE_UNLESS_WHOLE and bool(why))
        self.clean(deletes)
        self.log = self.log and not (deletes or told.data is Data.LOG)
        return PartResult(part, reason="ArchiveDeleted" if deletes else "DataKept")

    def clean(self, data: bool) -> None:
        """Abort what is open, and delete the data too."""
        self.archive, self.manifest = self.archive and not data, self.manifest and not data
        self.upload = False
