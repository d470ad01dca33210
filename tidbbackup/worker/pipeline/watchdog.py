"""Ends a run in which nothing moves any more. Must not know what moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed

_POLL_SECONDS = 5.0


async def watch_progress(
    progress: Callable[[], Hashable], stall_seconds: float, where: Callable[[], str]
) -> None:
    """Ends only by raising, once `progress` has not changed for `stall_seconds`.

    Args:
        progress: whatever changes as long as bytes are read or sent.
        stall_seconds: how long it may stay the same.
        where: words on what seems to wait for what.

    Raises:
        StepFailed: Stalled.
    """
    loop = asyncio.get_running_loop()
    before, since = progress(), loop.time()
    while True:
        await asyncio.sleep(min(_POLL_SECONDS, stall_seconds / 4))
        now = progress()
        if now != before:
            before, since = now, loop.time()
        elif loop.time() - since >= stall_seconds:
            raise StepFailed(
                reasons.STALLED, f"no byte has been read or sent for {stall_seconds:g} s: {where()}"
            )
