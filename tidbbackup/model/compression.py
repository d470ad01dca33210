"""How an archive is compressed, and how its name tells it. Must not know how it is done."""

from __future__ import annotations

from enum import StrEnum


class Compression(StrEnum):
    """`spec.compression`. The key of an archive ends in its extension: nothing else has to tell it."""

    GZIP = "gzip"
    ZSTD = "zstd"

    @property
    def extension(self) -> str:
        """The end of the archive's name."""
        return {Compression.GZIP: ".tgz", Compression.ZSTD: ".tar.zst"}[self]

    @property
    def media_type(self) -> str:
        """The Content-Type of the archive."""
        return f"application/{self}"


def compression_of(key: str) -> Compression:
    """By the extension; a key without a known one is taken for gzip."""
    return Compression.ZSTD if key.endswith(Compression.ZSTD.extension) else Compression.GZIP


def without_extension(key: str) -> str:
    """The key without the extension of an archive."""
    return key.removesuffix(compression_of(key).extension)
