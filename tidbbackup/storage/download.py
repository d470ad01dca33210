"""An object in ranges, read ahead, each continued where its connection broke. Never two versions mixed.

A range is read at once: no connection waits for a slow reader, so none is closed as idle. Must not know what
the bytes are.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator

from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.client import Patience, S3Client
from tidbbackup.storage.errors import StorageError, code_of, explain
from tidbbackup.storage.objects import ObjectHead
from tidbbackup.storage.retries import with_retries

log = logging.getLogger(__name__)

RANGE_BYTES = 2 << 20
_AHEAD = 4
"""How many ranges are read at the same time, once as many have arrived."""
_PIECE_BYTES = 1 << 20


async def download(
    client: S3Client, target: ObjectTarget, head: ObjectHead, patience: Patience
) -> AsyncGenerator[bytes, None]:
    """The whole object that this HEAD has seen, range by range, in order.

    Raises:
        StorageError: the storage refused, could not be reached for as long as `patience` says, or another
            object has been stored under the key.
    """
    running: deque[asyncio.Task[bytes]] = deque()
    done = 0
    try:
        for start in range(0, head.size, RANGE_BYTES):
            end = min(start + RANGE_BYTES, head.size) - 1
            running.append(asyncio.create_task(_range(client, target, head.etag, start, end, patience)))
            if len(running) > min(done, _AHEAD - 1):
                yield await running.popleft()
                done += 1
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _range(
    client: S3Client, target: ObjectTarget, etag: str, start: int, end: int, patience: Patience
) -> bytes:
    found = bytearray()

    async def read() -> None:
        """Read what is still missing; as long as a broken connection has brought something, again at once."""
        fresh = True
        while fresh:
            fresh, before = False, len(found)
            try:
                await _read(client, target, etag, start + before, end, found)
                if len(found) == end + 1 - start:
                    return
                raise ConnectionError(f"{len(found)} bytes came of {end + 1 - start}")
            except Exception as error:
                fresh = len(found) > before and not code_of(error)
                if not fresh:
                    raise _explained(error, target) from error
                log.warning("reading %s broke at byte %d: continued there", target.url, start + len(found))

    await with_retries(read, f"bytes {start} to {end} of {target.url}", patience)
    return bytes(found)


async def _read(
    client: S3Client, target: ObjectTarget, etag: str, start: int, end: int, into: bytearray
) -> None:
    wanted = f"bytes={start}-{end}"
    answer = await client.get_object(Bucket=target.bucket, Key=target.key, Range=wanted, IfMatch=etag)
    async with answer["Body"] as body:
        if not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-{end}/"):
            raise StorageError(
                reasons.STORAGE_REFUSED,
                f"{target.url}: the storage does not give the range {wanted} of an object that was asked for",
            )
        while piece := await body.read(_PIECE_BYTES):
            into += piece


def _explained(error: Exception, target: ObjectTarget) -> StorageError:
    if code_of(error) in ("PreconditionFailed", "NoSuchKey"):
        return StorageError(
            reasons.STORAGE_REFUSED,
            f"{target.url} has been replaced or deleted while it was read ({code_of(error)}): begin again",
            code_of(error),
        )
    found = explain(error, "reading", target)
    if found.reason == reasons.UPLOAD_FAILED:
        # The same answers to an upload have a reason of their own.
        return StorageError(reasons.STORAGE_UNREACHABLE, str(found), found.code)
    return found
