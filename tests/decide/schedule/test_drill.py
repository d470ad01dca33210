"""When a drill is created, of which Backup, and what is said where there is none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import attrs
import msgspec
import pytest

from tests.decide.aftermath.test_drilled import drill
from tests.decide.builders import outline, patch_of
from tests.decide.schedule_builders import BEGIN, UID, child, later, said, schedule
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Create, Plan
from tidbbackup.decide.schedule.decision import decide
from tidbbackup.decide.schedule.drill import drill_fault, drill_name
from tidbbackup.decide.schedule.scheduled import ScheduleFacts
from tidbbackup.decide.spec.restored import Resolved, resolve
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.restore import Restore, decode_restore
from tidbbackup.model.resource.schedule import BackupSchedule, BackupScheduleStatus

DRILL = {"schedule": "30 * * * *", "databaseSuffix": "_drill"}
DUE = later(30)
NAME = "s-drill-2026-10-24t12-30-00"
GOOD = child(BEGIN - timedelta(hours=1))


def drilled(since: datetime | None = BEGIN, **spec: Any) -> BackupSchedule:
    """A schedule with drills at half past, whose Backups are due far from now."""
    told = BackupScheduleStatus(scheduleSince=BEGIN, observedSchedule="0 0 1 1 *", observedTimeZone="UTC")
    found = schedule(attrs.evolve(told, drillSince=since), **{"schedule": "0 0 1 1 *", "drill": DRILL} | spec)
    assert drill_fault(found) is None, drill_fault(found)
    return found


def plan(
    found: BackupSchedule, now: datetime, *backups: Backup, drills: tuple[Restore, ...] = (), **more: Any
) -> Plan:
    """The decision."""
    return decide(ScheduleFacts(found, backups, drills, **more), now)


def its(name: str = NAME, phase: str = "Running") -> Restore:
    """A drill of this schedule."""
    one = drill(phase, name=name)
    owner = attrs.evolve(one.metadata.ownerReferences[0], uid=UID)
    return attrs.evolve(one, metadata=attrs.evolve(one.metadata, ownerReferences=(owner,)))


def created(found: Plan) -> list[dict[str, Any]]:
    """What is created."""
    return [action.manifest for action in found.actions if isinstance(action, Create)]


def test_at_its_time_the_newest_good_backup_is_restored_and_dropped() -> None:
    older, failed = child(BEGIN - timedelta(hours=2)), child(BEGIN - timedelta(minutes=1), "Failed")
    found = plan(drilled(backupTemplate=TEMPLATE_WITH_POD), DUE, older, GOOD, failed)

    (manifest,) = created(found)
    assert manifest["metadata"]["name"] == NAME
    (owner,) = manifest["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("BackupSchedule", UID, True)
    assert manifest["spec"] == {
        "to": {"host": "tidb", "secretName": "db"},
        "backup": GOOD.metadata.name,
        "databaseSuffix": "_drill",
        "afterwards": "Drop",
        "serviceAccount": "backup",
        "ttlSecondsAfterFinished": 604800,
    }
    restore = decode_restore(msgspec.json.encode(manifest | {"metadata": {"name": NAME}}))
    restore = attrs.evolve(restore, metadata=attrs.evolve(restore.metadata, creationTimestamp=DUE))
    whole = attrs.evolve(
        GOOD,
        spec=drilled().spec.backup_spec(),
        status=attrs.evolve(GOOD.status, backupPath="s3://bucket/a.tgz"),
    )
    assert isinstance(resolve(restore, whole), Resolved)
    patch = patch_of(found)
    assert (patch["lastDrillTime"], patch["nextDrillTime"]) == (
        "2026-10-24T12:30:00Z",
        "2026-10-24T13:30:00Z",
    )
    assert found.wake_at == later(90)
    assert said(found)[0] == f"made {NAME}, which restores {GOOD.metadata.name}"


TEMPLATE_WITH_POD = {
    "from": {"host": "tidb", "secretName": "db"},
    "s3": {"provider": "aws", "bucket": "bucket", "secretName": "s3"},
    "serviceAccount": "backup",
}


def test_from_when_it_is_asked_for_it_counts() -> None:
    found = plan(drilled(since=None), later(40), GOOD)
    assert created(found) == []
    assert patch_of(found)["drillSince"] == "2026-10-24T12:40:00Z"


def test_it_is_created_once() -> None:
    again = plan(drilled(), later(31), GOOD, drills=(its(),))
    assert created(again) == []
    settled = drilled()
    settled = attrs.evolve(settled, status=attrs.evolve(settled.status, lastDrillTime=DUE))
    assert created(plan(settled, later(31), GOOD)) == []


@pytest.mark.parametrize(
    ("minutes", "backups", "drills", "refusal", "why"),
    [
        (31, (), (), None, "no Backup of this schedule is Complete"),
        (31, (child(BEGIN, "Failed"),), (), None, "no Backup of this schedule is Complete"),
        (31, (GOOD,), (its("s-drill-before"),), None, "s-drill-before still runs"),
        (31, (GOOD,), (), Refusal(403, "a webhook"), "the API server refuses it: a webhook"),
        (31 + 24 * 60, (), (), None, "no Backup of this schedule is Complete"),
    ],
)
def test_why_there_is_none(
    minutes: float,
    backups: tuple[Backup, ...],
    drills: tuple[Restore, ...],
    refusal: Refusal | None,
    why: str,
) -> None:
    found = plan(drilled(), later(minutes), *backups, drills=drills, refusal=refusal)
    assert created(found) == []
    assert why in said(found)[0]
    assert patch_of(found)["lastDrillTime"], "it is settled"


def test_one_that_is_an_hour_late_is_left_out() -> None:
    daily = drilled(drill=DRILL | {"schedule": "30 12 * * *"})
    assert created(plan(daily, DUE + timedelta(minutes=60), GOOD))
    late = plan(daily, DUE + timedelta(minutes=61), GOOD)
    assert created(late) == []
    assert "it is more than an hour late" in said(late)[0]


def test_a_pause_stops_drills_too() -> None:
    found = plan(drilled(pause=True), DUE, GOOD)
    assert created(found) == []
    assert "the schedule is paused" in "; ".join(said(found))


def test_a_clock_that_was_put_back_silences_it_for_no_longer_than_to_the_next_time() -> None:
    ahead = drilled(since=later(10_000))
    found = plan(ahead, later(1), GOOD)
    assert patch_of(found)["drillSince"] == "2026-10-24T12:01:00Z"


def test_a_backup_that_is_due_comes_first() -> None:
    both = drilled(schedule="30 * * * *")
    both = attrs.evolve(both, status=attrs.evolve(both.status, observedSchedule="30 * * * *"))
    found = plan(both, DUE, GOOD)
    assert [each["kind"] for each in created(found)] == ["Backup"]
    assert "lastDrillTime" not in patch_of(found)


def test_one_that_is_invalid_goes_with_the_next() -> None:
    found = plan(drilled(), DUE, GOOD, drills=(its("s-drill-before", "Invalid"),))
    assert "delete s-drill-before uid-s-drill-before" in outline(found)


def test_what_was_proven_last_stays_in_the_status() -> None:
    patch = patch_of(plan(drilled(), later(1), GOOD, drills=(its(phase="Complete"),)))
    assert patch["lastProvenBackup"] == "demo"
    assert patch["lastProvenTime"] == "2026-11-23T03:00:00Z"


def test_without_drills_nothing_is_told_of_them() -> None:
    found = plan(drilled(drill=None), later(31), GOOD)
    assert created(found) == []
    assert patch_of(found)["drillSince"] is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schedule": "at night"}, "spec.drill.schedule: "),
        ({"databaseSuffix": None}, "spec.drill.databaseSuffix: is missing"),
        ({"databaseSuffix": "a b"}, "spec.drill.databaseSuffix: 'a b': write letters, digits and _ only"),
        ({"to": {"host": "a b", "secretName": "db"}}, "spec.drill.to.host: 'a b': write a host name"),
        ({"tableFilter": ["shop"]}, "spec.drill.tableFilter: `shop`"),
    ],
)
def test_what_is_wrong_is_a_warning_and_backups_go_on(change: dict[str, Any], why: str) -> None:
    whole = {name: value for name, value in (DRILL | change).items() if value is not None}
    found = plan(schedule(drill=whole), later(1))
    ready, warning = patch_of(found)["conditions"]
    assert (ready["type"], ready["status"], warning["type"]) == ("Ready", "True", "Warning")
    assert warning["reason"] == "InvalidDrill"
    assert why in warning["message"]
    assert "nextDrillTime" not in patch_of(found)


def test_a_name_that_is_too_long_for_drills_alone() -> None:
    long = schedule(drill=DRILL)
    long = attrs.evolve(long, metadata=attrs.evolve(long.metadata, name="s" * 230))
    assert "is too long for drills" in str(drill_fault(long))
    assert len(drill_name(schedule(), DUE)) == len(NAME)


def test_the_round_after_the_create_tells_it() -> None:
    found = plan(drilled(), DUE, GOOD, drills=(its(),))

    assert created(found) == []
    assert outline(found) == ["Normal DrillCreated", "status -"]
    assert NAME in said(found)[0]


def test_an_invalid_one_goes_before_the_next_is_created() -> None:
    """A round ends with its create: what stood behind it would never be done."""
    found = plan(drilled(), DUE, GOOD, drills=(its("s-drill-2026-10-24t11-30-00", "Invalid"),))

    assert [line.split()[0] for line in outline(found)][:2] == ["delete", "create"]
