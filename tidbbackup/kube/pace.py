"""How long following may be silent, and how long it rests between two tries; pure.

Must not know what is followed.
"""

from __future__ import annotations

from attrs import define, frozen

from tidbbackup.kube.backoff import Backoff
from tidbbackup.kube.errors import ApiError, Silence

BACKOFF = Backoff(first=0.8, longest=30.0)


@frozen
class Timing:
    """Seconds, unless said otherwise."""

    watch: float = 290.0
    """After which the server ends a watch; up to a fifth less, so that they do not all end at once."""
    idle: float = 70.0
    """Silence that ends a watch. Bookmarks come each 60, but only where the version of that kind moves:
    a server whose etcd reports no progress is silent about an idle kind, and renewing its watch is cheap."""
    calm: float = 60.0
    """A watch that lived this long forgets earlier failures."""
    short: float = 1.0
    """A watch that ends sooner, without a frame, is a failure: a draining server closes at once."""
    longest_wish: float = 60.0
    """Of a server's Retry-After."""
    backoff: Backoff = BACKOFF
    page: int = 500
    """Objects in a page of a list, at the most; fewer where they are large."""


TIMING = Timing()


@frozen
class Round:
    """How one list-and-watch, or one watch, went."""

    seconds: float
    moved: bool
    """Whether a frame came that brought us further."""
    error: ApiError | None = None
    expired: bool = False
    """Whether the stream said that the version is too old."""


@define
class Pace:
    """How long to wait between rounds."""

    timing: Timing
    failures: int = 0

    def after(self, past: Round, jitter: float) -> float:
        """Seconds to wait; 0 after a round that ended as it should."""
        if past.moved or past.seconds >= self.timing.calm:
            self.failures = 0
        if past.error is None and not past.expired and (past.moved or past.seconds >= self.timing.short):
            self.failures = 0
            return 0.0
        if isinstance(past.error, Silence) and past.seconds >= self.timing.idle:
            # A watch that was opened and had nothing to tell; a dead path shows when it is opened again.
            return 0.0
        self.failures += 1
        wish = past.error.retry_after if past.error else None
        return max(
            self.timing.backoff.wait(self.failures, jitter), min(wish or 0.0, self.timing.longest_wish)
        )
