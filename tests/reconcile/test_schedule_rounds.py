"""A round for a schedule: one that makes Backups, one that removes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from tests.decide.builders import IMAGE
from tests.decide.schedule_builders import DUE, NAME, child, later, schedule, settled
from tests.reconcile.recording import Recording, refusal, uncounted
from tests.reconcile.scene import caches, malformed
from tests.reconcile.test_reconcilers import into
from tidbbackup.decide.schedule.scheduled import manifest
from tidbbackup.kube.errors import ServerError
from tidbbackup.kube.writes import WriteGate
from tidbbackup.model.resource.backup import Backup
from tidbbackup.reconcile.kinds import Caches
from tidbbackup.reconcile.reconcilers import Reconcilers

FINE = [("schedule", "requeue_after"), ("gc", "success")]


async def reconcile(
    double: Recording, held: Caches, now: datetime = DUE
) -> tuple[datetime | None, list[tuple[str, str]]]:
    """One round for the schedule ns/s; when to look again, and what was counted."""
    counted: list[tuple[str, str]] = []
    made = Reconcilers(double.client, WriteGate(), held, IMAGE, lambda: now, into(counted), uncounted)
    return await made.reconcile(schedule().key), counted


def statuses(double: Recording) -> list[Any]:
    """The statuses that were written."""
    patches = zip(double.asked, double.bodies, strict=True)
    return [body["status"] for line, body in patches if line == "patch BackupSchedule ns/s/status"]


def wire(found: Backup, **changes: Any) -> dict[str, Any]:
    """As the API server has it."""
    meta = msgspec.to_builtins(found.metadata) | changes
    return {"metadata": meta, "status": msgspec.to_builtins(found.status)}


async def test_at_its_due_time_a_backup_is_made() -> None:
    double = Recording()
    wake, counted = await reconcile(double, caches(schedules=(settled(),)))

    assert double.asked == [f"create Backup ns/{NAME}"]
    assert (wake, counted) == (later(120), FINE)


async def test_once_the_cache_shows_the_backup_the_status_tells_it() -> None:
    double = Recording()
    wake, _ = await reconcile(double, caches((child(DUE),), schedules=(settled(),)))

    (status,) = statuses(double)
    assert status["lastBackup"] == NAME
    assert wake == later(120)


async def test_before_its_due_time_nothing_is_asked() -> None:
    double = Recording()

    assert await reconcile(double, caches(schedules=(settled(),)), later(59)) == (DUE, FINE)
    assert double.asked == []


async def test_one_that_was_made_already_is_not_made_again() -> None:
    double = Recording(create_Backup=refusal(409, "AlreadyExists"), get_Backup=manifest(settled(), DUE))
    await reconcile(double, caches(schedules=(settled(),)))

    assert double.asked[:2] == [f"create Backup ns/{NAME}", f"get Backup ns/{NAME}"]
    assert statuses(double)[0]["lastBackup"] == NAME


async def test_a_name_that_is_taken_is_a_run_that_was_missed() -> None:
    stranger = wire(child(DUE, labels={}, annotations={}))
    double = Recording(create_Backup=refusal(409, "AlreadyExists"), get_Backup=stranger)
    wake, counted = await reconcile(double, caches(schedules=(settled(),)))

    assert "lastBackup" not in statuses(double)[0]
    assert statuses(double)[0]["missedRuns"] == 1
    assert (wake, counted) == (later(120), FINE)


async def test_a_create_that_is_refused_for_now_is_tried_again_in_a_minute() -> None:
    double = Recording(create_Backup=refusal(403, "Forbidden", "exceeded quota"))
    wake, _ = await reconcile(double, caches(schedules=(settled(),)))

    assert wake == later(61)


async def test_an_error_is_counted_and_retention_waits_for_the_next_round() -> None:
    counted: list[tuple[str, str]] = []
    made = Reconcilers(
        Recording(create_Backup=refusal(500)).client,
        WriteGate(),
        caches(schedules=(settled(),)),
        IMAGE,
        lambda: DUE,
        into(counted),
        uncounted,
    )
    with pytest.raises(ServerError):
        await made.reconcile(schedule().key)

    assert counted == [("schedule", "error")]


OLD = child(later(-120))
NEW = child(later(-60))
KEEPS_ONE = settled(maxBackups=1)


async def test_what_is_too_many_is_deleted_after_a_live_look() -> None:
    double = Recording(get_Backup=wire(OLD))
    double.server_time = later(1)
    held = caches((OLD, NEW), schedules=(settled(maxBackups=1, minBackups=0),))
    _, counted = await reconcile(double, held, later(1))

    assert f"get Backup ns/{OLD.metadata.name}" in double.asked
    assert double.asked[-1] == f"delete Backup ns/{OLD.metadata.name}"
    assert double.bodies[-1]["uid"] == OLD.metadata.uid
    assert counted == FINE


async def test_nothing_is_deleted_where_the_clock_of_the_api_server_says_otherwise() -> None:
    double = Recording(get_Backup=wire(OLD))
    double.server_time = later(-60)
    held = caches((OLD, NEW), schedules=(settled(maxBackups=1, minBackups=0),))
    wake, _ = await reconcile(double, held, later(1))

    assert [line for line in double.asked if line.startswith("delete")] == []
    assert "ClocksDiffer" in [body["reason"] for body in double.bodies if body and "reason" in body]
    assert wake == later(11)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(404),
        wire(OLD, uid="another of that name"),
        wire(OLD, deletionTimestamp="2026-10-24T12:00:30Z"),
    ],
)
async def test_what_the_server_does_not_show_like_that_is_left(answer: Any) -> None:
    double = Recording(get_Backup=answer)
    held = caches((OLD, NEW), schedules=(settled(maxBackups=1, minBackups=0),))
    wake, _ = await reconcile(double, held, later(1))

    assert [line for line in double.asked if line.startswith("delete")] == []
    assert wake is not None
    assert (wake - later(1)).total_seconds() == 10


async def test_where_there_is_a_floor_the_one_it_rests_on_is_looked_at_too() -> None:
    double = Recording(get_Backup=wire(OLD))
    await reconcile(double, caches((OLD, NEW), schedules=(KEEPS_ONE,)), later(1))

    assert double.asked[-2:] == [f"get Backup ns/{each.metadata.name}" for each in (OLD, NEW)]


async def test_it_looks_again_when_the_next_one_is_too_old() -> None:
    held = caches((NEW,), schedules=(settled(maxReservedTime="100m", minBackups=0),))
    wake, counted = await reconcile(Recording(), held, later(1))

    assert wake == later(40)
    assert counted == [("schedule", "requeue_after"), ("gc", "requeue_after")]


async def test_one_that_is_gone_or_cannot_be_read_leaves_all_as_it_is() -> None:
    for held in (caches((OLD, NEW)), caches((OLD, NEW), schedules=(malformed(KEEPS_ONE),))):
        double = Recording()
        assert (await reconcile(double, held))[0] is None
        assert all(line.startswith("create Event") for line in double.asked)
