"""Gzip in parallel: a stream is cut into blocks that threads read and compress by themselves.

Together the blocks are one plain gzip member: the deflate data of each ends on a byte and refers to nothing
before it, so every reader of gzip takes it. Must not know what is in the stream.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from attrs import define, field, frozen
from isal import isal_zlib

from tidbbackup.worker.archive.source import Source

BLOCK_BYTES = 1 << 20
_LEVEL = 2
_RAW = -15
# RFC 1952: no name, no time, made on Unix. RFC 1951: an empty last block.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
_LAST_BLOCK = b"\x03\x00"


@frozen
class _Piece:
    """Some bytes of a source."""

    source: Source
    offset: int
    length: int


@define
class _Block:
    """A piece of the stream that is being put together."""

    pieces: list[bytes | bytearray | _Piece] = field(factory=list)
    size: int = 0

    def add(self, piece: bytes | bytearray | _Piece, size: int) -> None:
        self.pieces.append(piece)
        self.size += size


@frozen
class _Compressed:
    data: tuple[bytes, ...]
    crc: int
    size: int


class BlockGzip:
    """A gzip stream in the making.

    Invariant: blocks come out in the order in which they went in, and at most `ahead` of them are on their
    way: that is what bounds memory.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="compress")
        self._ahead = 2 * threads
        self._block = _Block()
        self._running: deque[Future[_Compressed]] = deque()
        self._buffers = threading.local()
        self._crc = 0
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append bytes; they may be few, and stay in the block that is being put together."""
        self._block.add(data, len(data))
        if self._block.size >= BLOCK_BYTES:
            self._send()

    def write_from(self, source: Source, offset: int) -> int:
        """Append what of a source fits into the present block; how many bytes that were."""
        length = min(source.size - offset, BLOCK_BYTES - self._block.size)
        if self._block.size + length < BLOCK_BYTES:
            # A block that waits for more files must not keep one: the volume may be full.
            data = bytearray(length)
            source.read(offset, data, 0, length)
            self._block.add(data, length)
        else:
            self._block.add(_Piece(source, offset, length), length)
            self._send()
        return length

    @property
    def busy(self) -> bool:
        """See Stream: as many blocks are on their way as may be, so the next one has to be taken first."""
        return len(self._running) >= self._ahead

    def take(self) -> tuple[bytes, ...]:
        """The next piece of the stream, waiting for it if need be; empty: none is on its way.

        Raises:
            OSError: a file could not be read.
        """
        if not self._running:
            return ()
        done = self._running.popleft().result()
        first = not self._size
        self._crc = isal_zlib.crc32_combine(self._crc, done.crc, done.size)
        self._size += done.size
        return (_HEADER, *done.data) if first else done.data

    def finish(self) -> Iterator[bytes]:
        """No more bytes: the rest of the stream."""
        if self._block.size:
            self._send()
        while pieces := self.take():
            yield from pieces
        yield _LAST_BLOCK + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF)

    def close(self) -> None:
        """Stop the threads, whatever they still had to do."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _send(self) -> None:
        block, self._block = self._block, _Block()
        self._running.append(self._pool.submit(self._compress, block))

    def _compress(self, block: _Block) -> _Compressed:
        data = self._read(block)
        # A new one for each block: it looks for repetitions in no other.
        deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW)
        out = (deflate.compress(data), deflate.flush(isal_zlib.Z_FULL_FLUSH))
        return _Compressed(out, isal_zlib.crc32(data), block.size)

    def _read(self, block: _Block) -> memoryview:
        """The block's bytes, in a buffer that the thread uses again and again."""
        buffer: bytearray | None = getattr(self._buffers, "buffer", None)
        if buffer is None or len(buffer) < block.size:
            buffer = self._buffers.buffer = bytearray(max(block.size, BLOCK_BYTES))
        view, at = memoryview(buffer)[: block.size], 0
        for piece in block.pieces:
            if isinstance(piece, bytes | bytearray):
                view[at : at + len(piece)] = piece
                at += len(piece)
            else:
                piece.source.read(piece.offset, buffer, at, at + piece.length)
                at += piece.length
        return view
