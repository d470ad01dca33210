"""The bytes of one part: in memory, or in a file where a part is too large for that.

Must not know what the bytes are or where they go.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path


class FileBody:
    """A part in a file of its own, which goes with the part."""

    def __init__(self, path: Path, size: int, crc: int, gone: Callable[[int], None]) -> None:
        """`crc` is the CRC32 of what was written; `gone` is told the size in bytes when the file has been
        deleted."""
        self._path = path
        self._size = size
        self.crc = crc
        self._gone = gone

    def __len__(self) -> int:
        return self._size

    def open(self, told: Callable[[int], None] = lambda _: None) -> io.FileIO:
        """The bytes from the beginning, with a place of its own: a try that was given up may still read.

        `told` is told of bytes as they are read, by the thread that reads.
        """
        return _Told(self._path, told)

    def discard(self) -> None:
        """The part is sent, or will never be. Dying before it: the file goes with the staging volume."""
        self._path.unlink(missing_ok=True)
        self._gone(self._size)


Body = bytes | FileBody


class _Told(io.FileIO):
    """A file that tells how much of it has been read."""

    def __init__(self, path: Path, told: Callable[[int], None]) -> None:
        super().__init__(path, "rb")
        self._told = told

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(-1 if size is None else size)
        self._told(len(piece))
        return piece
