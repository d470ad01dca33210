"""When the dumper is suspended because it is too far ahead of the upload. Pure.

A suspended dumper reads nothing from the database. So it is suspended only while it holds no lock that others
wait for, and never for long. Must not know signals or files.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

MAX_SUSPENDED_SECONDS = 30.0
"""Never longer without a run between: servers that do not let us set their 60 s, and proxies before them, end
connections that nobody reads from."""
MIN_RUN_SECONDS = 0.05
AHEAD_BYTES = 256 << 20
"""So much may wait to be packed although the volume had room for more: what waits longer is no longer in the
page cache, which a pod's memory limit counts too."""
CALM_SECONDS = 0.05
NEAR_SECONDS = 0.005
"""Until the next look: mydumper may write 500 MB in a second, and an overrun has to fit into a tenth."""
MIN_BUDGET = 4 << 20
"""A smaller volume is full before it is looked at again: then mydumper itself fails with that reason."""
_VOLUME_SHARE = 0.9
_RESUME_SHARE = 0.75


class Decision(Enum):
    """What becomes of mydumper."""

    RUN = "run"
    SUSPEND = "suspend"
    TOO_SMALL = "too small"
    """Neither: it may not write on, and nothing that waits will make room."""


@frozen
class VolumeFacts:
    """One instant of the staging volume. Bytes, and seconds of the clock that `now` is of."""

    staged: int
    """On the volume, with files that are still being written."""
    waiting: int
    """Of them, in closed files that have yet to be packed."""
    budget: int
    """May be on the volume."""
    harmless: bool
    """Whether mydumper holds no lock that others wait for."""
    suspended: bool
    since: float
    """When the present state, suspended or not, began."""

    @property
    def limit(self) -> int:
        """More than this is too much while there is anything to pack."""
        return min(self.budget, AHEAD_BYTES)


def budget(storage_size: int, free: int) -> int:
    """How many bytes may be on the volume: nine tenths of what was asked for (0: unknown) or is free."""
    return int(_VOLUME_SHARE * min(storage_size or free, free))


def decide(facts: VolumeFacts, now: float) -> Decision:
    """Hold it while more is staged than may be, or than helps."""
    limit = facts.limit
    if not facts.harmless or facts.budget < MIN_BUDGET:
        return Decision.RUN
    if not facts.waiting:
        return Decision.TOO_SMALL if facts.staged > facts.budget else Decision.RUN
    lasted = now - facts.since
    if facts.suspended:
        over = facts.staged > _RESUME_SHARE * limit
        return Decision.SUSPEND if over and lasted < MAX_SUSPENDED_SECONDS else Decision.RUN
    return Decision.SUSPEND if facts.staged > limit and lasted >= MIN_RUN_SECONDS else Decision.RUN


def pause(facts: VolumeFacts) -> float:
    """Seconds until it has to be decided again."""
    return NEAR_SECONDS if facts.harmless and facts.staged > facts.limit // 2 else CALM_SECONDS
