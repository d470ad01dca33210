"""A file of the dump on its way into the archive. Must not know what becomes of its bytes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

_START_BYTES = 64 << 10
_INSERT = b"INSERT INTO "


class RowCount:
    """How many rows a file has: its lines, but for the head and the beginnings of its statements.

    All dumpers begin each row on a line of its own, escape the line feeds inside of values, and begin all
    statements of a file with the same text. To count line feeds and one long text costs half of what looking
    for the beginnings of rows costs, and meanwhile Python does nothing else.
    """

    def __init__(self, start: bytes) -> None:
        """`start`: of the file, with its first statement."""
        at = (b"\n" + start).find(b"\n" + _INSERT)
        end = start.find(b"\n(", at)
        beginning = start[at : end + 1] if end > at else _INSERT
        self._has_rows = at >= 0
        self._head_lines = start.count(b"\n", 0, max(at, 0))
        self._lines_of_beginning = max(1, beginning.count(b"\n"))
        self._beginning = b"\n" + beginning
        self._pieces: dict[int, tuple[int, int, bytes]] = {}
        """By offset, in whatever order they are read: lines, beginnings inside, and the piece's ends."""
        self.rows = 0
        """Once all pieces are read."""

    def add(self, offset: int, buffer: bytearray, begin: int, end: int) -> None:
        """Take in a piece, which is a part of a buffer."""
        if not self._has_rows:
            return
        edge = len(self._beginning) - 1
        if end - begin <= 2 * edge:
            inside, ends = 0, bytes(buffer[begin:end])
        else:
            inside = buffer.count(self._beginning, begin, end)
            ends = b"\0".join((buffer[begin : begin + edge], buffer[end - edge : end]))
        self._pieces[offset] = buffer.count(b"\n", begin, end), inside, ends

    def finish(self) -> None:
        """All pieces are read: only the sum is kept, however many files a dump has."""
        if self._has_rows:
            ends = b"\n" + b"".join(ends for _, (_, _, ends) in sorted(self._pieces.items()))
            statements = ends.count(self._beginning) + sum(inside for _, inside, _ in self._pieces.values())
            # Each has a line more than rows. mydumper 1.0 has it at the end, and begins with the first row.
            lines = sum(lines for lines, _, _ in self._pieces.values())
            self.rows = lines - self._head_lines - statements * self._lines_of_beginning
        self._pieces = {}


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
        self.count = RowCount(os.pread(self._fd, _START_BYTES, 0))
        self._unread = self.size
        if not self.size:
            self._finish()

    def read(self, offset: int, buffer: bytearray, begin: int, end: int) -> None:
        """Fill a part of a buffer.

        Raises:
            OSError: it cannot be read, or has become shorter.
        """
        with self._lock:
            if self.over:
                raise OSError(f"{self._path.name} is no longer wanted")
            self._readers += 1
        try:
            into, done = memoryview(buffer)[begin:end], 0
            while done < len(into):
                count = os.preadv(self._fd, [into[done:]], offset + done)
                if not count:
                    raise OSError(f"{self._path.name} has become shorter while it was packed")
                done += count
            self.count.add(offset, buffer, begin, end)
        finally:
            self._done(end - begin)

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
        self.count.finish()
        # Packed is gone: the volume needs room for what mydumper is ahead, never for the archive.
        self._path.unlink()
        self._freed(self.size)
