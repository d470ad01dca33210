"""The archive: finished files become a compressed tar, handed out as parts while it grows.

Nothing of it touches a disk. Hashing runs in a thread, one part at a time, compressing in several, and only
when somebody asks for the next part: that is what bounds memory. Must not know S3 or mydumper.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import tarfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol

from attrs import frozen

from tidbbackup.model.compression import Compression
from tidbbackup.storage.body import Body
from tidbbackup.storage.parts import PartSizes
from tidbbackup.worker.archive.gzip import BlockGzip
from tidbbackup.worker.archive.part_buffer import PartBuffer
from tidbbackup.worker.archive.source import RowCount, Source
from tidbbackup.worker.archive.zstd import ZstdStream
from tidbbackup.worker.cpus import cpus

MAX_THREADS = 4
_RECORD_BYTES = 10_240


@frozen
class PackedFile:
    """One file of the archive. Size in bytes, unpacked."""

    name: str
    size: int
    rows: int = 0
    """Of a table, as lines."""


class Stream(Protocol):
    """A compressed stream in the making; its threads work while bytes are added."""

    def write(self, data: bytes) -> None:
        """Append bytes; they may be few."""

    def write_from(self, source: Source, offset: int) -> int:
        """Append the next bytes of a source; how many that were.

        Raises:
            OSError: the file could not be read, or has become shorter.
        """

    @property
    def busy(self) -> bool:
        """Whether something has to be taken before more is written: that bounds the memory."""

    def take(self) -> tuple[bytes, ...]:
        """The next piece of the stream, waiting for it if need be; empty: none is on its way."""

    def finish(self) -> Iterator[bytes]:
        """No more bytes: the rest of the stream."""

    def close(self) -> None:
        """Stop the threads, whatever they still had to do."""


_STREAMS: dict[Compression, Callable[[int], Stream]] = {
    Compression.GZIP: BlockGzip,
    Compression.ZSTD: ZstdStream,
}


class Archive:
    """An archive in the making, with one top directory and the same bytes for the same files.

    Invariant: what has been handed out plus what is pending is exactly what `size` and `sha256` cover.
    """

    def __init__(self, top: str, mtime: int, sizes: PartSizes, compression: Compression) -> None:
        self._top = top
        self._mtime = mtime
        self._sizes = sizes
        self._stream = _STREAMS[compression](min(MAX_THREADS, math.ceil(cpus())))
        self._sha256 = hashlib.sha256()
        self._growing = PartBuffer()
        self._source: Source | None = None
        self._offset = 0
        self._opened: list[Source] = []
        self._tar_bytes = 0
        self._lock = threading.Lock()
        self._packed: list[tuple[str, int, RowCount]] = []
        self.size = 0
        self.packed_bytes = 0
        """Of files, on their way into the archive."""
        self.freed_bytes = 0
        """Of files that have been read and deleted."""
        self._header("", 0)

    @property
    def checksum(self) -> str:
        """`sha256:<hex>` of the whole archive, after the last part."""
        return f"sha256:{self._sha256.hexdigest()}"

    @property
    def files(self) -> Iterator[PackedFile]:
        """All that were opened, with the rows of those that are read."""
        return (PackedFile(name, size, count.rows) for name, size, count in self._packed)

    def open(self, path: Path) -> None:
        """Begin with the next file; `fill` hands out parts until all of it is on its way."""
        source = Source(path, self._freed)
        self._header(path.name, source.size)
        self._packed.append((path.name, source.size, source.count))
        self._source, self._offset = source, 0
        self._opened = [known for known in self._opened if not known.over] + [source]

    def fill(self) -> Body | None:
        """Compress on; the next full part, or None when the file needs no more calls. It is deleted as soon
        as its last byte has been read.

        Raises:
            OSError: a file could not be read, or has become shorter.
        """
        while self._growing.size < self._sizes.size:
            if not self._step():
                return None
        return self._take()

    def finish(self) -> list[Body]:
        """End of the tar and the stream: the last parts."""
        padding = -(self._tar_bytes + 1024) % _RECORD_BYTES
        self._add(bytes(1024 + padding))
        self._out(*self._stream.finish())
        parts: list[Body] = []
        while self._growing.size:
            parts.append(self._take())
        self.close()
        return parts

    def close(self) -> None:
        """Close the files that were being packed, and stop the threads."""
        self._stream.close()
        for source in self._opened:
            source.give_up()
        self._source, self._opened = None, []

    def _step(self) -> bool:
        """Pack a piece of the open file; False when nothing of it is left."""
        if self._stream.busy:
            self._out(*self._stream.take())
            return True
        source = self._source
        if source is None:
            return False
        if self._offset < source.size:
            length = self._stream.write_from(source, self._offset)
            self._offset += length
            self._tar_bytes += length
            self.packed_bytes += length
        else:
            self._add(bytes(-source.size % tarfile.BLOCKSIZE))
            self._source = None
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
        self._stream.write(data)

    def _out(self, *pieces: bytes) -> None:
        for data in pieces:
            self._sha256.update(data)
            self._growing.add(data)
            self.size += len(data)

    def _take(self) -> Body:
        """One part, or less if less is there."""
        part = self._growing.take(self._sizes.size)
        self._sizes.took(len(part))
        return part

    def _freed(self, count: int) -> None:
        with self._lock:
            self.freed_bytes += count


async def parts(archive: Archive, files: AsyncIterator[Path]) -> AsyncGenerator[Body, None]:
    """The archive's parts as its files become ready; each file is deleted once it is packed."""
    # A thread of its own: those of the event loop may all wait for a name server that does not answer.
    thread = ThreadPoolExecutor(1, thread_name_prefix="pack")
    call = partial(asyncio.get_running_loop().run_in_executor, thread)
    try:
        async for path in files:
            await call(archive.open, path)
            while part := await call(archive.fill):
                yield part
        for part in await call(archive.finish):
            yield part
    finally:
        archive.close()
        thread.shutdown(wait=False)
