"""What the worker tells the controller: one JSON termination message, small enough by construction.

Must not know its reader. Kubernetes truncates a termination message at 4096 bytes, so ours stays below 3500.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import attrs
import msgspec
from attrs import frozen

from tidbbackup.model.contract.aftermath import Part, PartResult
from tidbbackup.model.reasons import MANIFEST_MISSING

FORMAT_VERSION = 1
MAX_BYTES = 3500
MAX_DATABASES = 20
MAX_TEXT = 1024
_MAX_WORD = 80

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Outcome(StrEnum):
    """How the worker's run ended."""

    COMPLETE = "Complete"
    FAILED = "Failed"
    DONE = "Done"
    """Of an aftermath: all its parts are done."""


@frozen
class Notice:
    """A warning: the run continues."""

    reason: str
    message: str


@frozen
class WorkerResult:
    """The worker's result. Sizes in bytes, times in UTC."""

    outcome: Outcome
    step: str = ""
    """Where it failed: preflight, dump, pack, upload, verify, manifest, aftermath."""
    reason: str = ""
    message: str = ""
    started: Moment | None = None
    finished: Moment | None = None
    path: str = ""
    size: int = 0
    checksum: str = ""
    """`sha256:<hex>` of the archive."""
    commitTs: str = ""
    databases: tuple[str, ...] = ()
    databaseCount: int = 0
    tables: int = 0
    """Of a restore: so many were restored, with so many rows."""
    rows: int = 0
    uploadLeftOpen: bool = False
    """The worker could not abort its multipart upload: a cleaning must."""
    gcLifeTimeHeld: bool = False
    """The worker could not restore TiDB's GC life time: a release must."""
    logKept: bool = False
    """The end of the log is in the bucket, under the target's log_key."""
    parts: tuple[PartResult, ...] = ()
    """Of an aftermath. If an inspection finds the backup whole, the fields above tell of that backup."""
    notices: tuple[Notice, ...] = ()
    formatVersion: int = FORMAT_VERSION

    @property
    def compared(self) -> bool:
        """Of a restore: the rows were compared with those that were dumped, which only a manifest tells."""
        return MANIFEST_MISSING not in {notice.reason for notice in self.notices}

    def part(self, name: Part) -> PartResult | None:
        """How that part of an aftermath ended; None if it was not asked for, or nothing tells."""
        return next((each for each in self.parts if each.part is name), None)


def encode_result(result: WorkerResult) -> bytes:
    """The termination message: long texts are truncated, then lists, until it fits into MAX_BYTES."""
    small = attrs.evolve(
        result,
        step=_cut(result.step, _MAX_WORD),
        reason=_cut(result.reason, _MAX_WORD),
        message=_cut(result.message, MAX_TEXT),
        path=_cut(result.path, MAX_BYTES),
        checksum=_cut(result.checksum, _MAX_WORD),
        commitTs=_cut(result.commitTs, _MAX_WORD),
        databases=tuple(_cut(name, MAX_TEXT) for name in result.databases[:MAX_DATABASES]),
        notices=tuple(Notice(_cut(n.reason, _MAX_WORD), _cut(n.message, 200)) for n in result.notices[:8]),
        parts=_cut_parts(result.parts, MAX_TEXT),
    )
    data = msgspec.json.encode(small)
    limit = MAX_TEXT
    while len(data) > MAX_BYTES and (small.databases or small.notices or small.message or limit):
        limit //= 2
        small = attrs.evolve(
            small,
            databases=small.databases[: len(small.databases) // 2],
            notices=small.notices[:-1],
            message=_cut(small.message, max(len(small.message) - 256, 0)),
            parts=_cut_parts(small.parts, limit),
        )
        data = msgspec.json.encode(small)
    # A path is whole or absent: the controller can compute it, but cannot see that it was truncated.
    return data if len(data) <= MAX_BYTES else msgspec.json.encode(attrs.evolve(small, path=""))


def decode_result(text: str) -> WorkerResult | None:
    """The result in a termination message; None if it has none."""
    try:
        return msgspec.json.decode(text, type=WorkerResult)
    except msgspec.MsgspecError:
        return None


def _cut_parts(parts: tuple[PartResult, ...], limit: int) -> tuple[PartResult, ...]:
    return tuple(attrs.evolve(part, message=_cut(part.message, limit)) for part in parts)


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, all valid in UTF-8: a program's stderr may have others."""
    sound = text[: limit + 1].encode(errors="replace").decode()
    return sound if len(sound) <= limit else sound[: max(limit - 1, 0)] + "…" * (limit > 0)
