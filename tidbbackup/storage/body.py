"""The bytes of one part: in memory, or in a file where a part is too large for that.

Must not know what the bytes are or where they go.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from isal import isal_zlib

_PIECE_BYTES = 1 << 20


class FileBody:
    """A part in a file of its own, which goes with the part."""

    def __init__(self, path: Path, size: int, gone: Callable[[int], None]) -> None:
        """`gone` is told the size in bytes when the file has been deleted."""
        self._path = path
        self._size = size
        self._gone = gone

    def __len__(self) -> int:
        return self._size

    def open(self) -> BinaryIO:
        """The bytes from the beginning, with a place of its own: a try that was given up may still read."""
        return self._path.open("rb")

    def discard(self) -> None:
        """The part is sent, or will never be. Dying before it: the file goes with the staging volume."""
        self._path.unlink(missing_ok=True)
        self._gone(self._size)


Body = bytes | FileBody


def crc32(body: Body) -> int:
    """CRC32 of a body. Blocking: gigabytes a second, but a part may have gigabytes."""
    if isinstance(body, bytes):
        return isal_zlib.crc32(body)
    crc = 0
    with body.open() as file:
        while piece := file.read(_PIECE_BYTES):
            crc = isal_zlib.crc32(piece, crc)
    return crc
