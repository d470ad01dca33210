"""Digests of parts, and a CRC32 of the whole object from those of its parts, as S3 writes them.

Must not know what an upload is.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterable

from isal import isal_zlib

from tidbbackup.storage.body import Body

CRC32 = "ChecksumCRC32"
"""The parameter's name in S3's calls."""


async def checksum(body: Body) -> int:
    """CRC32 of a body, in a thread."""
    return await asyncio.to_thread(lambda: body.crc)


async def md5(body: Body) -> str:
    """MD5 of a body as S3's headers carry it, in a thread."""

    def digest() -> bytes:
        found = hashlib.md5(usedforsecurity=False)
        for piece in body:
            found.update(piece)
        return found.digest()

    return base64.b64encode(await asyncio.to_thread(digest)).decode()


def combined(parts: Iterable[tuple[int, int]]) -> int:
    """CRC32 of the bytes of all parts, each given as CRC32 and bytes; in time of the number of parts."""
    whole = 0
    for crc, size in parts:
        whole = isal_zlib.crc32_combine(whole, crc, size)
    return whole


def encode_crc(crc: int) -> str:
    """As S3's headers carry it: big endian, base64."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()
