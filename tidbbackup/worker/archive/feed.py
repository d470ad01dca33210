"""Pieces of an archive on their way from the event loop to the thread that reads it, a few at a time.

Must not know where they come from, nor what is read out of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Callable

_WAIT_SECONDS = 0.005


class Feed:
    """A Reader of pieces that another thread offers."""

    def __init__(self, pieces: int) -> None:
        """`pieces`: how many may wait, which bounds the memory."""
        self._pieces: queue.Queue[bytes] = queue.Queue(pieces)
        self._rest = memoryview(b"")
        self._ended = False
        self._closed = False

    async def fill(self, pieces: AsyncIterator[bytes], over: Callable[[], bool]) -> None:
        """Offer all pieces and then the end, as there is room, until the reader is `over`."""
        async for piece in pieces:
            if not await self._offered(piece, over):
                return
        await self._offered(b"", over)

    async def _offered(self, piece: bytes, over: Callable[[], bool]) -> bool:
        while not over():
            with contextlib.suppress(queue.Full):
                self._pieces.put_nowait(piece)
                return True
            await asyncio.sleep(_WAIT_SECONDS)
        return False

    def close(self) -> None:
        """Make the reader end, whatever it has read."""
        self._closed = True
        with contextlib.suppress(queue.Full):
            self._pieces.put_nowait(b"")

    def read(self, size: int, /) -> bytes:
        """See Reader. Blocks until there is a piece."""
        if not self._rest and not self._ended:
            piece = b"" if self._closed else self._pieces.get()
            self._ended = not piece
            self._rest = memoryview(piece)
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data
