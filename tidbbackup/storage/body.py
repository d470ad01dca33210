"""The bytes of one part: in memory, or in a file where a part is too large for that.

Must not know what the bytes are or where they go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from isal import isal_zlib

_READ_BYTES = 256 << 10
"""Of a file, on its way to the network."""


class Pieces:
    """A part in memory, as the pieces that it grew from: putting them together would copy all of it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = tuple(piece for piece in pieces if piece)
        self._size = sum(map(len, self._pieces))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    @property
    def crc(self) -> int:
        """CRC32 of it, reckoned at every call: milliseconds."""
        crc = 0
        for piece in self._pieces:
            crc = isal_zlib.crc32(piece, crc)
        return crc

    def open(self, told: Callable[[int], None] = lambda _: None) -> _Reader:
        """The bytes from the beginning, with a place of its own; `told` is told of what is sent."""
        return _Reader(self._pieces, self._size, told)

    def discard(self) -> None:
        """The part is sent, or will never be."""


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

    def open(self, told: Callable[[int], None] = lambda _: None) -> _FileReader:
        """The bytes from the beginning, with a place of its own: a try that was given up may still read.

        `told` is told of what is sent.
        """
        return _FileReader(self._path, self._size, told)

    def discard(self) -> None:
        """The part is sent, or will never be. Dying before it: the file goes with the staging volume."""
        self._path.unlink(missing_ok=True)
        self._gone(self._size)


Body = Pieces | FileBody


class _Reader:
    """Pieces as the client reads them: like a file for the signature, and piece by piece to be sent, which
    copies nothing.

    Invariant: every walk by `async for` begins at the beginning, as a request that is sent again does.
    """

    def __init__(self, pieces: tuple[bytes, ...], size: int, told: Callable[[int], None]) -> None:
        self._pieces = pieces
        self._size = size
        self._told = told
        self._at = 0
        # The piece that it stands in, and where that begins: there may be thousands.
        self._number = 0
        self._begins = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, and no more than the rest of one piece; all that is left without a size."""
        if size < 0:
            return b"".join(iter(lambda: self.read(len(self)), b""))
        while size and self._number < len(self._pieces):
            piece = self._pieces[self._number]
            offset = self._at - self._begins
            if found := piece[offset : offset + size]:
                self._at += len(found)
                return found
            self._begins += len(piece)
            self._number += 1
        return b""

    def seek(self, position: int) -> int:
        """Read on from there."""
        self._at = position
        self._number = self._begins = 0
        return position

    def tell(self) -> int:
        """Where it is read on."""
        return self._at

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
            self._told(len(piece))


class _FileReader:
    """A file as the client reads it: for the signature, and piece by piece to be sent.

    Invariant: that of `_Reader`.
    """

    def __init__(self, path: Path, size: int, told: Callable[[int], None]) -> None:
        self._file = path.open("rb", buffering=0)
        self._size = size
        self._told = told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; all that is left without a size."""
        return self._file.read(size)

    def seek(self, position: int) -> int:
        """Read on from there."""
        return self._file.seek(position)

    def tell(self) -> int:
        """Where it is read on."""
        return self._file.tell()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._file.seek(0)
        while piece := await asyncio.to_thread(self._file.read, _READ_BYTES):
            yield piece
            self._told(len(piece))
