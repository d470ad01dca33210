"""What goes wrong between a controller and the API server: drawn by one random generator, until it is over.

Must not know what is asked.
"""

from __future__ import annotations

import random

from attrs import define, field

BEFORE = ("refused", "429", "429 later", "500", "503 later", "403", "silence")
"""The request has no effect."""
AFTER = ("reset", "cut", "500 done", "504 done", "silence done")
"""The request has its effect, and its answer is lost."""
OF_WRITES = ("409",)


@define
class Weather:
    """How often what goes wrong, as shares of 1."""

    rng: random.Random
    failing: float = 0.0
    """Of requests."""
    dying: float = 0.0
    """Of requests of a controller: it dies before or after the request has its effect."""
    slow: float = 0.0
    """Of requests and events: seconds late instead of milliseconds."""
    cutting: float = 0.0
    """Of events: the watch breaks before or after one."""
    repeating: float = 0.0
    """Of events: sent twice."""
    losing: float = 0.0
    """Of events: never sent. No API server does that, unless by a bug."""
    forgetting: float = 0.0
    """Of events: the log is compacted after it, and watches that break then have to list."""
    calm: bool = field(default=False)

    def clear(self) -> None:
        """From now on nothing goes wrong."""
        self.calm = True

    def _happens(self, share: float) -> bool:
        return share > 0 and not self.calm and self.rng.random() < share

    def latency(self) -> float:
        """Seconds that a request, an answer or an event is on its way."""
        return self.rng.uniform(0.5, 20) if self._happens(self.slow) else 0.002

    def fault(self, *, writes: bool) -> str:
        """What befalls a request; empty: nothing."""
        if not self._happens(self.failing):
            return ""
        kinds = (*BEFORE, *AFTER, *OF_WRITES) if writes else (*BEFORE, *AFTER)
        return self.rng.choice(kinds)

    def death(self) -> str:
        """Whether the controller dies: `before` the request has its effect, `after` it, or not."""
        return self.rng.choice(("before", "after")) if self._happens(self.dying) else ""

    def cuts(self) -> bool:
        """Whether a watch breaks now."""
        return self._happens(self.cutting)

    def repeats(self) -> bool:
        """Whether an event is sent twice."""
        return self._happens(self.repeating)

    def loses(self) -> bool:
        """Whether an event is never sent."""
        return self._happens(self.losing)

    def forgets(self) -> bool:
        """Whether the log is compacted now."""
        return self._happens(self.forgetting)
