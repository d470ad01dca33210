"""What is left to do after a run, as the controller asks for it and the worker answers.

Must not know how it is done, nor when.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class Part(StrEnum):
    """A part of an aftermath. Each may be repeated, and none waits for another."""

    INSPECT = "inspect"
    """Tell whether archive and manifest are whole."""
    CLEAN = "clean"
    """Abort the open uploads of the archive's key; `data` tells what becomes of the archive."""
    RELEASE = "release"
    """Put TiDB's GC life time back, if this Backup's run has left it raised."""


class Data(StrEnum):
    """What a cleaning does with archive, manifest and log."""

    KEEP = "keep"
    LOG = "log"
    """Delete the log: the run has left nothing else, so nothing else is looked for."""
    DELETE_UNLESS_WHOLE = "delete-unless-whole"
    DELETE = "delete"


@frozen
class Aftermath:
    """What is left to do after a run."""

    parts: tuple[Part, ...] = ()
    data: Data = Data.KEEP

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __contains__(self, part: Part) -> bool:
        return part in self.parts


@frozen
class PartResult:
    """How a part ended."""

    part: Part
    done: bool = True
    reason: str = ""
    """Why it is not done. Of an inspection that is done: why the backup is not whole; empty if it is."""
    message: str = ""


NO_AFTERMATH = Aftermath()
