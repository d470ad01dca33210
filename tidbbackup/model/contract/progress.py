"""The progress of a run: the rule for its percent, and the worker's answer to `/progress`.

Must not know the client, nor the status of a Backup.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from attrs import frozen

from tidbbackup.model.units import format_size

WORKER_PORT = 8081
"""The port of the worker on its pod's address."""
PROGRESS_PATH = "/progress"
MAX_BYTES = 4096
"""The limit of a report."""

BEFORE_THE_END = 99
"""The highest percent: only the phase shows the end."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


@frozen
class Report:
    """The progress of a run at one instant. Bytes."""

    step: Annotated[str, msgspec.Meta(pattern="^[a-z]{1,32}$")]
    """preflight, dump, upload, verify, manifest; of a restore preflight, read, load, compare."""
    dumpedBytes: _Count = 0
    estimatedBytes: _Count = 0
    """0: not known."""
    uploadedBytes: _Count = 0
    percent: Annotated[int, msgspec.Meta(ge=0, le=BEFORE_THE_END)] | None = None
    """None: not known."""
    loadedBytes: _Count = 0
    """Of a restore: bytes of the statements that the server has carried out, and their rows."""
    loadedRows: _Count = 0

    @property
    def text(self) -> str:
        """For people: `dump 43%`, or `dump 1.2 GB` if the expected size is unknown."""
        if self.percent is not None:
            return f"{self.step} {self.percent}%"
        done = self.dumpedBytes or self.loadedBytes
        return f"{self.step} {format_size(done)}" if done else self.step


def encode_report(report: Report) -> bytes:
    """As JSON."""
    return msgspec.json.encode(report)


def decode_report(data: bytes) -> Report:
    """Read a report; the peer is not trusted.

    Raises:
        ValueError: no report, or one that our worker cannot have sent.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"longer than {MAX_BYTES} bytes")
    try:
        return msgspec.json.decode(data, type=Report)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def percent(
    dumped: int, packed: int, estimated: int, *, dumping: bool, before: int | None = None
) -> int | None:
    """The percent of a run: one half is writing the dump, the other is reading it into the archive.

    Invariants: never above 99 (only the phase shows the end), never below `before`, and None only while
    the expected size is unknown.

    Args:
        dumped: bytes of the dump so far.
        packed: of these, read into the archive.
        estimated: bytes expected of the dump; 0: not known.
        dumping: the dump still grows. Once it does not, its size is known.
        before: the last percent.
    """
    if dumping and not estimated:
        return before
    total = max(estimated, dumped) if dumping else dumped
    share = 50 * (dumped + min(packed, dumped)) // total if total else 0
    return max(min(share, BEFORE_THE_END), before or 0)
