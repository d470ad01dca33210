"""What becomes of a run that somebody asks for at once."""

from datetime import timedelta

import attrs
import msgspec
import pytest

from tests.decide.builders import outline, patch_of
from tests.decide.schedule_builders import child, later, plan, said, settled
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Plan
from tidbbackup.model.names import RUN_NOW
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.schedule import BackupSchedule, BackupScheduleStatus

AT = later(20)
NAME = "s-2026-10-24t12-20-00"


def asked(value: str = "1", **spec: object) -> BackupSchedule:
    """A schedule whose user has just set the annotation."""
    found = settled(**spec)
    return attrs.evolve(found, metadata=attrs.evolve(found.metadata, annotations={RUN_NOW: value}))


def written(found: BackupSchedule, made: Plan) -> BackupSchedule:
    """The schedule with the status that a plan writes."""
    old = msgspec.to_builtins(found.status)
    status = msgspec.convert(old | dict(patch_of(made)), BackupScheduleStatus)
    return attrs.evolve(found, status=status)


def noted(found: BackupSchedule) -> BackupSchedule:
    """The same after the first round."""
    return written(found, plan(found, AT))


def test_a_new_value_is_noted_in_the_status_before_anything_is_made() -> None:
    first = plan(asked(), AT + timedelta(milliseconds=300))

    assert outline(first) == ["status -"]
    assert (patch_of(first)["observedRunNow"], patch_of(first)["runNowTime"]) == ("1", "2026-10-24T12:20:00Z")


def test_then_its_backup_is_made_and_the_time_is_cleared() -> None:
    second = plan(noted(asked()), later(21))

    assert outline(second) == [f"create {NAME}", "Normal BackupCreated", "status -"]
    assert patch_of(second)["runNowTime"] is None
    assert said(second) == [f"made {NAME}, asked for by tidb.pingcap.com/run-now at 2026-10-24T12:20:00Z"]


def test_after_the_create_it_is_told_and_not_made_again() -> None:
    again = plan(noted(asked()), later(21), child(AT, "Running"))

    assert outline(again) == ["Normal BackupCreated", "status -"]
    assert patch_of(again)["runNowTime"] is None


def test_the_same_value_asks_only_once() -> None:
    found = noted(asked())
    done = written(found, plan(found, later(21)))

    assert not [line for line in outline(plan(done, later(22), child(AT))) if "create" in line]


def test_a_pause_does_not_hold_it_up() -> None:
    assert f"create {NAME}" in outline(plan(noted(asked(pause=True)), later(21)))


def running(minutes: float) -> Backup:
    """A Backup of the schedule that has not ended."""
    return child(later(minutes), "Running")


@pytest.mark.parametrize(
    ("found", "others", "refusal", "reason", "why"),
    [
        (asked(), (running(0),), None, "SkippedOverlap", "s-2026-10-24t12-00-00 still runs"),
        (asked(schedule="x"), (), None, "MissedInvalid", "see its condition Ready"),
        (asked(), (), Refusal(422, "no"), "MissedRefused", "the API server refuses it: no"),
    ],
)
def test_what_is_in_the_way_is_told_and_ends_it(
    found: BackupSchedule, others: tuple[Backup, ...], refusal: Refusal | None, reason: str, why: str
) -> None:
    told = plan(noted(found), later(21), *others, refusal=refusal)

    assert f"Warning {reason}" in outline(told)
    assert why in said(told)[0]
    assert patch_of(told)["runNowTime"] is None


def test_an_overlap_is_no_hindrance_where_it_is_allowed() -> None:
    found = noted(asked(concurrencyPolicy="Allow"))
    assert f"create {NAME}" in outline(plan(found, later(21), running(0)))


def test_a_quota_is_waited_for() -> None:
    told = plan(noted(asked()), later(21), refusal=Refusal(403, "exceeded quota"))

    assert outline(told) == ["Warning BackupRefused"]
    assert told.wake_at == later(22)


def test_a_run_that_is_due_goes_first() -> None:
    """One Create in a round: a refusal is then known to be of that one."""
    due = plan(noted(asked(concurrencyPolicy="Allow")), later(60))
    made = [line for line in outline(due) if line.startswith("create")]

    assert made == ["create s-2026-10-24t13-00-00"]
    assert patch_of(due).get("runNowTime", "kept") == "kept"


def test_it_is_not_counted_as_a_run_that_was_due() -> None:
    """Two due times passed while no controller ran: the older one is missed, whatever ran now."""
    late = plan(settled(), later(125), child(later(30)))

    assert patch_of(late)["missedRuns"] == 1
