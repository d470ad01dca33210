"""Whether this process may begin a write: only while it holds the Lease.

The Client asks before it sends a request that writes, so no write can go around it. Must not know how a Lease
is got.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from tidbbackup.kube.errors import NotLeader


def boot_seconds() -> float:
    """Monotonic seconds that also count while the machine is suspended; the event loop's do not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Fence:
    """Open until the time of the last `extend`, whatever the process did meanwhile.

    A process that was stopped (SIGSTOP, a paused machine) for longer finds it closed when it wakes.
    """

    def __init__(self, clock: Callable[[], float] = boot_seconds) -> None:
        self.clock = clock
        """Monotonic seconds that also count while the machine is suspended."""
        self._until = -math.inf
        self.opened = asyncio.Event()
        """Set when it opens for the first time."""

    @property
    def left(self) -> float:
        """Seconds until it closes; 0 or less: it is closed."""
        return self._until - self.clock()

    def extend(self, until: float = math.inf) -> None:
        """Open until that time of its clock."""
        self._until = until
        self.opened.set()

    def close(self) -> None:
        """No write begins any more."""
        self._until = -math.inf

    def check(self) -> None:
        """Raises NotLeader if it is closed."""
        if self.left <= 0:
            raise NotLeader("not sent: this process does not hold the Lease, or has not renewed it in time")
