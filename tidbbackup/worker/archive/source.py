"""A file of the dump on its way into the archive. Must not know what becomes of its bytes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path


class RowCount:
    """How many rows a file has: its lines that begin with `(`. Its pieces may be read in any order.

    All dumpers begin each row on a line of its own, and escape the line feeds inside of values.
    """

    def __init__(self) -> None:
        self._pieces: dict[int, tuple[bytes, bytes, int]] = {}
        """By offset: a piece's first byte, its last, and the rows that begin between them."""

    def add(self, offset: int, piece: bytes) -> None:
        """Take in a piece."""
        self._pieces[offset] = (piece[:1], piece[-1:], piece.count(b"\n("))

    @property
    def rows(self) -> int:
        """So many, once all pieces are read."""
        found, before = 0, b"\n"
        for first, last, inside in (piece for _, piece in sorted(self._pieces.items())):
            found += inside + (before == b"\n" and first == b"(")
            before = last
        return found


class Source:
    """A file that blocks are read from; it is closed and deleted as soon as all of it has been read."""

    def __init__(self, path: Path, freed: Callable[[int], None]) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._readers = 0
        self._freed = freed
        self.over = False
        """Closed, or about to be by the last that reads it."""
        self.size = os.fstat(self._fd).st_size
        self.count = RowCount()
        self._unread = self.size
        if not self.size:
            self._finish()

    def read(self, offset: int, into: memoryview) -> None:
        """Fill a piece of a block.

        Raises:
            OSError: it cannot be read, or has become shorter.
        """
        with self._lock:
            if self.over:
                raise OSError(f"{self._path.name} is no longer wanted")
            self._readers += 1
        try:
            done = 0
            while done < len(into):
                count = os.preadv(self._fd, [into[done:]], offset + done)
                if not count:
                    raise OSError(f"{self._path.name} has become shorter while it was packed")
                done += count
            self.count.add(offset, bytes(into))
        finally:
            self._done(len(into))

    def give_up(self) -> None:
        """Close it without deleting it, now or when nobody reads it any more."""
        with self._lock:
            if not self.over:
                self.over = True
                if not self._readers:
                    os.close(self._fd)

    def _done(self, count: int) -> None:
        with self._lock:
            self._readers -= 1
            self._unread -= count
            if self.over:
                if not self._readers:
                    os.close(self._fd)
            elif not self._unread:
                self._finish()

    def _finish(self) -> None:
        self.over = True
        os.close(self._fd)
        # Packed is gone: the volume needs room for what mydumper is ahead, never for the archive.
        self._path.unlink()
        self._freed(self.size)
