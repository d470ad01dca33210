"""Zstandard in parallel: the library's own threads compress one stream, which stays one frame.

So every reader of zstd takes it, also those that stop after a frame. Must not know what is in the stream.
"""

from __future__ import annotations

from collections.abc import Iterator

from backports.zstd import CompressionParameter, ZstdCompressor

from tidbbackup.worker.archive.source import Source

_PIECE_BYTES = 1 << 20
_LEVEL = 1
# Smaller than the level's own: what a thread works on stays in its cache, which saves a tenth of the CPU.
_JOB_BYTES = 512 << 10
_HASH_LOG = 13


class ZstdStream:
    """A frame in the making; the threads keep a few MiB each, whatever its length is."""

    def __init__(self, threads: int) -> None:
        options: dict[int, int] = {
            CompressionParameter.compression_level: _LEVEL,
            CompressionParameter.nb_workers: threads,
            CompressionParameter.checksum_flag: 1,
            CompressionParameter.job_size: _JOB_BYTES,
            CompressionParameter.hash_log: _HASH_LOG,
        }
        self._zstd = ZstdCompressor(options=options)
        self._buffer = bytearray(_PIECE_BYTES)
        self._ready: tuple[bytes, ...] = ()

    def write(self, data: bytes) -> None:
        """See Stream."""
        self._compress(data)

    def write_from(self, source: Source, offset: int) -> int:
        """See Stream."""
        length = min(source.size - offset, _PIECE_BYTES)
        source.read(offset, self._buffer, 0, length)
        self._compress(memoryview(self._buffer)[:length])
        return length

    @property
    def busy(self) -> bool:
        """See Stream: something is there to be taken."""
        return bool(self._ready)

    def take(self) -> tuple[bytes, ...]:
        """See Stream."""
        pieces, self._ready = self._ready, ()
        return pieces

    def finish(self) -> Iterator[bytes]:
        """See Stream."""
        yield from self.take()
        yield self._zstd.flush()

    def close(self) -> None:
        """See Stream: the threads have no work but what was written, and end with this object."""

    def _compress(self, data: bytes | memoryview) -> None:
        if made := self._zstd.compress(data):
            self._ready += (made,)
