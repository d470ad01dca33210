"""The bytes of one part, in memory.

Must not know what the bytes are or where they go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from isal import isal_zlib


class Body:
    """A part, as the pieces that it grew from: putting them together would copy all of it."""

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
        """A reader from the first byte on; `told` is called with the number of bytes that were sent."""
        return _Reader(self._pieces, self._size, told)


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
