"""The work queue: an Agenda with a clock, waiting workers and counts of failures.

One worker is woken for one key, and it wakes the next if more is due. Must not know what
keys mean, nor what is done with them.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Hashable
from math import inf
from typing import Generic, TypeVar

from attrs import frozen

from tidbbackup.kube.agenda import Agenda, Line, one_line
from tidbbackup.kube.backoff import Backoff
from tidbbackup.kube.metrics import UNREAD, QueueMetrics

K = TypeVar("K", bound=Hashable)

BACKOFF = Backoff(first=0.005, longest=300.0, spread=0.2)


@frozen
class QueueStats:
    """The state of a queue at one instant; times are seconds."""

    depth: int
    """Keys that are due and not being worked on."""
    unfinished_seconds: float
    """All the time spent so far on keys that are being worked on."""
    longest_seconds: float
    """The longest of these."""


class WorkQueue(Generic[K]):
    """A queue of keys, each with at most one worker; for one event loop. Lines and shares: see Agenda."""

    def __init__(
        self,
        name: str,
        *,
        line: Callable[[K], Line] = one_line,
        share: float = inf,
        metrics: QueueMetrics | None = None,
        backoff: Backoff = BACKOFF,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._metrics = metrics or UNREAD.queue(name)
        self._backoff = backoff
        self._jitter = jitter
        self._agenda: Agenda[K] = Agenda(line, share)
        self._failures: dict[K, int] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._rung_at = 0.0
        self.stopped = False

    def add(self, key: K, after: float = 0.0) -> None:
        """Makes `key` due after that many seconds; the earliest time counts."""
        self._metrics.added()
        self._agenda.put(key, _now() + max(0.0, after))
        self._wake()

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Makes a key that failed due again, with growing pauses; returns the pause in seconds."""
        self._failures[key] = self._failures.get(key, 0) + 1
        after = max(self._backoff.wait(self._failures[key], self._jitter()), at_least)
        self._metrics.retried()
        self.add(key, after)
        return after

    def forget(self, key: K) -> None:
        """Forgets the failures of `key`."""
        self._failures.pop(key, None)

    async def take(self) -> K | None:
        """Waits for the next key that is due, which must be given to `done`; None once stopped."""
        while not self.stopped:
            # Timers may fire a tick early; the key counts as due.
            now = max(_now(), self._rung_at)
            if taken := self._agenda.take(now):
                key, due = taken
                self._metrics.waited(max(0.0, now - due))
                self._wake()
                return key
            # No await between the check and this: every later change wakes a waiting task.
            await self._wait()
        return None

    def done(self, key: K) -> None:
        """Ends the work on `key`; if it was added meanwhile it is due again."""
        now = _now()
        self._metrics.worked(max(0.0, now - self._agenda.done(key, now)))
        self._wake()

    def stop(self) -> None:
        """No key is taken any more; what is active can still be done."""
        self.stopped = True
        while self._waiting:
            self._wake()

    def stats(self) -> QueueStats:
        """The queue right now."""
        now = _now()
        spent = [max(0.0, now - since) for since in self._agenda.active()]
        return QueueStats(self._agenda.ready(now), sum(spent), max(spent, default=0.0))

    async def _wait(self) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        self._set_alarm()
        try:
            await woken
        except asyncio.CancelledError:
            if not woken.cancelled():
                self._wake()  # It was woken, and cannot look: the next one does.
            raise

    def _wake(self) -> None:
        while self._waiting:
            woken = self._waiting.popleft()
            if not woken.done():
                woken.set_result(None)
                return

    def _set_alarm(self) -> None:
        at = self._agenda.next_at()
        if self._alarm is not None:
            if at is not None and self._alarm.when() <= at:
                return
            self._alarm.cancel()
        self._alarm = None if at is None else asyncio.get_running_loop().call_at(at, self._ring, at)

    def _ring(self, at: float) -> None:
        self._alarm, self._rung_at = None, at
        self._wake()


def _now() -> float:
    return asyncio.get_running_loop().time()
