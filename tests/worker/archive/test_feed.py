"""Pieces between the loop and a reading thread."""

import asyncio
from collections.abc import AsyncIterator

from tidbbackup.worker.archive.feed import Feed


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_all_bytes_come_in_order_whatever_is_asked_for() -> None:
    feed = Feed(1)
    reading = asyncio.create_task(asyncio.to_thread(lambda: b"".join(iter(lambda: feed.read(3), b""))))
    await feed.fill(pieces_of(b"abcdef", b"gh", b"i"), reading.done)
    assert await reading == b"abcdefghi"
    assert feed.read(3) == b""


async def test_it_ends_with_its_reader() -> None:
    feed = Feed(1)
    await feed.fill(pieces_of(b"a", b"b", b"c"), lambda: True)


async def test_a_closed_feed_ends_for_its_reader() -> None:
    feed = Feed(1)
    feed.close()
    assert feed.read(1) == b""
