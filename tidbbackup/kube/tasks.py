"""Tasks that run until a stop: if one ends before, it is noticed.

Must not know what they do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from tidbbackup.kube.errors import KubeError

log = logging.getLogger(__name__)


class TaskEnded(KubeError):
    """A long-lived task has ended by itself; the message names it."""


async def supervise(tasks: Iterable[asyncio.Task[None]], may_end: Callable[[], bool]) -> None:
    """Returns when all have ended, which `may_end` must allow. Cancelling it cancels them all.

    Raises:
        TaskEnded: one of them has returned, raised or been cancelled before.
    """
    left = everyone = set(tasks)
    try:
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not may_end():
                    raise _ended(task)
    finally:
        for task in everyone:
            task.cancel()
        await asyncio.gather(*everyone, return_exceptions=True)


def _ended(task: asyncio.Task[None]) -> BaseException:
    if task.cancelled():
        error, how = None, "was cancelled"
    else:
        error = task.exception()
        how = f"raised {type(error).__name__}: {error}" if error else "returned"
    if isinstance(error, TaskEnded):
        return error
    log.critical("task %s has ended unexpectedly: it %s", task.get_name(), how, exc_info=error)
    ended = TaskEnded(f"task {task.get_name()} has ended unexpectedly: it {how}")
    ended.__cause__ = error
    return ended
