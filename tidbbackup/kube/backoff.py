"""The pause after the n-th failure in a row; pure.

Must not know what failed.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Backoff:
    """Doubling from `first` to `longest` seconds, each stretched by up to `spread` of itself."""

    first: float
    longest: float
    spread: float = 1.0

    def wait(self, failures: int, jitter: float) -> float:
        """Seconds after the `failures`-th failure (1 is the first); `jitter` is in [0, 1)."""
        # The exponent is bounded: 2.0 ** 1024 would raise after a long outage.
        doubled = self.first * 2.0 ** min(max(failures, 1) - 1, 64)
        return min(doubled, self.longest) * (1 + self.spread * jitter)
