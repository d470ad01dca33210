"""Refusals and wrong specs: a run is lost at the most, never the schedule, and the reason is said."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decide.builders import outline, patch_of
from tests.decide.schedule_builders import (
    BEGIN,
    DUE,
    NAME,
    TEMPLATE,
    child,
    counts,
    later,
    plan,
    ready,
    said,
    schedule,
    settled,
)
from tests.decide.schedule_world import World
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import NOTHING
from tidbbackup.decide.schedule.decision import decide
from tidbbackup.decide.schedule.scheduled import ScheduleFacts
from tidbbackup.model.resource.backup import spec_from_wire
from tidbbackup.model.resource.schedule import BackupScheduleStatus


def test_a_foreign_object_of_that_name_costs_this_run_only() -> None:
    taken = plan(settled(), DUE, refusal=Refusal(409, "already exists"))

    assert outline(taken) == ["Warning MissedNameTaken", "status -"]
    assert counts(taken) == {"missedRuns": 1}
    assert NAME in said(taken)[0]
    assert taken.wake_at == later(120)
    seen = plan(settled(), DUE, child(DUE, annotations={"tidb.pingcap.com/schedule-uid": "other"}))
    assert outline(seen) == outline(taken)


def test_a_refusal_for_now_is_tried_again_until_the_next_is_due() -> None:
    quota = Refusal(403, "exceeded quota")
    found = plan(settled(), DUE, refusal=quota)

    assert outline(found) == ["Warning BackupRefused"]
    assert found.wake_at == later(61)
    again = plan(settled(), later(119), refusal=quota)
    assert again.wake_at == later(120)
    assert counts(plan(settled(), later(120))) == {"missedRuns": 1}


def test_a_refusal_for_good_is_a_missed_run() -> None:
    found = plan(settled(), DUE, refusal=Refusal(422, "spec.env: no"))

    assert outline(found) == ["Warning MissedRefused", "status -"]
    assert "spec.env: no" in said(found)[0]


@pytest.mark.parametrize(
    ("spec", "reason", "text"),
    [
        ({"schedule": "* * * * * *"}, "InvalidSchedule", "spec.schedule: '* * * * * *'"),
        ({"schedule": "0 0 30 2 *"}, "InvalidSchedule", "never due"),
        ({"schedule": "x" * 10_000}, "InvalidSchedule", "has 10000 characters"),
        ({"schedule": ""}, "InvalidSchedule", "has 0 fields"),
        ({"timeZone": "Mars/Base"}, "UnknownZone", "spec.timeZone: 'Mars/Base'"),
        ({"backupTemplate": None}, "InvalidTemplate", "spec.backupTemplate: is missing"),
        (
            {"backupTemplate": {"s3": TEMPLATE["s3"]}},
            "InvalidTemplate",
            "spec.backupTemplate.from: is missing",
        ),
        ({"backupTemplate": TEMPLATE | {"br": {}}}, "InvalidTemplate", "spec.backupTemplate.br"),
    ],
)
def test_a_wrong_spec_makes_a_condition(spec: dict[str, Any], reason: str, text: str) -> None:
    found = plan(schedule(**spec), later(1))

    assert outline(found) == [f"Warning {reason}", "status -"]
    assert ready(found)[:2] == ("False", reason)
    assert text in ready(found)[2]
    assert "nextBackupTime" not in patch_of(found)


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong: dict[str, Any] = {
        "timeZone": "Mars/Base",
        "schedule": "* * * * * *",
        "backupTemplate": TEMPLATE | {"br": {}},
    }
    state, reason, text = ready(plan(schedule(**wrong), later(1)))

    assert (state, reason) == ("False", "UnknownZone")
    fields = ["spec.timeZone: ", "; spec.schedule: ", "; spec.backupTemplate.br"]
    assert [field in text for field in fields] == [True] * 3, text


def test_a_name_that_leaves_no_room_makes_a_condition() -> None:
    def named(length: int) -> tuple[str, str, str]:
        meta = attrs.evolve(schedule().metadata, name="s" * length)
        return ready(plan(attrs.evolve(schedule(), metadata=meta), later(1)))

    assert named(233)[:2] == ("True", "Ready")
    assert named(234)[:2] == ("False", "NameTooLong")
    assert "1 characters too long" in named(234)[2]
    assert "253" in named(234)[2]


def test_due_times_of_an_invalid_template_are_missed_and_mending_it_makes_up_none() -> None:
    broken = settled(backupTemplate=None)
    found = plan(broken, DUE)
    assert outline(found) == ["Warning MissedInvalid", "status -"]
    assert counts(found) == {"missedRuns": 1}

    world = World(broken, now=DUE)
    world.reconcile()
    world.edit(backupTemplate=spec_from_wire(msgspec.json.encode(TEMPLATE)))
    assert world.reconcile() == later(120)
    assert world.made == {}
    assert ("Ready", "backups are made by '0 * * * *' in UTC") in world.events


def test_a_bad_retention_is_a_warning_beside() -> None:
    conditions = patch_of(plan(schedule(maxReservedTime="soon"), later(1)))["conditions"]

    assert [(each["type"], each["status"], each["reason"]) for each in conditions] == [
        ("Ready", "True", "Ready"),
        ("Warning", "True", "InvalidRetention"),
    ]
    assert "spec.maxReservedTime: 'soon'" in conditions[1]["message"]


def test_what_is_going_or_unreadable_is_left_alone() -> None:
    going = attrs.evolve(schedule(), metadata=attrs.evolve(schedule().metadata, deletionTimestamp=DUE))

    assert plan(going, DUE) == NOTHING
    assert outline(decide(ScheduleFacts(schedule(), unreadable="spec: no"), DUE)) == ["Warning InvalidSpec"]


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "schedule": st.text(max_size=12) | st.sampled_from(["* * * * *", "@every 1m"]),
            "timeZone": st.text(max_size=6),
            "maxReservedTime": st.text(max_size=6),
            "concurrencyPolicy": st.text(max_size=6),
            "startingDeadlineSeconds": st.integers(0, 2**63),
        },
    ),
    st.builds(
        BackupScheduleStatus, observedSchedule=st.text(max_size=6), scheduleSince=st.none() | st.just(BEGIN)
    ),
)
def test_no_spec_and_no_status_makes_it_fall_over(spec: dict[str, Any], status: BackupScheduleStatus) -> None:
    found = plan(schedule(status, **spec), later(500))

    assert found.wake_at is None or found.wake_at > later(500)
