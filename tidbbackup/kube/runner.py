"""Takes keys from a queue and reconciles them: never one key twice at the same time, and a failure is tried
again. Must not know what a reconcile does. Clocks: the queue's for waiting, `now` for wall time that a
reconcile returns.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from tidbbackup.kube.errors import ApiError
from tidbbackup.kube.queue import WorkQueue
from tidbbackup.kube.tasks import supervise
from tidbbackup.kube.writes import WriteGate

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

Wake = datetime | None
"""When to look again: at that (aware) time, or None for "when something changes"."""

Reconcile = Callable[[K], Awaitable[Wake]]

LONGEST_SLEEP = timedelta(hours=1)
"""The longest sleep of a key: wall clocks can be set, the loop's clock cannot."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def seconds_until(wake: datetime, now: datetime) -> float:
    """How long to sleep until `wake`, at least 0 and at most LONGEST_SLEEP."""
    return min(max(wake - now, timedelta()), LONGEST_SLEEP).total_seconds()


class Runner(Generic[K]):
    """Several workers with one queue and one reconcile."""

    def __init__(
        self,
        name: str,
        queue: WorkQueue[K],
        reconcile: Reconcile[K],
        *,
        gate: WriteGate | None = None,
        workers: int = 4,
        timeout: float = 60.0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._name = name
        self._queue = queue
        self._reconcile = reconcile
        self._gate = gate or WriteGate()
        self._workers = workers
        self._timeout = timeout
        self._now = now
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, ready: Awaitable[object]) -> None:
        """Waits for `ready` (every cache synced), then works until `stop`.

        Cancelling it cancels the reconciles: the next controller finds what they have written.

        Raises:
            TaskEnded: a worker has ended although nobody called `stop`.
        """
        await ready
        for number in range(self._workers):
            task = asyncio.create_task(self._work(), name=f"{self._name}-{number}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        await supervise(self._running, lambda: self._queue.stopped)

    async def stop(self, within: float) -> bool:
        """Takes no more, waits that many seconds for what is active, then cancels it.

        Returns whether all of them ended.
        """
        self._queue.stop()
        active = set(self._running)
        if not active:
            return True
        _, late = await asyncio.wait(active, timeout=within)
        for task in late:
            task.cancel()
        if late:
            log.warning("%s: %d reconciles did not end within %g s", self._name, len(late), within)
            await asyncio.wait(late)
        return not late

    async def _work(self) -> None:
        while (key := await self._queue.take()) is not None:
            try:
                if self._may_start(key):
                    await self._reconcile_once(key)
            finally:
                self._queue.done(key)
            # A round that asks nothing never waits: thousands of them would hold up all other tasks.
            await asyncio.sleep(0)

    def _may_start(self, key: K) -> bool:
        if self._gate.settled(key):
            return True
        loop = asyncio.get_running_loop()
        wait = self._gate.defer(key, loop.time(), lambda: self._queue.add(key))
        self._queue.add(key, wait)
        return False

    async def _reconcile_once(self, key: K) -> None:
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                wake = await self._reconcile(key)
            after = None if wake is None else seconds_until(wake, self._now())
        except ApiError as error:
            again = self._queue.retry(key, at_least=error.retry_after or 0.0)
            log.info("%s: %s: %s; again in %.3f s", self._name, key, error, again)
        except Exception as error:
            # A bug of ours: it must not stop the other keys.
            again = self._queue.retry(key)
            late = isinstance(error, TimeoutError) and deadline.expired()
            why = f"did not end within {self._timeout:g} s" if late else "failed"
            log.exception("%s: %s %s; again in %.3f s", self._name, key, why, again)
        else:
            self._queue.forget(key)
            if after is not None:
                self._queue.add(key, after)
