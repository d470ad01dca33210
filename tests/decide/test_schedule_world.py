"""Whole lives of a schedule on a virtual clock: every due time has one outcome, and dying changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decide.schedule_builders import BEGIN, schedule
from tests.decide.schedule_world import Died, World

# The night between the two days is that of the change in Berlin and, with a week between, in New York.
SCHEDULES = ["0 * * * *", "*/30 * * * *", "15,45 0-6 * * *", "30 2 * * *", "@every 45m", "@hourly"]
ZONES = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]

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


@settings(max_examples=30, deadline=None)
@given(
    st.lists(STEP, min_size=3, max_size=12),
    st.sampled_from(SCHEDULES),
    st.sampled_from(ZONES),
    st.sampled_from(["Forbid", "Allow"]),
    st.sampled_from([None, 2]),
)
def test_every_due_time_has_one_outcome(
    steps: list[tuple[str, object]], text: str, zone: str, policy: str, max_backups: int | None
) -> None:
    world = World(schedule(schedule=text, timeZone=zone, concurrencyPolicy=policy, maxBackups=max_backups))
    world.live(BEGIN)
    for what, value in steps:
        undying(lambda what=what, value=value: step(world, what, value))  # type: ignore[misc]
        undying(lambda: world.live(world.now))
        assert len(world.made) == len(set(world.made))
        assert world.accounted() == world.due_times()

    # And it is not wedged: whatever happened, the next time it can, it runs.
    world.edit(pause=False, startingDeadlineSeconds=None)
    world.takes, made = timedelta(minutes=1), len(world.made)
    undying(lambda: world.live(world.now + timedelta(days=2)))
    assert len(world.made) > made
    assert not any(at <= world.now for at, _ in world.ends.values())


CHANGES: list[tuple[int, dict[str, Any]]] = [
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
    for hours, change in CHANGES:
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


ALIVE = World(schedule(maxBackups=3))
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
    assert ALIVE.accounted() == ALIVE.due_times()


@pytest.mark.parametrize("after", range(1, ALIVE.actions + 1))
def test_dying_after_any_action_changes_nothing(after: int) -> None:
    world = World(schedule(maxBackups=3), die_at=after)
    story(world, undying)

    assert world.summary() == ALIVE.summary()
