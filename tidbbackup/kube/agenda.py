"""Which keys are due when, whose turn it is, and which are being worked on; pure.

What is due waits in lines. The lines take turns, and each owner of lines has a share of what is active: a
line that is long or slow delays the others by one turn, however long it is.
Invariants: an active key is not taken again before it is done; a key that was put is taken after that
put, once; in each line the one that is due the longest comes first (several puts count as the earliest).
Must not know the clock: times are arguments, in seconds of any one clock.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Hashable
from itertools import count
from math import inf
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

Line = tuple[Hashable, Hashable]
"""The owner of a line, and which of the owner's lines it is."""


def one_line(_: Hashable) -> Line:
    """One line for all keys."""
    return "", ""


class Agenda(Generic[K]):
    """The pure core of a work queue; at most `share` keys of one owner are active."""

    def __init__(self, line: Callable[[K], Line] = one_line, share: float = inf) -> None:
        self._line = line
        self._share = share
        self._due: dict[K, float] = {}
        self._held: dict[K, float] = {}
        self._active: dict[K, float] = {}
        self._busy: Counter[Hashable] = Counter()
        self._heap: list[tuple[float, int, K]] = []
        # The line whose turn is next comes first; no line is empty.
        self._lines: dict[Line, deque[tuple[float, K]]] = {}
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
        """The first key of the next line whose owner has a share left, and since when it is due; it is
        active until `done`."""
        self._line_up(now)
        for line, keys in self._lines.items():
            owner, _ = line
            if self._busy[owner] < self._share:
                at, key = keys.popleft()
                del self._lines[line]
                if keys:
                    self._lines[line] = keys
                del self._due[key]
                self._active[key] = now
                self._busy[owner] += 1
                return key, at
        return None

    def done(self, key: K, now: float) -> float:
        """Ends the work on the active `key`; a key put meanwhile is due. Returns when it was taken."""
        since = self._active.pop(key)
        owner, _ = self._line(key)
        self._busy[owner] -= 1
        if not self._busy[owner]:
            del self._busy[owner]
        if key in self._held:
            # Not before now: a busy key is behind the keys that already wait.
            self.put(key, max(self._held.pop(key), now))
        return since

    def next_at(self) -> float | None:
        """When the next key is due that is neither active nor in a line; it can be past."""
        self._skip_stale()
        return self._heap[0][0] if self._heap else None

    def ready(self, now: float) -> int:
        """How many keys are due and not active."""
        return sum(at <= now for at in self._due.values())

    def active(self) -> tuple[float, ...]:
        """Since when each active key is worked on."""
        return tuple(self._active.values())

    def _line_up(self, now: float) -> None:
        while (at := self.next_at()) is not None and at <= now:
            _, _, key = heapq.heappop(self._heap)
            self._lines.setdefault(self._line(key), deque()).append((at, key))
            # No later put changes its place.
            self._due[key] = -inf

    def _skip_stale(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
