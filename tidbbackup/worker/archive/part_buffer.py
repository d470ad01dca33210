"""The part that is growing: in memory, or on the staging volume where it is to be large.

Must not know what is in it.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import BinaryIO

from attrs import frozen
from isal import isal_zlib

from tidbbackup.storage.body import Body, FileBody, Pieces
from tidbbackup.storage.parts import MAX_IN_FLIGHT

MEMORY_PART = 32 << 20
"""Larger parts go into files. Bytes."""
_MEMORY_BYTES = 64 << 20
"""Of parts in memory, so much may travel at once."""
_OTHER_PARTS = 4
"""So many must fit beside those that travel: one grows, one waits; the rest is the dump's."""


@frozen
class Spool:
    """A folder for parts, on a volume of which the worker may use `budget` bytes.

    Invariant: parts no larger than `largest`, of which no more travel than `room` says, stay within memory
    and volume.
    """

    folder: Path
    budget: int
    travelling: int = MAX_IN_FLIGHT
    """So many are wanted at once."""

    @property
    def largest(self) -> int:
        """The largest part that can be built: five of them fill the volume. Bytes."""
        return max(MEMORY_PART, self.budget // (1 + _OTHER_PARTS))

    def takes(self, part_bytes: int) -> bool:
        """Whether parts of this size go into files: too large for memory, or more are asked for at once
        than it takes, and the volume has room for them."""
        many = self.travelling > MAX_IN_FLIGHT and part_bytes * self.travelling > _MEMORY_BYTES
        return part_bytes > MEMORY_PART or (
            many and part_bytes * (self.travelling + _OTHER_PARTS) <= self.budget
        )

    def room(self, part_bytes: int, *, in_file: bool) -> int:
        """How many parts of this size may travel at once; one always may."""
        found = self.budget // part_bytes - _OTHER_PARTS if in_file else _MEMORY_BYTES // part_bytes
        return max(1, found)


class Growing:
    """Bytes that wait to become parts.

    Invariant: they come out in the order in which they went in; in memory is at most one part, or the last
    piece where parts go into files.
    """

    def __init__(self, spool: Spool | None) -> None:
        self._spool = spool
        self._pieces: deque[bytes] = deque()
        self._in_pieces = 0
        self._file: BinaryIO | None = None
        self._path = Path()
        self._in_file = 0
        self._crc = 0
        self._files = 0
        self._handed_out = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self._in_file + self._in_pieces

    @property
    def in_file(self) -> int:
        """Of these, bytes on the volume."""
        return self._in_file

    @property
    def handed_out(self) -> int:
        """Bytes on the volume of parts that have been handed out and not been discarded."""
        return self._handed_out

    def add(self, data: bytes, part_bytes: int) -> None:
        """Append bytes to a part that is to have `part_bytes`.

        Raises:
            OSError: the volume is full.
        """
        self._pieces.append(data)
        self._in_pieces += len(data)
        if self._file or (self._spool and self._spool.takes(part_bytes)):
            self._spill(part_bytes)

    def take(self, part_bytes: int) -> Body:
        """One part, or less if less is there."""
        if not self._file:
            return Pieces(self._cut(part_bytes))
        self._spill(part_bytes)
        self._file.close()
        self._file = None
        body = FileBody(self._path, self._in_file, self._crc, self._gone)
        self._gone(-self._in_file)
        self._in_file = 0
        return body

    def close(self) -> None:
        """Let go of the file of a part that will never be whole."""
        if self._file:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)
            self._in_file = 0

    def _spill(self, part_bytes: int) -> None:
        """Move what is in memory to the file, as far as it belongs to this part."""
        if not self._file:
            assert self._spool is not None
            self._files += 1
            self._path = self._spool.folder / f"part-{self._files:05}"
            self._file, self._crc = self._path.open("xb"), 0
        for piece in self._cut(part_bytes - self._in_file):
            self._file.write(piece)
            self._crc = isal_zlib.crc32(piece, self._crc)
            self._in_file += len(piece)

    def _cut(self, room: int) -> list[bytes]:
        """The first `room` bytes of those in memory."""
        taken: list[bytes] = []
        while self._pieces and room:
            piece = self._pieces.popleft()
            if len(piece) > room:
                self._pieces.appendleft(piece[room:])
                piece = piece[:room]
            taken.append(piece)
            room -= len(piece)
            self._in_pieces -= len(piece)
        return taken

    def _gone(self, count: int) -> None:
        with self._lock:
            self._handed_out -= count
