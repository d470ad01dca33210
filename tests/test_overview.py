"""The screen of `tidbbackup status`."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from tests.decide.schedule_builders import child, settled
from tidbbackup.model.meta import Meta
from tidbbackup.model.resource.backup import Backup, BackupStatus, Condition, Progress
from tidbbackup.model.resource.restore import Restore, RestoreSpec, RestoreStatus
from tidbbackup.overview import Objects, overview

NOW = datetime(2026, 10, 24, 13, 30, tzinfo=UTC)


def lines(*objects: object) -> list[str]:
    """The lines of the screen, one blank between words."""
    kinds = [[each for each in objects if isinstance(each, kind)] for kind in (Backup, Restore)]
    schedules = [each for each in objects if not isinstance(each, Backup | Restore)]
    found = Objects(schedules, *kinds)  # type: ignore[arg-type]
    return [" ".join(line.split()) for line in overview(found, NOW).splitlines()]


def good(minutes: float, size: int) -> Backup:
    """A complete Backup of the schedule, made so long ago."""
    made = child(NOW - timedelta(minutes=minutes))
    return attrs.evolve(made, status=attrs.evolve(made.status, backupSize=size))


def test_without_anything_it_says_so() -> None:
    assert lines() == ["no schedule", "", "nothing runs", "", "nothing failed"]


def test_a_schedule_shows_its_oldest_and_newest_good_copy() -> None:
    shown = lines(settled(), good(30, 80_000), good(90, 70_000), child(NOW - timedelta(hours=3), "Failed"))

    assert shown[:2] == [
        "SCHEDULE STATE NEXT DUE NEWEST GOOD OLDEST GOOD GOOD",
        "ns/s Ready in 0s 30m ago (80 kB) 1h30m ago (70 kB) 2",
    ]


def test_a_schedule_without_a_copy_says_none_in_capitals() -> None:
    assert "NONE NONE 0" in lines(settled())[1]


def test_a_schedule_that_lacks_a_success_is_overdue() -> None:
    late = settled()
    late = attrs.evolve(late, status=attrs.evolve(late.status, successDueTime=NOW - timedelta(minutes=1)))
    assert "Ready, OVERDUE" in lines(late)[1]


def test_what_runs_shows_its_progress() -> None:
    meta = Meta(name="r", namespace="ns", uid="u", creationTimestamp=NOW - timedelta(minutes=5))
    progress = Progress(text="dump 43%")
    running = Backup(meta, status=BackupStatus(phase="Running", progress=progress, observedGeneration=1))
    shown = lines(running, Restore(attrs.evolve(meta, name="new"), RestoreSpec()))

    assert shown[2:5] == [
        "RUNNING PHASE PROGRESS AGE",
        "Backup ns/r Running dump 43% 5m",
        "Restore ns/new new 5m",
    ]


def test_the_newest_failures_show_their_reasons_on_one_line() -> None:
    def failed(number: int) -> Backup:
        at = NOW - timedelta(hours=number)
        conditions = (Condition("Failed", "True", "LoginFailed", f"no {number}:\n{'x' * 200}", at),)
        status = BackupStatus(phase="Failed", conditions=conditions, observedGeneration=1)
        return Backup(Meta(name=f"b{number}", namespace="ns", uid="u"), status=status)

    shown = lines(*map(failed, range(7, 0, -1)))

    assert shown[4].startswith("FAILED (NEWEST 5) PHASE AGE REASON MESSAGE")
    assert [line.split()[1] for line in shown[5:]] == ["ns/b1", "ns/b2", "ns/b3", "ns/b4", "ns/b5"]
    assert "Failed 1h ago LoginFailed no 1: xxx" in shown[5]
    assert shown[5].endswith("…")


def test_a_copy_is_not_shown() -> None:
    other = good(30, 1)
    copied = attrs.evolve(other.metadata, annotations={"tidb.pingcap.com/begun-uid": "another"})
    assert "NONE NONE 0" in lines(settled(), attrs.evolve(other, metadata=copied))[1]


def test_a_restore_that_failed_is_shown_too() -> None:
    conditions = (Condition("Failed", "True", "TargetNotEmpty", "full", NOW),)
    status = RestoreStatus(phase="Failed", conditions=conditions, observedGeneration=1)
    restore = Restore(Meta(name="r", namespace="ns", uid="u"), RestoreSpec(), status)
    assert lines(restore)[-1] == "Restore ns/r Failed 0s ago TargetNotEmpty full"


@pytest.mark.parametrize(
    ("seconds", "age"),
    [(59, "59s"), (61, "1m1s"), (600, "10m"), (9000, "2h30m"), (36000, "10h"), (90000, "1d1h")],
)
def test_ages_are_short(seconds: int, age: str) -> None:
    made = Meta(name="r", namespace="ns", uid="u", creationTimestamp=NOW - timedelta(seconds=seconds))
    assert lines(Backup(made))[3].endswith(f" {age}")
