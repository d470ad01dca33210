"""How far a run is: the rule for its percent, and what the worker answers when it is asked.

Must not know who asks, nor what a status looks like.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from attrs import frozen

from tidbbackup.model.units import format_size

WORKER_PORT = 8081
"""Where the worker is asked, on its pod's own address."""
PROGRESS_PATH = "/progress"
MAX_BYTES = 4096
"""No report is longer."""

_BEFORE_THE_END = 99

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


@frozen
class Report:
    """How far a run is at one instant. Bytes."""

    step: Annotated[str, msgspec.Meta(pattern="^[a-z]{1,32}$")]
    """preflight, dump, upload, verify, manifest."""
    dumpedBytes: _Count = 0
    estimatedBytes: _Count = 0
    """0: not known."""
    uploadedBytes: _Count = 0
    percent: Annotated[int, msgspec.Meta(ge=0, le=_BEFORE_THE_END)] | None = None
    """None: not known."""

    @property
    def text(self) -> str:
        """For people: `dump 43%`, or `dump 1.2 GB` where nobody knows of how much."""
        if self.percent is not None:
            return f"{self.step} {self.percent}%"
        return f"{self.step} {format_size(self.dumpedBytes)}" if self.dumpedBytes else self.step


def encode_report(report: Report) -> bytes:
    """As it goes over the wire."""
    return msgspec.json.encode(report)


def decode_report(data: bytes) -> Report:
    """Read a report of a peer that is not trusted.

    Raises:
        ValueError: no report, or not one that a worker of ours can have sent.
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
    """How much of a run is done: writing the dump is one half of it, reading it into the archive the other.

    Invariants: never above 99 (the end is told by the phase alone), never below `before`, and None only
    while nothing is known of how much there will be.

    Args:
        dumped: bytes of the dump so far.
        packed: of these, read into the archive.
        estimated: bytes expected of the dump; 0: not known.
        dumping: the dump still grows. Once it does not, its size is known.
        before: what was said last.
    """
    if dumping and not estimated:
        return before
    total = max(estimated, dumped) if dumping else dumped
    share = 50 * (dumped + min(packed, dumped)) // total if total else 0
    return max(min(share, _BEFORE_THE_END), before or 0)
