"""What is kept and what goes: against an oracle that only counts, and never below the floor.

Here is also what decide/schedule/doubt.py promises.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decide.builders import outline, plan_or_look, tallies
from tests.decide.schedule_builders import BEGIN, child, ended, schedule
from tests.decide.schedule_world import World
from tidbbackup.decide.plan import NOTHING, Announce, Counted, Delete, Look, Plan, Tally
from tidbbackup.decide.schedule.retention import fates, retention
from tidbbackup.decide.schedule.scheduled import ScheduleFacts
from tidbbackup.model.resource.backup import Backup, BackupStatus
from tidbbackup.model.resource.schedule import BackupSchedule

HOUR = timedelta(hours=1)
PHASES = ["Complete", "Failed", "Invalid", "Running", "Scheduled", ""]


def at(hours: float) -> datetime:
    """So many hours after BEGIN."""
    return BEGIN + HOUR * hours


def left(spec: dict[str, Any], now: datetime, *backups: Backup) -> list[int]:
    """The due times, in hours, of what is left once retention has nothing more to do."""
    world = World(schedule(**spec), now=now, backups={each.metadata.name: each for each in backups})
    world.retain()
    return [hours for hours in range(100) if child(at(hours)).metadata.name in world.backups]


def dozen(phases: str) -> tuple[Backup, ...]:
    """Hourly Backups by the first letters of their phases."""
    words = {phase[:1]: phase for phase in PHASES}
    return tuple(child(at(number), words[letter]) for number, letter in enumerate(phases))


@pytest.mark.parametrize(
    ("spec", "phases", "hours", "expected"),
    [
        ({}, "CCCCCC", 99, [0, 1, 2, 3, 4, 5]),
        ({"maxBackups": 0, "maxReservedTime": "0"}, "CCCC", 99, [0, 1, 2, 3]),
        ({"maxBackups": 2}, "CCCCCC", 6, [4, 5]),
        ({"maxBackups": 2}, "C", 6, [0]),
        # Failed ones never push out a good one.
        ({"maxBackups": 2}, "CCCFFFFF", 8, [1, 2, 5, 6, 7]),
        ({"maxBackups": 2, "failedBackupsLimit": 0}, "CFCFCI", 8, [2, 4]),
        ({"failedBackupsLimit": 1}, "FIFC", 8, [2, 3]),
        ({"maxBackups": 1}, "CCR", 8, [1, 2]),
        ({"maxBackups": 1, "failedBackupsLimit": 0}, "SRC", 8, [0, 1, 2]),
        # Age wins over number.
        ({"maxBackups": 1, "maxReservedTime": "3h"}, "CCCCCC", 6, [4, 5]),
        ({"maxBackups": 1, "maxReservedTime": "99h"}, "CCC", 6, [0, 1, 2]),
        ({"maxReservedTime": "3h"}, "CCCCCC", 5, [3, 4, 5]),
        ({"maxReservedTime": "1d"}, "CC", 24, [1]),
        # The floor, and without it the specification to the letter.
        ({"maxReservedTime": "3h"}, "CCCC", 99, [3]),
        ({"maxReservedTime": "3h", "minBackups": 2}, "CCCCFF", 99, [2, 3]),
        ({"maxReservedTime": "3h", "minBackups": 0}, "CCCCFR", 99, [5]),
        ({"maxBackups": 1, "minBackups": 3}, "CCCC", 99, [1, 2, 3]),
        # A year's jump of the clock leaves the floor, and what runs.
        ({"maxReservedTime": "72h"}, "CCCR", 99 + 366 * 24, [2, 3]),
        ({"pause": True, "maxBackups": 1}, "CC", 9, [1]),
        # What is no duration removes nothing good.
        ({"maxReservedTime": "soon", "maxBackups": 1, "failedBackupsLimit": 0}, "CCF", 9, [0, 1]),
        ({"maxReservedTime": "15000000w", "maxBackups": 1}, "CC", 9, [0, 1]),
    ],
)
def test_what_is_left(spec: dict[str, Any], phases: str, hours: float, expected: list[int]) -> None:
    assert left(spec, at(hours), *dozen(phases)) == expected


@pytest.mark.parametrize(
    "meta",
    [
        # A copy by hand: get -o yaml, another name, apply.
        {"name": "copy"},
        {"name": "s-2026-10-24t13-00-00-copy"},
        {"name": "s-2026-10-24t13-00-01"},
        {"name": "S-2026-10-24t13-00-00"},
        {"name": "r-2026-10-24t13-00-00"},
        {"name": "s2026-10-24t13-00-00"},
        {"labels": {}},
        {"labels": {"tidb.pingcap.com/backup-schedule": "other"}},
        {"annotations": {}},
        {"annotations": {"tidb.pingcap.com/due-time": "yesterday"}},
        {"annotations": {"tidb.pingcap.com/due-time": "2026-10-24T12:00:00"}},
    ],
)
def test_what_no_schedule_made_is_neither_removed_nor_counted(meta: dict[str, Any]) -> None:
    strange = child(at(1), **meta)

    assert outline(ask({"maxBackups": 1}, at(9), child(at(0)), strange)) == []
    assert fates(ScheduleFacts(schedule(maxReservedTime="1s"), (strange,)), at(9)) == ()


def test_another_operators_history_is_neither_removed_nor_counted() -> None:
    foreign = attrs.evolve(child(at(1)), status=BackupStatus(phase="Complete"))

    assert left({"maxBackups": 1}, at(9), child(at(0)), foreign) == [0, 1]


def test_a_former_schedule_of_that_name_leaves_its_backups_to_this_one() -> None:
    heir = child(
        at(0),
        annotations={"tidb.pingcap.com/due-time": at(0).isoformat(), "tidb.pingcap.com/schedule-uid": "old"},
    )

    assert left({"maxBackups": 1}, at(9), heir, child(at(1))) == [1]


def test_what_is_going_is_not_there_any_more() -> None:
    going = child(at(2), deletionTimestamp=at(3))

    assert left({"maxBackups": 2}, at(9), child(at(0)), child(at(1)), going) == [0, 1, 2]


def ask(
    spec: dict[str, Any],
    now: datetime,
    *backups: Backup,
    live: Iterable[Backup] | None = None,
    server: timedelta | None = timedelta(),
) -> Any:
    """The plan; a live look finds what is in `live`, and the API server's clock is ahead by `server`."""
    facts = ScheduleFacts(schedule(**spec), backups)
    plan = plan_or_look(retention, facts, now)
    if isinstance(plan, Plan) or live is None:
        return plan
    found = tuple(each for each in live if each.metadata.name in plan.names)
    time = None if server is None else now + server
    return retention(attrs.evolve(facts, evidence={plan: found}, server_time=time), now)


def look_at(*hours: int) -> Look:
    """A look at the Backups of these hours."""
    return Look("Backup", "ns", names=tuple(child(at(hour)).metadata.name for hour in hours))


def test_one_goes_at_a_time_after_a_look_and_says_why() -> None:
    backups = dozen("CCC")
    assert ask({"maxBackups": 1}, at(9), *backups) == look_at(0, 2)

    found = ask({"maxBackups": 1}, at(9), *backups, live=backups)
    name = backups[0].metadata.name
    assert outline(found) == ["Normal RetentionMaxBackups", f"delete {name} uid-{name}"]
    (say,) = (action for action in found.actions if isinstance(action, Announce))
    assert (say.kind, say.about.name) == ("BackupSchedule", "s")
    assert say.message == f"{name} is removed: more than 1 complete ones (maxBackups)"
    assert tallies(found) == [Tally(Counted.RETENTION, "ns", "s", "RetentionMaxBackups")]


@pytest.mark.parametrize(
    "live",
    [
        {0: None},
        {0: child(at(0), uid="another")},
        {0: child(at(0), "Running")},
        {0: child(at(0), deletionTimestamp=at(1))},
        # One of the newest good ones has gone, and the cache does not know.
        *({hour: None} for hour in (3, 4, 5)),
        *({hour: child(at(hour), "Failed")} for hour in (3, 4, 5)),
        *({hour: child(at(hour), uid="another")} for hour in (3, 4, 5)),
        *({hour: child(at(hour), deletionTimestamp=at(6))} for hour in (3, 4, 5)),
    ],
)
def test_nothing_goes_where_the_api_server_sees_it_or_the_floor_otherwise(
    live: dict[int, Backup | None],
) -> None:
    cached = dozen("CCCCCC")
    shown = [each for each in (live.get(hour, cached[hour]) for hour in range(6)) if each]
    found = ask({"maxBackups": 1, "minBackups": 3}, at(9), *cached, live=shown)

    assert found == Plan(wake_at=at(9) + timedelta(seconds=10))


@pytest.mark.parametrize("spec", [{"maxBackups": 1}, {"maxReservedTime": "1h"}])
@pytest.mark.parametrize(
    ("floor", "looks"), [(0, (0,)), (1, (0, 5)), (2, (0, 4, 5)), (5, (0, 1, 2, 3, 4, 5))]
)
def test_looked_at_is_what_goes_and_each_that_makes_the_floor(
    spec: dict[str, Any], floor: int, looks: tuple[int, ...]
) -> None:
    backups = dozen("CCCCCC")
    spec = spec | {"minBackups": floor}

    assert ask(spec, at(99), *backups) == look_at(*looks)
    assert (
        outline(ask(spec, at(99), *backups, live=backups))[1]
        == f"delete {(n := backups[0].metadata.name)} uid-{n}"
    )


def test_for_a_failed_one_the_floor_needs_no_look() -> None:
    assert ask({"failedBackupsLimit": 0}, at(9), *dozen("CF")) == look_at(1)


@pytest.mark.parametrize("spec", [{"maxBackups": 1}, {"maxReservedTime": "1h"}, {"failedBackupsLimit": 0}])
@pytest.mark.parametrize(
    ("server", "stops"),
    [
        (timedelta(), False),
        (timedelta(minutes=5), False),
        (timedelta(minutes=-5), False),
        (timedelta(minutes=5, seconds=1), True),
        (timedelta(minutes=-5, seconds=-1), True),
        (timedelta(days=-365), True),
        (timedelta(days=365), True),
        (None, True),
    ],
)
def test_nothing_goes_while_the_two_clocks_differ(
    spec: dict[str, Any], server: timedelta | None, stops: bool
) -> None:
    backups = dozen("CCF")
    plan = ask(spec, at(99), *backups, live=backups, server=server)

    if not stops:
        assert [type(each) for each in plan.actions] == [Announce, Delete]
        return
    assert outline(plan) == ["Warning ClocksDiffer"]
    assert plan.wake_at == at(99) + timedelta(minutes=10)


def test_the_clocks_that_differ_are_told_with_the_cure() -> None:
    (say,) = ask({"maxBackups": 1}, at(9), *dozen("CC"), live=dozen("CC"), server=-24 * HOUR).actions

    assert isinstance(say, Announce)
    assert (say.kind, say.about.name) == ("BackupSchedule", "s")
    for part in ("2026-10-24T21:00:00Z", "2026-10-23T21:00:00Z", "set the wrong one"):
        assert part in say.message


def test_it_wakes_at_the_next_expiry() -> None:
    spec = {"maxReservedTime": "5h"}

    assert ask(spec, at(3), *dozen("CCFR")) == Plan(wake_at=at(5))
    assert ask(spec, at(3), *dozen("C")) == Plan()
    assert ask({"maxBackups": 3}, at(3), *dozen("CC")) == Plan()


def test_what_is_going_or_unreadable_is_left_alone() -> None:
    meta = attrs.evolve(schedule().metadata, deletionTimestamp=BEGIN)

    assert (
        retention(ScheduleFacts(attrs.evolve(schedule(maxBackups=1), metadata=meta), dozen("CC")), at(9))
        == NOTHING
    )
    assert retention(ScheduleFacts(schedule(maxBackups=1), dozen("CC"), unreadable="no"), at(9)) == NOTHING


def ours_or_not(due: datetime, phase: str, ours: bool) -> Backup:
    """A Backup with our label or without."""
    return child(due, phase) if ours else child(due, phase, labels={})


SPECS = st.fixed_dictionaries(
    {"minBackups": st.integers(0, 3), "failedBackupsLimit": st.integers(0, 3)},
    optional={
        "maxBackups": st.integers(0, 4),
        "maxReservedTime": st.sampled_from(["0", "1h", "3h", "90m", "1d", "soon"]),
    },
)
BACKUPS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(PHASES), st.booleans()),
    max_size=9,
    unique_by=lambda each: each[0],
).map(lambda found: tuple(ours_or_not(at(hours), phase, ours) for hours, phase, ours in found))
NOW = st.integers(0, 40 * 60).map(lambda minutes: at(minutes / 60))
RESERVED = {"1h": HOUR, "3h": HOUR * 3, "90m": HOUR * 1.5, "1d": HOUR * 24}


def condemned(spec: dict[str, Any], backups: tuple[Backup, ...], now: datetime) -> set[str]:
    """What has to go, by counting those that are newer."""
    ours = [each for each in backups if each.metadata.labels]
    time = spec.get("maxReservedTime", "0")
    gone = set()
    for backup in ours:
        phase, created = backup.status.phase, backup.metadata.creationTimestamp or BEGIN
        if phase not in ("Complete", "Failed", "Invalid"):
            continue
        alike = [
            each
            for each in ours
            if (each.status.phase == "Complete") == (phase == "Complete")
            and each.status.phase not in ("Running", "Scheduled", "")
        ]
        newer = sum((each.metadata.creationTimestamp or BEGIN) > created for each in alike)
        too_old = time in RESERVED and now - created >= RESERVED[time]
        if phase == "Complete":
            too_many = time == "0" and 0 < spec.get("maxBackups", 0) <= newer
            goes = newer >= spec["minBackups"] and (too_old or too_many)
        else:
            goes = newer >= spec["failedBackupsLimit"] or too_old
        if goes:
            gone.add(backup.metadata.name)
    return gone


def world_after(spec: dict[str, Any], backups: tuple[Backup, ...], now: datetime) -> World:
    """The world when retention is through."""
    world = World(schedule(**spec), now=now, backups={each.metadata.name: each for each in backups})
    world.retain()
    return world


@settings(max_examples=150)
@given(SPECS, BACKUPS, NOW)
def test_what_goes_is_what_the_oracle_condemns(
    spec: dict[str, Any], backups: tuple[Backup, ...], now: datetime
) -> None:
    names = {each.metadata.name for each in backups}
    world = world_after(spec, backups, now)

    assert set(world.backups) == names - condemned(spec, backups, now)
    good = [each for each in backups if each.status.phase == "Complete" and each.metadata.labels]
    stay = [each for each in good if each.metadata.name in world.backups]
    assert len(stay) >= min(len(good), spec["minBackups"])
    # Through is through, also a second time; and what has gone at one time has gone at any later one.
    actions = world.actions
    wake = world.retain()
    assert world.actions == actions
    later = world_after(spec, backups, now + HOUR)
    assert set(later.backups) <= set(world.backups)
    if wake is not None:
        assert set(world_after(spec, backups, wake - timedelta(seconds=1)).backups) == set(world.backups)
        assert set(world_after(spec, backups, wake).backups) < set(world.backups)


@settings(max_examples=60)
@given(BACKUPS, NOW, st.integers(1, 4))
def test_without_a_floor_it_is_the_specification(
    backups: tuple[Backup, ...], now: datetime, number: int
) -> None:
    good = tuple(each for each in backups if each.status.phase == "Complete" and each.metadata.labels)
    newest = sorted(good, key=lambda each: each.metadata.name)[-number:]
    recent = {
        each.metadata.name for each in good if now - (each.metadata.creationTimestamp or BEGIN) < HOUR * 3
    }

    assert set(world_after({"minBackups": 0, "maxBackups": number}, good, now).backups) == {
        each.metadata.name for each in newest
    }
    assert set(world_after({"minBackups": 0, "maxReservedTime": "3h"}, good, now).backups) == recent


def test_every_fate_says_why() -> None:
    found: BackupSchedule = schedule(maxReservedTime="3h", failedBackupsLimit=1)

    assert [(fate.reason, fate.why) for fate in fates(ScheduleFacts(found, dozen("CFFCC")), at(4))] == [
        ("RetentionExpired", "older than 3h (maxReservedTime)"),
        ("RetentionFailedLimit", "more than 1 failed ones (failedBackupsLimit)"),
        ("", "not older than 3h (maxReservedTime) before 2026-10-24T17:00:00Z"),
        ("", "not older than 3h (maxReservedTime) before 2026-10-24T18:00:00Z"),
        ("", "the newest 1 complete ones stay (minBackups)"),
    ]


def test_failing_for_long_leaves_the_last_good_one() -> None:
    world = World(schedule(maxReservedTime="3h"), now=at(0))
    world.live(at(2.5))
    world.outcome = "Failed"
    world.live(at(30))

    good = [
        each
        for each in world.backups.values()
        if each.status == ended("Complete", each.status.timeCompleted or BEGIN)
    ]
    assert len(good) == 1
    assert len(world.backups) <= 1 + 3
