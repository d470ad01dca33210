"""Which keys are due when, and which are being worked on; pure.

Invariants: an active key is not taken again before it is done; a key that was put is taken after that
put, once, at the earliest of its times (several puts before that count as one).
Must not know the clock: times are arguments, in seconds of any one clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Agenda(Generic[K]):
    """The pure core of a work queue."""

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._held: dict[K, float] = {}
        self._active: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = count()

    def put(self, key: K, at: float) -> None:
        """Makes `key` due at that time; the earliest time counts. While the key is active, it waits."""
        waiting = self._held if key in self._active else self._due
        if key in waiting and waiting[key] <= at:
            return
        waiting[key] = at
        if waiting is self._due:
            # An entry with a later time stays in the heap; it differs from _due and is skipped.
            heapq.heappush(self._heap, (at, next(self._order), key))

    def take(self, now: float) -> tuple[K, float] | None:
        """The key that has been due the longest, and since when; it is active until `done`."""
        self._skip_stale()
        if not self._heap or self._heap[0][0] > now:
            return None
        at, _, key = heapq.heappop(self._heap)
        del self._due[key]
        self._active[key] = now
        return key, at

    def done(self, key: K, now: float) -> float:
        """Ends the work on the active `key`; a key put meanwhile is due. Returns when it was taken."""
        since = self._active.pop(key)
        if key in self._held:
            # Not before now: a busy key is behind the keys that already wait.
            self.put(key, max(self._held.pop(key), now))
        return since

    def next_at(self) -> float | None:
        """When the next key that is not active is due; it can be past."""
        self._skip_stale()
        return self._heap[0][0] if self._heap else None

    def ready(self, now: float) -> int:
        """How many keys are due and not active."""
        return sum(at <= now for at in self._due.values())

    def active(self) -> tuple[float, ...]:
        """Since when each active key is worked on."""
        return tuple(self._active.values())

    def _skip_stale(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
