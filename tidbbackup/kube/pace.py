"""How long a watch may be silent, and the pause between two tries; pure.

Must not know what is watched.
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
    """Silence that ends a watch. Bookmarks come each 60 s, but only if the version of that kind changes: a
    server whose etcd reports no progress is silent about an idle kind, and a new watch is cheap."""
    calm: float = 60.0
    """After a watch of this length, earlier failures do not count."""
    short: float = 1.0
    """A watch that ends sooner, without a frame, is a failure: a draining server closes at once."""
    relist: float = 3600.0
    """After which a new list is compared with the cache, a tenth more or less: it finds what a watch has
    lost, by a bug of whomever. What has not changed is not read again."""
    longest_wish: float = 60.0
    """Of a server's Retry-After."""
    backoff: Backoff = BACKOFF
    page: int = 500
    """Most objects in a page of a list; fewer if they are large."""


TIMING = Timing()


@frozen
class Round:
    """The outcome of one list-and-watch, or of one watch."""

    seconds: float
    moved: bool
    """Whether a frame with a newer version came."""
    error: ApiError | None = None
    expired: bool = False
    """Whether the stream said that the version is too old."""


@define
class Pace:
    """The pause between two rounds."""

    timing: Timing
    failures: int = 0

    def after(self, past: Round, jitter: float) -> float:
        """Seconds to wait; 0 after a round without a failure."""
        if past.moved or past.seconds >= self.timing.calm:
            self.failures = 0
        if past.error is None and not past.expired and (past.moved or past.seconds >= self.timing.short):
            self.failures = 0
            return 0.0
        if isinstance(past.error, Silence) and past.seconds >= self.timing.idle:
            # A watch without events; if the connection is dead, opening the next watch fails.
            return 0.0
        self.failures += 1
        wish = past.error.retry_after if past.error else None
        return max(
            self.timing.backoff.wait(self.failures, jitter), min(wish or 0.0, self.timing.longest_wish)
        )
