"""Due times by brute force: every minute in UTC is compared with what the clocks of the zone show then.

Knows zoneinfo and reads the five fields itself, as plainly as can be; knows nothing of the product.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


@lru_cache
def walk(zone: str, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Each minute in [begin, end), with what the clocks show then."""
    clock = ZoneInfo(zone)
    minutes = (begin + MINUTE * number for number in range((end - begin) // MINUTE))
    return [(at, at.astimezone(clock).replace(tzinfo=None, fold=0)) for at in minutes]


def brute_force(text: str, zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """All due times in [begin, end) of five fields of cron, minute by minute."""
    minutes, hours, days, months, weekdays, either = matcher(text)
    real_time = hours == set(range(24))

    def matches(wall: datetime) -> bool:
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        by_day, by_weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
        return by_day or by_weekday if either else by_day and by_weekday

    found = []
    furthest = walk(zone, begin, end)[0][1] - MINUTE
    for at, wall in walk(zone, begin, end):
        if real_time:
            due = matches(wall)
        else:
            due = wall > furthest and any(matches(each) for each in between(furthest, wall))
        furthest = max(furthest, wall)
        if due:
            found.append(at)
    return found


def matcher(text: str) -> tuple[set[int], set[int], set[int], set[int], set[int], bool]:
    """The fields as sets, and whether a day matches by either of its fields."""
    minute, hour, day, month, weekday = text.split()
    days, weekdays = values(day, 1, 31), {each % 7 for each in values(weekday, 0, 6)}
    either = not {"*", "*/1"} & {day, weekday}
    # What names all days beside a field with a star in it is a star itself.
    either = either and not (len(days) == 31 and "*" in weekday) and not (len(weekdays) == 7 and "*" in day)
    return (
        values(minute, 0, 59),
        values(hour, 0, 23),
        days,
        values(month, 1, 12),
        weekdays,
        either,
    )


def values(text: str, low: int, high: int) -> set[int]:
    """The values of a field, read again and as plainly as can be."""
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        begin, _, end = span.partition("-")
        if span == "*":
            begin, end = str(low), str(high)
        stop = int(end or (high if step else begin))
        found |= set(range(int(begin), stop + 1, int(step or 1)))
    return found


def between(low: datetime, high: datetime) -> list[datetime]:
    """Each wall time in (low, high]: more than one where the clocks were put forward."""
    return [low + MINUTE * number for number in range(1, (high - low) // MINUTE + 1)]
