"""Due times against an oracle that walks every minute, around changes of the clocks."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decide.cron_oracle import MINUTE, brute_force
from tidbbackup.decide.schedule.cron import COUNT_LIMIT, Timetable, count_between, parse

CREATION = datetime(2020, 1, 1, tzinfo=UTC)
HALF = timedelta(days=2)
"""The oracle walks this long before a change of the clocks, and after it."""

CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("America/Havana", date(2026, 3, 8)),
    ("America/Havana", date(2026, 11, 1)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Asia/Kathmandu", date(2026, 3, 29)),
    ("Asia/Tokyo", date(2026, 3, 29)),
    ("UTC", date(2026, 3, 1)),
]


def utc(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def days_around(day: date) -> tuple[datetime, datetime]:
    """When the oracle begins and ends its walk."""
    middle = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return middle - HALF, middle + HALF


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> str:
    """A field of cron, in every form it may take."""
    value = st.integers(low, high)
    forms = [
        st.just("*"),
        value.map(str),
        st.lists(value, min_size=1, max_size=4).map(lambda found: ",".join(map(str, found))),
        st.tuples(value, value).map(lambda two: f"{min(two)}-{max(two)}"),
        st.integers(1, 9).map(lambda step: f"*/{step}"),
        st.tuples(value, value, st.integers(1, 9)).map(lambda of: f"{min(of[:2])}-{max(of[:2])}/{of[2]}"),
    ]
    found: str = draw(st.one_of(*forms))
    return found


PATTERNS = st.tuples(
    fields(0, 59),
    st.one_of(fields(0, 23), fields(0, 4)),
    st.one_of(st.just("*"), fields(1, 31)),
    st.just("*"),
    st.one_of(st.just("*"), fields(0, 6)),
).map(" ".join)


@settings(max_examples=150)
@given(
    PATTERNS, st.sampled_from(CHANGES), st.lists(st.integers(0, 2 * HALF // timedelta(seconds=1)), min_size=5)
)
def test_every_due_time_is_where_the_oracle_finds_it(
    text: str, change: tuple[str, date], moments: list[int]
) -> None:
    zone, day = change
    first, end = days_around(day)
    table, due = parse(text, zone, CREATION), brute_force(text, zone, first, end)
    begin = first - MINUTE
    near = [begin + HALF + timedelta(minutes=15 * number) for number in range(-10, 10, 2)]
    for now in [*(begin + timedelta(seconds=seconds) for seconds in moments), *near]:
        older, newer = bisect_right(due, now) - 1, bisect_right(due, now)
        assert table.last_due(begin, now) == (due[older] if older >= 0 else None)
        if newer < len(due):
            assert table.next_due(now) == due[newer]


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@pytest.mark.parametrize(
    "text", ["*/27 * * * *", "30 * * * *", "15,45 0-3 * * *", "30 2 * * *", "0 0 * * *", "*/20 1,2 * * 0"]
)
def test_a_chain_of_next_due_times_leaves_none_out(text: str, zone: str, day: date) -> None:
    first, end = days_around(day)
    expected = brute_force(text, zone, first, end)
    table, begin = parse(text, zone, CREATION), first - MINUTE
    chain, now = [], begin
    for _ in expected:
        now = table.next_due(now)
        chain.append(now)

    assert chain == expected
    assert [table.last_due(begin, due) for due in chain] == chain
    half = chain[len(chain) // 2]
    assert count_between(table, begin, half) == min(bisect_left(chain, half) + 1, COUNT_LIMIT)


ZONES = st.sampled_from(sorted({zone for zone, _ in CHANGES}))
TIMES = st.integers(0, 10 * 365 * 86_400).map(lambda seconds: utc("2025-01-01") + timedelta(seconds=seconds))
TABLES = st.one_of(
    st.builds(parse, PATTERNS, ZONES, st.just(CREATION)),
    st.builds(lambda seconds: parse(f"@every {seconds}s", "UTC", CREATION), st.integers(60, 10**7)),
)


@settings(max_examples=60)
@given(TABLES, st.lists(TIMES, min_size=2, max_size=8).map(sorted))
def test_the_last_is_not_after_now_and_the_next_is(table: Timetable, moments: list[datetime]) -> None:
    dues = [(table.last_due(CREATION, now), now, table.next_due(now)) for now in moments]
    for older, now, newer in dues:
        assert older is None or older <= now
        assert now < newer
        assert table.last_due(CREATION, newer) == newer
        assert table.last_due(newer, newer) is None
        assert older is None or table.next_due(older) == newer
    for (before, _, upcoming), (after, _, later) in itertools.pairwise(dues):
        assert before is None or (after is not None and before <= after)
        assert upcoming <= later
