"""Due times one by one, and every text that is no schedule with its cure.

Here is also what decide/schedule/wall_clock.py promises.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.decide.schedule.cron import COUNT_LIMIT, InvalidSchedule, UnknownZone, count_between, parse

CREATION = datetime(2020, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEEK = timedelta(days=7)


def utc(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        # 02:30 is left out on 29 March, and comes twice on 25 October.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("*/10 2 * * *", "Europe/Berlin", "2026-03-29T00:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        ("30 * * * *", "Europe/Berlin", "2026-03-29T00:00", ["2026-03-29T00:30", "2026-03-29T01:30"]),
        (
            "30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00",
            ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"],
        ),
        ("0 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00", ["2026-10-03T15:30", "2026-10-04T15:00"]),
        ("0 3 * * *", "Asia/Kathmandu", "2026-01-01T00:00", ["2026-01-01T21:15"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 31 2 1", "UTC", "2026-01-01T00:00", ["2026-02-02T00:00"]),
        ("0 3-3 * * *", "UTC", "2026-01-01T00:00", ["2026-01-01T03:00", "2026-01-02T03:00"]),
        ("0 22-1 * * *", "UTC", "2026-01-01T00:00", ["2026-01-01T01:00", "2026-01-01T22:00"]),
        ("0 0 * * 7", "UTC", "2026-11-23T00:00", ["2026-11-29T00:00"]),
        ("0 0 ? jan-feb mon", "UTC", "2026-11-23T00:00", ["2027-01-04T00:00"]),
        (
            "0 0 * * Sat-Sun",
            "UTC",
            "2026-11-23T00:00",
            ["2026-11-28T00:00", "2026-11-29T00:00", "2026-12-05T00:00"],
        ),
        (" @weekly ", "", "2026-11-23T00:00", ["2026-11-29T00:00"]),
        ("@midnight", "Asia/Tokyo", "2026-11-23T00:00", ["2026-11-23T15:00"]),
        ("@every 36h", "Asia/Tokyo", "2020-01-01T00:00", ["2020-01-02T12:00", "2020-01-04T00:00"]),
        ("@every 1d", "UTC", "2019-01-01T00:00", ["2020-01-02T00:00"]),
    ],
)
def test_due_times(text: str, zone: str, after: str, expected: list[str]) -> None:
    table, now, found = parse(text, zone, CREATION), utc(after), []
    for _ in expected:
        now = table.next_due(now)
        found.append(now)

    assert found == [utc(each) for each in expected]


def test_no_gap_is_too_long() -> None:
    table = parse("*/2 * * * *", "Europe/Berlin", CREATION)
    now = utc("2030-01-01T00:01:30")

    assert table.last_due(CREATION, now) == utc("2030-01-01T00:00")
    assert count_between(table, CREATION, now) == COUNT_LIMIT


def test_nothing_is_due_before_creation() -> None:
    table = parse("@every 1h", "UTC", CREATION)

    assert table.last_due(CREATION - WEEK, CREATION) is None
    assert table.last_due(CREATION - WEEK, CREATION - MINUTE) is None
    assert table.last_due(CREATION - WEEK, CREATION + 61 * MINUTE) == CREATION + 60 * MINUTE


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("* * * * * *", "has 6 fields"),
        ("* * * * * * *", "has 7 fields"),
        ("0 0 30 2 *", "never due"),
        ("0 0 31 4,6 *", "never due"),
        ("x" * 257, "has 257 characters"),
        (" " * 10_000, "has 10000 characters"),
        ("R R * * *", "its minute holds 'r'"),
        ("H 0 * * *", "its minute holds 'h'"),
        ("0 0 L * *", "its day of month holds 'l'"),
        ("0 0 15W * *", "its day of month holds '15w'"),
        ("0 0 * * 1#2", "its day of week holds '1#2'"),
        ("0 0 * * L5", "its day of week holds 'l5'"),
        ("? 0 * * *", "its minute holds '?'"),
        ("0 0 * mon *", "its month holds 'mon'"),
        ("60 * * * *", "out of range"),
        ("0 24 * * *", "out of range"),
        ("0 0 0 * *", "out of range"),
        ("*/0 * * * *", "out of range"),
        ("1,,2 * * * *", "its minute holds ''"),
        ("-1 * * * *", "its minute holds '-1'"),
        ("\u0663 * * * *", "its minute holds"),
        ("TZ=UTC 0 3 * * *", "spec.timeZone"),
        ("CRON_TZ=UTC 0 3 * * *", "spec.timeZone"),
        ("@reboot", "write one of @hourly"),
        ("@Daily", "write one of @hourly"),
        ("@every", "write one of @hourly"),
        ("@every soon", "a duration after @every"),
        ("@every -1h", "a duration after @every"),
        ("@every 59s", "from 1m to 3660d"),
        ("@every 90.5s", "whole seconds"),
        ("@every 99999999h", "from 1m to 3660d"),
    ],
)
def test_what_is_no_schedule_names_field_value_and_cure(text: str, cure: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        parse(text, "UTC", CREATION)

    assert str(caught.value).startswith(f"spec.schedule: '{text[:20]}")
    assert cure in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "zone",
    ["Mars/Base", "Europe", "../etc/passwd", "/etc/localtime", "localtime", "right/UTC", "a\0b", "UTC "],
)
def test_a_zone_that_is_none_names_field_value_and_cure(zone: str) -> None:
    with pytest.raises(UnknownZone, match=r"spec\.timeZone: .*Europe/Berlin"):
        parse("0 3 * * *", zone, CREATION)


@given(st.text(max_size=40), st.text(max_size=20))
def test_hostile_text_is_refused_or_means_something(text: str, zone: str) -> None:
    try:
        table = parse(text, zone, CREATION)
    except (InvalidSchedule, UnknownZone):
        return
    assert table.next_due(CREATION) > CREATION
