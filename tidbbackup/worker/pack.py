"""The archive: finished files become a tar inside gzip, handed out as parts while it grows.

Nothing of it touches a disk. Compressing and hashing run in a thread, one part at a time, and only when
somebody asks for the next part: that is what bounds memory. Must not know S3 or mydumper.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import BinaryIO

from attrs import frozen
from isal import isal_zlib

_LEVEL = 2
_GZIP_WINDOW = 31
_READ_BYTES = 1 << 20
_RECORD_BYTES = 10_240


@frozen
class PackedFile:
    """One file of the archive. Size in bytes, unpacked."""

    name: str
    size: int


class Archive:
    """A .tgz in the making, with one top directory and the same bytes for the same files.

    Invariant: what has been handed out plus what is pending is exactly what `size` and `sha256` cover.
    """

    def __init__(self, top: str, mtime: int, part_bytes: int) -> None:
        self._top = top
        self._mtime = mtime
        self.part_bytes = part_bytes
        self._deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
        self._sha256 = hashlib.sha256()
        self._pending = bytearray()
        self._file: BinaryIO | None = None
        self._path = Path()
        self._left = 0
        self._tar_bytes = 0
        self.files: list[PackedFile] = []
        self.size = 0
        self.packed_bytes = 0
        """Read from files so far."""
        self.freed_bytes = 0
        """Of files that have been deleted."""
        self._header("", 0)

    @property
    def checksum(self) -> str:
        """`sha256:<hex>` of the whole archive, after the last part."""
        return f"sha256:{self._sha256.hexdigest()}"

    def open(self, path: Path) -> None:
        """Begin with the next file; `fill` hands out parts until it is done."""
        self._file = path.open("rb")
        self._path = path
        self._left = os.fstat(self._file.fileno()).st_size
        self._header(path.name, self._left)
        self.files.append(PackedFile(path.name, self._left))

    def fill(self) -> bytes | None:
        """Compress on; the next full part, or None when the file is done and deleted."""
        while len(self._pending) < self.part_bytes:
            if not self._step():
                return None
        return self._take(self.part_bytes)

    def finish(self) -> list[bytes]:
        """End of the tar and the gzip: the last parts."""
        padding = -(self._tar_bytes + 1024) % _RECORD_BYTES
        self._add(bytes(1024 + padding))
        self._out(self._deflate.flush())
        parts = []
        while self._pending:
            parts.append(self._take(self.part_bytes))
        return parts

    def close(self) -> None:
        """Let go of a file that was being packed."""
        if self._file:
            self._file.close()
            self._file = None

    def _step(self) -> bool:
        """Pack a piece of the open file; False when nothing of it is left."""
        if self._file is None:
            return False
        piece = self._file.read(min(_READ_BYTES, self._left))
        if self._left and not piece:
            raise OSError(f"{self._path.name} has become shorter while it was packed")
        self._add(piece)
        self._left -= len(piece)
        self.packed_bytes += len(piece)
        if self._left == 0:
            self._add(bytes(-self.files[-1].size % tarfile.BLOCKSIZE))
            self.close()
            # Packed is gone: the volume needs room for the dump only, never for the archive.
            self._path.unlink()
            self.freed_bytes += self.files[-1].size
        return True

    def _header(self, name: str, size: int) -> None:
        info = tarfile.TarInfo(f"{self._top}/{name}" if name else self._top)
        info.type = tarfile.REGTYPE if name else tarfile.DIRTYPE
        info.mode = 0o644 if name else 0o755
        info.size = size
        info.mtime = self._mtime
        self._add(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))

    def _add(self, data: bytes) -> None:
        self._tar_bytes += len(data)
        self._out(self._deflate.compress(data))

    def _out(self, data: bytes) -> None:
        self._sha256.update(data)
        self.size += len(data)
        self._pending += data

    def _take(self, count: int) -> bytes:
        part = bytes(memoryview(self._pending)[:count])
        del self._pending[:count]
        return part


def tar_bytes(sizes: list[int]) -> int:
    """At most how many bytes a tar of files of these sizes has: the estimate for the part plan."""
    blocks = sum(-(-size // tarfile.BLOCKSIZE) + 4 for size in sizes)
    return blocks * tarfile.BLOCKSIZE + _RECORD_BYTES


async def parts(archive: Archive, files: AsyncIterator[Path]) -> AsyncGenerator[bytes, None]:
    """The archive's parts as its files become ready; each file is deleted once it is packed."""
    try:
        async for path in files:
            await asyncio.to_thread(archive.open, path)
            while part := await asyncio.to_thread(archive.fill):
                yield part
        for part in await asyncio.to_thread(archive.finish):
            yield part
    finally:
        archive.close()
