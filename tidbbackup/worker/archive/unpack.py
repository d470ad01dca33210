"""Reads an archive once from beginning to end: its digest, its compression, its files one after the other.

Bounded memory, however large it is. Must not know where the bytes come from, nor what is done with the files.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, Protocol

from attrs import frozen
from backports import zstd
from isal import igzip, isal_zlib

if TYPE_CHECKING:
    from typing_extensions import Buffer

PIECE = 1 << 20
_GZIP: Any = igzip.IGzipFile
"""It has no types."""
_ISAL_ERROR: Any = isal_zlib.error
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
BROKEN = (EOFError, OSError, ValueError, tarfile.TarError, _ISAL_ERROR, zstd.ZstdError)
"""What reading raises where the archive is damaged."""


class Reader(Protocol):
    """Gives the next bytes, fewer than asked for perhaps; none means the end."""

    def read(self, size: int, /) -> bytes:
        """See io.RawIOBase."""


class Metered(io.RawIOBase):
    """Counts and hashes what is read, and reports the count."""

    def __init__(self, source: Reader, moved: Callable[[int], None]) -> None:
        self._source, self._moved = source, moved
        self._ahead = b""
        self.bytes = 0
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def readinto(self, into: Buffer, /) -> int:
        """See io.RawIOBase."""
        view = memoryview(into).cast("B")
        data, self._ahead = self._ahead[: len(view)], self._ahead[len(view) :]
        data = data or self._next(len(view))
        view[: len(data)] = data
        return len(data)

    def starts_with(self, magic: bytes) -> bool:
        """Whether these are the next bytes, which stay to be read."""
        while len(self._ahead) < len(magic) and (data := self._next(len(magic) - len(self._ahead))):
            self._ahead += data
        return self._ahead == magic

    def _next(self, size: int) -> bytes:
        data = self._source.read(size)
        self.bytes += len(data)
        self.sha256.update(data)
        self._moved(self.bytes)
        return data

    def drain(self) -> None:
        """Read the rest: the digest is that of all bytes."""
        while self.read(PIECE):
            pass


@frozen
class Member:
    """One entry of the tar; its content can be read until the next one is asked for."""

    info: tarfile.TarInfo
    _content: IO[bytes] | None

    def pieces(self) -> Iterator[bytes]:
        """The content; raises one of BROKEN."""
        while self._content and (piece := self._content.read(PIECE)):
            yield piece


def members(source: Metered) -> Iterator[Member]:
    """All entries, and then the checksum at the end of the compressed stream. Raises one of BROKEN."""
    with _opened(source) as plain:
        with tarfile.open(fileobj=plain, mode="r|", bufsize=PIECE, errors="surrogateescape") as tar:
            while info := tar.next():
                yield Member(info, tar.extractfile(info) if info.isreg() else None)
                # It would keep them all.
                tar.members = []  # type: ignore[attr-defined]
        while plain.read(PIECE):
            pass


def _opened(source: Metered) -> Any:
    """The tar in it, by what the stream begins with: the object may have been stored under another name."""
    if source.starts_with(_ZSTD_MAGIC):
        return zstd.ZstdFile(source)
    return _GZIP(fileobj=source, mode="rb")


def broken_words(error: Exception) -> str:
    """One of BROKEN, for people."""
    text = re.sub(r"\s+", " ", str(error)).strip()
    if isinstance(error, EOFError):
        return "the compressed stream ends too early"
    return text or type(error).__name__
