"""When a schedule is due: five fields of cron in a time zone, or `@every` so long since creation.

The newest due time is computed directly, so no gap is too long for it. The only place that knows croniter,
which reads the fields and steps over wall times; what daylight saving makes of them is wall.py's part.

- A wall time that the clocks jump over is due at the first instant after it; one that comes twice, at the
  first of the two.
- Where the hour is `*`, real time counts: each instant at which the clocks show a matching time is due.
- A day matches by day of month or by day of week where both are given, as in cron. `*` and `*/1` give
  none, nor does what names all days (`0-6`) beside a field with a star in it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from attrs import field, frozen
from croniter import CroniterError, croniter

from tidbbackup.decide.problem import Problem
from tidbbackup.decide.schedule import wall_clock
from tidbbackup.model.units import parse_duration

COUNT_LIMIT = 1000
"""`count_between` goes no further: after a long downtime the number means "at least"."""

_LENGTH_LIMIT = 256
_EVERY = "@every "
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=3660)
_WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_NAMES = {"month": _MONTHS, "day of week": _DAYS}
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_CURE = "write five fields of cron such as `0 3 * * *`, @hourly to @yearly, or `@every 6h`"
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001  a wall time
_MINUTE = timedelta(minutes=1)


class InvalidSchedule(ValueError):
    """The text is no schedule, or one that is never due; the message names field, value and cure."""


class UnknownZone(ValueError):
    """There is no such time zone; the message names field, value and cure."""


class Timetable(Protocol):
    """The due times of a schedule, all in UTC."""

    def __hash__(self) -> int:
        """Equal timetables are equal keys."""

    def last_due(self, after: datetime, now: datetime) -> datetime | None:
        """The newest due time in (after, now], or None."""

    def next_due(self, now: datetime) -> datetime:
        """The first due time after `now`."""


def parse(schedule: str, zone: str, creation: datetime) -> Timetable:
    """The timetable of `spec.schedule`, read in `spec.timeZone`; `@every` counts from `creation`.

    Raises:
        InvalidSchedule: not a schedule, or never due.
        UnknownZone: no such time zone.
    """
    clock = _zone(zone)
    text = schedule.strip()
    if len(schedule) > _LENGTH_LIMIT:
        raise _invalid(schedule, f"has {len(schedule)} characters and may have {_LENGTH_LIMIT}: {_CURE}")
    if text.startswith(_EVERY):
        return Every(_interval(schedule, text.removeprefix(_EVERY).strip()), creation.astimezone(UTC))
    if text.startswith("@") and text not in _WORDS:
        raise _invalid(schedule, f"write one of {', '.join(_WORDS)}, or `@every 6h`")
    if text.upper().startswith(("TZ=", "CRON_TZ=")):
        raise _invalid(schedule, "write the zone into spec.timeZone")
    return Cron(_normal(schedule, _WORDS.get(text, text)), clock)


def count_between(table: Timetable, after: datetime, until: datetime) -> int:
    """How many due times lie in (after, until], but not more than COUNT_LIMIT."""
    count, due = 0, table.next_due(after)
    while due <= until and count < COUNT_LIMIT:
        count, due = count + 1, table.next_due(due)
    return count


@frozen
class Every:
    """Due each time another interval since creation is over."""

    interval: timedelta
    creation: datetime

    def last_due(self, after: datetime, now: datetime) -> datetime | None:
        """The newest due time in (after, now], or None."""
        due = self.creation + (now - self.creation) // self.interval * self.interval
        return due if self.creation < due and after < due else None

    def next_due(self, now: datetime) -> datetime:
        """The first due time after `now`."""
        passed = max((now - self.creation) // self.interval, 0)
        return self.creation + (passed + 1) * self.interval


@frozen
class Cron:
    """Five fields of cron that the clocks of a zone are compared with."""

    fields: str
    zone: ZoneInfo
    real_time: bool = field(init=False)
    """The hour is `*`: an hour that comes twice is due twice, one that is left out is not made up."""

    @real_time.default
    def _hour_is_any(self) -> bool:
        return bool(_pattern(self.fields).expanded[1] == ["*"])

    def last_due(self, after: datetime, now: datetime) -> datetime | None:
        """The newest due time in (after, now], or None."""
        due = wall_clock.first(self._previous(wall_clock.reached(now, self.zone)), self.zone)
        if self.real_time:
            again = wall_clock.last(self._previous(wall_clock.behind(now, self.zone)), self.zone)
            due = max(due, again)
        return due if after < due else None

    def next_due(self, now: datetime) -> datetime:
        """The first due time after `now`."""
        due = wall_clock.first(self._next(wall_clock.reached(now, self.zone)), self.zone)
        if self.real_time:
            again = wall_clock.last(self._next(wall_clock.behind(now, self.zone)), self.zone)
            due = min(due, again)
        return due

    def _previous(self, shown: datetime) -> datetime:
        """The last wall time of the pattern up to `shown` that counts."""
        match = _step(self.fields, shown.replace(second=0, microsecond=0) + _MINUTE, back=True)
        while self.real_time and not wall_clock.is_shown(match, self.zone):
            match = _step(self.fields, match, back=True)
        return match

    def _next(self, shown: datetime) -> datetime:
        """The first wall time of the pattern after `shown` that counts."""
        match = _step(self.fields, shown, back=False)
        while self.real_time and not wall_clock.is_shown(match, self.zone):
            match = _step(self.fields, match, back=False)
        return match


def _step(fields: str, start: datetime, *, back: bool) -> datetime:
    pattern = _pattern(fields)
    step = pattern.get_prev if back else pattern.get_next
    found: datetime = step(datetime, start_time=start)
    return found


@lru_cache(maxsize=1024)
def _pattern(fields: str) -> Any:
    # Costly to build. It remembers where it stands, but each step says where to start from.
    return croniter(fields, _EPOCH)


def _normal(schedule: str, text: str) -> str:
    """The five fields as croniter reads them rightly, or InvalidSchedule."""
    parts = text.lower().split()
    if len(parts) != len(_FIELDS):
        raise _invalid(schedule, f"has {len(parts)} fields: {_CURE}")
    fields = " ".join(
        ",".join(_item(schedule, name, item) for item in part.split(","))
        for name, part in zip(_FIELDS, parts, strict=True)
    )
    try:
        pattern = _pattern(fields)
    except CroniterError as error:
        raise _invalid(schedule, f"a value is out of range: {_CURE}") from error
    try:
        pattern.get_next(datetime, start_time=_EPOCH)
    except CroniterError as error:
        raise _invalid(schedule, "is never due: no year has such a day; name a day that comes") from error
    return fields


def _item(schedule: str, name: str, item: str) -> str:
    names = _NAMES.get(name, [])
    value = "|".join([r"[0-9]{1,2}", *names])
    if item == "*/1" or (item == "?" and name in ("day of month", "day of week")):
        return "*"
    match = re.fullmatch(rf"(\*|({value})(-({value}))?)(/[0-9]{{1,2}})?", item)
    if match is None:
        raise _invalid(schedule, f"its {name} holds {item[:20]!r}: {_CURE}")
    low, high = match[2], match[4]
    if high is not None and _number(low, names) == _number(high, names):
        # croniter takes 3-3 for the whole cycle; everybody else takes it for 3.
        return low
    return item


def _number(value: str, names: list[str]) -> int:
    # The first month is 1 and the first day of the week 0.
    return names.index(value) + (len(names) == len(_MONTHS)) if value in names else int(value)


def _interval(schedule: str, text: str) -> timedelta:
    try:
        interval = parse_duration(text)
    except ValueError as error:
        raise _invalid(schedule, "write a duration after @every, such as 90m, 6h or 1d") from error
    if not _SHORTEST <= interval <= _LONGEST or interval.microseconds:
        raise _invalid(schedule, "write whole seconds from 1m to 3660d after @every")
    return interval


def _zone(name: str) -> ZoneInfo:
    cure = "write the name of a zone such as Europe/Berlin, or UTC"
    if name.startswith(("posix/", "right/")) or name in ("localtime", "posixrules"):
        # Files beside the zones: this machine's own, and ones that count leap seconds.
        raise UnknownZone(str(Problem("spec.timeZone", name, cure)))
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError) as error:
        raise UnknownZone(str(Problem("spec.timeZone", name, cure))) from error


def _invalid(schedule: str, cure: str) -> InvalidSchedule:
    return InvalidSchedule(str(Problem("spec.schedule", schedule, cure)))
