"""Between instants and what the clocks on a wall show, where an hour may be left out or come twice.

An instant is an aware datetime in UTC; a wall time is a naive one. Both maps below are monotone, which is
what lets the newest due time be computed instead of searched. Must not know cron.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


def first(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the clocks show `wall`, or have jumped over it."""
    before, after = _readings(wall, zone)
    # In a gap the offset from before it gives the later instant; the jump lies between the two.
    return _change(after, before, zone) if after < before else before


def last(wall: datetime, zone: ZoneInfo) -> datetime:
    """The last instant at which the clocks show `wall`, or have jumped over it."""
    before, after = _readings(wall, zone)
    return _change(after, before, zone) if after < before else after


def is_shown(wall: datetime, zone: ZoneInfo) -> bool:
    """Whether the clocks ever show `wall`: False inside a gap."""
    before, after = _readings(wall, zone)
    return before <= after


def reached(now: datetime, zone: ZoneInfo) -> datetime:
    """The wall time up to which each has been shown once: `first` of it is not after `now`."""
    local = now.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    if not local.fold:
        return wall
    # The second pass: the first one went further than the clocks show now.
    back = _change(first(wall, zone), now, zone)
    return (back - _SECOND).astimezone(zone).replace(tzinfo=None, fold=0)


def behind(now: datetime, zone: ZoneInfo) -> datetime:
    """The wall time up to which none will be shown again: `last` of it is not after `now`."""
    local = now.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    again = last(wall, zone)
    if local.fold or again == first(wall, zone):
        return wall
    # The first pass: all since the hour that is to come twice will be shown again.
    back = _change(now, again, zone)
    return back.astimezone(zone).replace(tzinfo=None, fold=0) - _SECOND


def _readings(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """`wall` as read by the offset before and by the one after a change; the same where there is none."""
    return (
        wall.replace(tzinfo=zone, fold=0).astimezone(UTC),
        wall.replace(tzinfo=zone, fold=1).astimezone(UTC),
    )


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The second in (low, high] from which the offset is that of `high`."""
    offset = high.astimezone(zone).utcoffset()
    low, high = low.astimezone(UTC).replace(microsecond=0), high.astimezone(UTC).replace(microsecond=0)
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high
