"""Whole lives of a schedule on a virtual clock: every due time has one outcome, and dying changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.decide.schedule_builders import BEGIN, schedule
from tests.decide.schedule_oracle import due_times, name_at
from tests.decide.schedule_world import Died, World, watched

SCHEDULES = ["0 * * * *", "*/30 * * * *", "15,45 0-6 * * *", "30 2 * * *", "@every 45m", "@hourly"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
# When a clock is put forward (gap) or back (fold), in the two weeks of each zone that have it.
CHANGES = {
    "Berlin, gap": ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    "Berlin, fold": ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "New York, gap": ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    "New York, fold": ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    # By half an hour only.
    "Lord Howe, gap": ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    "Lord Howe, fold": ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
}

STEP = st.one_of(
    st.tuples(st.just("up"), st.integers(1, 400)),
    st.tuples(st.just("down"), st.integers(1, 400)),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("schedule"), st.sampled_from(SCHEDULES)),
    st.tuples(st.just("timeZone"), st.sampled_from(ZONES)),
    st.tuples(st.just("takes"), st.sampled_from([1, 20, 50, 130])),
    st.tuples(st.just("outcome"), st.sampled_from(["Complete", "Failed"])),
    st.tuples(st.just("startingDeadlineSeconds"), st.sampled_from([None, 600])),
    st.tuples(st.just("die"), st.integers(1, 4)),
)


def step(world: World, what: str, value: object) -> None:
    """One thing that happens."""
    if isinstance(value, int) and what in ("up", "down"):
        until = world.now + timedelta(minutes=value, seconds=7)
        world.live(until) if what == "up" else world.advance(until)
    elif isinstance(value, int) and what == "takes":
        world.takes = timedelta(minutes=value)
    elif what == "outcome":
        world.outcome = str(value)
    elif isinstance(value, int) and what == "die":
        world.die_at = world.actions + value
    else:
        world.edit(**{what: value})


def undying(deed: Callable[[], None]) -> None:
    """Do it, and start again where the controller dies."""
    while True:
        try:
            return deed()
        except Died:
            continue


# Created within a minute before the clocks of a zone change.
@example([("schedule", "15,45 0-6 * * *"), ("up", 1)], "0 * * * *", CHANGES["Berlin, gap"], 1, "Forbid", None)
@example(
    [("up", 1), ("schedule", "15,45 0-6 * * *")], "0 * * * *", CHANGES["Berlin, fold"], 1, "Forbid", None
)
@settings(max_examples=30)
@given(
    st.lists(STEP, min_size=3, max_size=12),
    st.sampled_from(SCHEDULES),
    st.sampled_from([*CHANGES.values(), ("UTC", BEGIN), ("Asia/Kathmandu", BEGIN)]),
    st.integers(1, 30 * 60),
    st.sampled_from(["Forbid", "Allow"]),
    st.sampled_from([None, 2]),
)
def test_every_due_time_has_one_outcome(
    steps: list[tuple[str, object]],
    text: str,
    change: tuple[str, datetime],
    before: int,
    policy: str,
    max_backups: int | None,
) -> None:
    zone, at = change
    spec = {"schedule": text, "timeZone": zone, "concurrencyPolicy": policy, "maxBackups": max_backups}
    world = watched(schedule(None, created=at - timedelta(minutes=before), **spec))
    world.live(world.now)
    for what, value in steps:
        undying(lambda what=what, value=value: step(world, what, value))  # type: ignore[misc]
        undying(lambda: world.live(world.now))
        world.check()

    # And it is not wedged: whatever happened, the next time it can, it runs.
    world.edit(pause=False, startingDeadlineSeconds=None)
    world.takes, made = timedelta(minutes=1), len(world.made)
    undying(lambda: world.live(world.now + timedelta(days=2)))
    world.check()
    assert len(world.made) > made
    assert not any(at <= world.now for at, _ in world.ends.values())


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("text", SCHEDULES[:4])
def test_through_a_change_of_the_clocks(text: str, change: str) -> None:
    zone, at = CHANGES[change]
    begin, end, hours = at - timedelta(hours=14, minutes=17), at + timedelta(hours=26), timedelta(hours=3)
    dues = [due for due in due_times(text, zone, begin) if due <= end]
    found = schedule(created=begin, schedule=text, timeZone=zone)

    always_there = watched(found)
    always_there.live(end)
    always_there.check()
    assert always_there.made == {name_at(due): due for due in dues}

    # Away in that night: the newest of what was due meanwhile is made up for, and all else as ever.
    away_then = watched(found)
    away_then.live(at - hours)
    away_then.advance(at + hours)
    away_then.live(end)
    away_then.check()
    meanwhile = [due for due in dues if at - hours < due <= at + hours]
    made = {name_at(due): due for due in dues if due not in meanwhile}
    assert away_then.made == made | {name_at(due): at + hours for due in meanwhile[-1:]}


STATES: list[dict[str, Any]] = [
    {},
    {"pause": True},
    {"schedule": "20 * * * *"},
    {"timeZone": "Asia/Kathmandu"},
    {"startingDeadlineSeconds": 600},
    {"pause": True, "schedule": "20 * * * *"},
]


@pytest.mark.parametrize("takes", [10, 400])
@pytest.mark.parametrize("later", STATES)
@pytest.mark.parametrize("seen", STATES)
def test_edited_while_nobody_looks(seen: dict[str, Any], later: dict[str, Any], takes: int) -> None:
    """Due times pass before the edit and after it; the controller, which comes back then, saw neither."""
    usual: dict[str, Any] = {
        "pause": False,
        "schedule": "5,50 * * * *",
        "timeZone": "UTC",
        "startingDeadlineSeconds": None,
    }
    world = watched(schedule(**usual | seen), takes=timedelta(minutes=takes))
    world.live(BEGIN + timedelta(minutes=70))
    world.check()
    world.advance(BEGIN + timedelta(minutes=190))
    world.edit(**usual | later)
    world.advance(BEGIN + timedelta(minutes=320))
    world.live(world.now)
    world.check()
    world.live(BEGIN + timedelta(minutes=500))
    world.check()


EDITS: list[tuple[int, dict[str, Any]]] = [
    (6, {}),
    (7, {"pause": True}),
    (9, {"pause": False}),
    (11, {"timeZone": "Asia/Kathmandu"}),
    (13, {}),
]


def story(world: World, deed: Callable[[Callable[[], None]], None]) -> None:
    """A day with all that can happen; `deed` carries out each part, however often that takes."""
    deed(lambda: world.live(world.now))
    world.advance(BEGIN + timedelta(hours=3, minutes=30))
    deed(lambda: world.live(world.now))
    world.takes = timedelta(minutes=90)
    for hours, change in EDITS:
        world.edit(**change) if change else None
        until = BEGIN + timedelta(hours=hours, minutes=5)
        while world.now < until:
            world.advance(min(until, world.now + timedelta(minutes=15)))
            deed(lambda: world.live(world.now))
    world.outcome = "Failed"
    world.edit(maxBackups=1, failedBackupsLimit=0)
    for _ in range(8):
        world.advance(world.now + timedelta(minutes=50))
        deed(lambda: world.live(world.now))


def once(deed: Callable[[], None]) -> None:
    """Without dying."""
    deed()


ALIVE = watched(schedule(maxBackups=3))
story(ALIVE, once)


def test_the_story_has_it_all() -> None:
    reasons = {reason for reason, _ in ALIVE.events}

    assert reasons >= {
        "BackupCreated",
        "SkippedOverlap",
        "SkippedPaused",
        "MissedDowntime",
        "Paused",
        "Ready",
    }
    assert reasons >= {"RetentionMaxBackups", "RetentionFailedLimit"}
    ALIVE.check()


@pytest.mark.parametrize("after", range(1, ALIVE.actions + 1))
def test_dying_after_any_action_changes_nothing(after: int) -> None:
    world = watched(schedule(maxBackups=3), die_at=after)
    story(world, undying)

    world.check()
    assert world.summary() == ALIVE.summary()
