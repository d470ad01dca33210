"""A limit of bytes a second: a bucket of tokens that may be overdrawn by one body and refills at the rate.

Must not know who sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_TOLD_SECONDS = 60.0


class RateLimit:
    """Delays bodies so that over time no more than `rate` bytes per second are sent.

    Invariant: between the starts of any two bodies passes at least the time that the bytes from the first up
    to the second need at `rate`.
    """

    def __init__(self, rate: int | None) -> None:
        self._rate = rate
        self._free_at = 0.0

    def take(self, count: int, now: float) -> float:
        """Book a body of `count` bytes; seconds until it may go."""
        if not self._rate:
            return 0.0
        starts = max(self._free_at, now)
        self._free_at = starts + count / self._rate
        return starts - now

    async def wait(self, count: int, waited: Callable[[float], None]) -> None:
        """Return when a body of `count` bytes may go; `waited` is called with the seconds, once a minute, so
        that the pause is not taken for a standstill."""
        pause = self.take(count, asyncio.get_running_loop().time())
        while pause > 0:
            piece = min(pause, _TOLD_SECONDS)
            await asyncio.sleep(piece)
            waited(piece)
            pause -= piece
