"""An event loop whose time is virtual: where all tasks wait, the clock is put to the next timer.

Nothing in it asks the machine for the time, and it has no sockets, so the same tasks run in the same order
each time. Must not know what runs in it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf, nextafter
from typing import Any

TURNS_WITHOUT_TIME = 200_000
"""So many turns of the loop in one instant are an endless loop."""
_MOMENT = 1e-6
"""Seconds that are no time."""


class Stuck(BaseException):
    """Every task waits, and no timer is set; or the tasks go round without any time passing."""


class VirtualLoop(asyncio.BaseEventLoop):
    """It is its own selector: to wait for so many seconds is to let them pass."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self
        self._clock_resolution = 0.0
        self._scheduled: list[asyncio.TimerHandle]
        self._ready: deque[asyncio.Handle]
        self._virtual = 0.0
        self._turns = 0

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._virtual

    def select(self, timeout: float | None) -> list[Any]:
        """No file is ever ready; `timeout` seconds pass."""
        if timeout is None:
            raise Stuck("every task waits, and no timer is set")
        before = self._virtual
        if not self._ready:
            # Right after it: a timer that rings a rounding error too early may wait for no time at all.
            self._virtual = nextafter(max(before, self._scheduled[0].when()), inf)
        self._turns = 0 if self._virtual - before > _MOMENT else self._turns + 1
        if self._turns > TURNS_WITHOUT_TIME:
            self._turns = 0
            raise Stuck(f"the tasks go round at {self._virtual:.3f} s without any time passing")
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
