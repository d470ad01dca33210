"""What a schedule does at a due time, and what it writes when it does nothing.

Here is also what decide/schedule/events.py, decide/schedule/ledger.py, decide/schedule/readiness.py,
decide/schedule/scheduled.py and decide/schedule/status.py promise.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import attrs
import msgspec
import pytest

from tests.decide.builders import outline, patch_of, tallies
from tests.decide.schedule_builders import (
    BEGIN,
    DUE,
    NAME,
    TEMPLATE,
    UID,
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
from tidbbackup.decide.plan import Counted, Create, Plan, Tally
from tidbbackup.decide.schedule.scheduled import backup_name, is_same_run, manifest
from tidbbackup.decide.spec.task import clean_policy
from tidbbackup.model.meta import Meta
from tidbbackup.model.resource.backup import Backup, CleanPolicy, decode_backup, spec_from_wire
from tidbbackup.model.resource.schedule import BackupSchedule


def test_a_new_schedule_says_when_it_is_next_due() -> None:
    found = plan(schedule(), later(1))

    assert outline(found) == ["status -"]
    patch = patch_of(found)
    assert (patch["nextBackupTime"], patch["scheduleSince"]) == (
        "2026-10-24T13:00:00Z",
        "2026-10-24T12:00:00Z",
    )
    assert (patch["observedSchedule"], patch["observedTimeZone"], patch["observedPause"]) == (
        "0 * * * *",
        "UTC",
        False,
    )
    assert patch["observedGeneration"] == 1
    assert ready(found)[:2] == ("True", "Ready")
    assert found.wake_at == DUE


def test_until_then_it_does_nothing() -> None:
    assert plan(settled(), later(59)) == Plan(wake_at=DUE)


def test_when_due_it_makes_the_backup_then_says_so_then_writes_it() -> None:
    found = plan(settled(), DUE)

    assert outline(found) == [f"create {NAME}", "Normal BackupCreated", "status -"]
    patch = patch_of(found)
    assert (patch["lastBackup"], patch["lastBackupTime"]) == (NAME, "2026-10-24T13:00:00Z")
    assert (patch["lastDueTime"], patch["nextBackupTime"]) == ("2026-10-24T13:00:00Z", "2026-10-24T14:00:00Z")
    assert patch["active"] == (NAME,)
    assert counts(found) == {}
    assert found.wake_at == DUE + timedelta(hours=1)


def test_the_backup_is_what_the_template_says() -> None:
    meta = attrs.evolve(
        schedule().metadata,
        labels={"app.kubernetes.io/instance": "gitops"},
        annotations={
            "iam.amazonaws.com/role": "r",
            "kubectl.kubernetes.io/last-applied-configuration": "x",
            "argocd.argoproj.io/tracking-id": "x",
            "kustomize.toolkit.fluxcd.io/prune": "x",
            "meta.helm.sh/release-name": "x",
            "tidb.pingcap.com/due-time": "x",
        },
    )
    given: dict[str, Any] = {
        "storageClassName": "fast",
        "storageSize": "9Gi",
        "serviceAccount": "sa",
        "imagePullSecrets": [{"name": "p"}],
    }
    made = manifest(attrs.evolve(schedule(**given), metadata=meta), DUE)

    assert made["metadata"] == {
        "name": NAME,
        "namespace": "ns",
        "labels": {"tidb.pingcap.com/backup-schedule": "s"},
        "annotations": {
            "iam.amazonaws.com/role": "r",
            "tidb.pingcap.com/due-time": "2026-10-24T13:00:00Z",
            "tidb.pingcap.com/schedule-uid": UID,
            "argocd.argoproj.io/sync-options": "Prune=false",
        },
    }
    assert made["spec"] == TEMPLATE | given
    read = decode_backup(msgspec.json.encode(made))
    assert (read.spec, clean_policy(read)) == (
        spec_from_wire(msgspec.json.encode(TEMPLATE | given)),
        CleanPolicy.DELETE,
    )
    assert is_same_run(read.metadata, made)
    assert not is_same_run(Meta(name=NAME), made)
    assert not is_same_run(read.metadata, manifest(schedule(), DUE + timedelta(hours=1)))


def test_died_after_making_it_the_next_run_goes_on() -> None:
    found = plan(settled(), later(62), child(DUE, ""))

    assert outline(found) == ["Normal BackupCreated", "status -"]
    assert patch_of(found)["active"] == (NAME,)
    assert counts(found) == {}


@pytest.mark.parametrize("spec", [{"schedule": "*/2 * * * *"}, {"schedule": "@every 2m"}])
def test_after_ten_years_there_is_one_catch_up(spec: dict[str, Any]) -> None:
    now = BEGIN + timedelta(days=3653, seconds=30)
    found = plan(settled(**spec), now)

    assert outline(found) == [
        "Warning MissedDowntime",
        f"create {backup_name('s', now.replace(second=0))}",
        "Normal BackupCreated",
        "status -",
    ]
    assert counts(found) == {"missedRuns": 999}
    assert "at least 999 due before 2036-10-24T12:00:00Z" in said(found)[0]


def test_an_outage_is_counted_but_for_what_ran() -> None:
    found = plan(settled(), later(245), child(DUE))

    assert outline(found)[1] == "create s-2026-10-24t16-00-00"
    assert counts(found) == {"missedRuns": 2}
    assert tallies(found) == [Tally(Counted.MISSED, "ns", "s", "MissedDowntime", 2)]


RUNS = child(DUE, "Running")
UNPAUSED = attrs.evolve(settled(pause=True), spec=schedule().spec)
EDITED = attrs.evolve(settled(), spec=schedule(schedule="30 * * * *").spec)


@pytest.mark.parametrize(
    ("found", "minutes", "backups", "refusal", "reason", "written"),
    [
        (settled(), 125, (RUNS,), None, "SkippedOverlap", {"skippedRuns": 1}),
        (settled(pause=True), 125, (), None, "SkippedPaused", {"pausedRuns": 2}),
        (UNPAUSED, 125, (), None, "SkippedPaused", {"pausedRuns": 2}),
        (settled(startingDeadlineSeconds=60), 65, (), None, "MissedDeadline", {"missedRuns": 1}),
        (settled(), 185, (), None, "MissedDowntime", {"missedRuns": 2}),
        (EDITED, 125, (), None, "MissedEdited", {"missedRuns": 2}),
        (settled(), 65, (), Refusal(409, "taken"), "MissedNameTaken", {"missedRuns": 1}),
        (settled(), 65, (), Refusal(422, "no"), "MissedRefused", {"missedRuns": 1}),
        (settled(backupTemplate=None), 65, (), None, "MissedInvalid", {"missedRuns": 1}),
    ],
)
def test_each_that_does_not_run_is_counted_in_status_and_metric(
    found: BackupSchedule,
    minutes: float,
    backups: tuple[Backup, ...],
    refusal: Refusal | None,
    reason: str,
    written: dict[str, int],
) -> None:
    before: dict[str, Any] = {"missedRuns": 10, "skippedRuns": 20, "pausedRuns": 30}
    counted = attrs.evolve(found, status=attrs.evolve(found.status, **before))
    decided = plan(counted, later(minutes), *backups, refusal=refusal)

    assert counts(decided) == {name: before[name] + count for name, count in written.items()}
    (count,) = written.values()
    assert tallies(decided) == [Tally(Counted.MISSED, "ns", "s", reason, count)]


def test_while_one_runs_the_next_is_skipped_not_put_off() -> None:
    running = child(DUE, "Running")
    found = plan(settled(), later(120), running)

    assert outline(found) == ["Warning SkippedOverlap", "status -"]
    assert counts(found) == {"skippedRuns": 1}
    assert NAME in said(found)[0]
    assert patch_of(found)["lastDueTime"] == "2026-10-24T14:00:00Z"
    world = World(settled(), now=later(120), backups={NAME: running})
    world.reconcile()
    world.backups[NAME] = child(DUE)
    world.advance(later(125))
    assert world.reconcile() == later(180)
    assert world.made == {}


def test_allowed_to_overlap_it_runs() -> None:
    assert f"create {backup_name('s', later(120))}" in outline(
        plan(settled(concurrencyPolicy="Allow"), later(120), child(DUE, "Running"))
    )


@pytest.mark.parametrize(
    ("backup", "blocks"),
    [
        (child(DUE, ""), True),
        (child(DUE, "Scheduled"), True),
        (child(DUE, "Invalid"), False),
        (child(DUE, "Failed"), False),
        (child(DUE, "CleanFailed", deletionTimestamp=DUE), False),
        (
            child(DUE, "Running", deletionTimestamp=DUE, finalizers=("tidb.pingcap.com/backup-protection",)),
            True,
        ),
        (child(DUE, "Running", deletionTimestamp=DUE, finalizers=("somebody/else",)), False),
        (child(DUE, "Running", annotations={}), False),
        (child(DUE, "Running", labels={}), False),
    ],
)
def test_what_holds_up_the_next(backup: Backup, blocks: bool) -> None:
    actions = plan(settled(), later(120), backup).actions

    assert any(isinstance(action, Create) for action in actions) is not blocks


@pytest.mark.parametrize(("seconds", "runs"), [(600, True), (601, False)])
def test_too_late_is_missed(seconds: float, runs: bool) -> None:
    found = plan(settled(startingDeadlineSeconds=600), DUE + timedelta(seconds=seconds, milliseconds=900))

    assert any(isinstance(action, Create) for action in found.actions) is runs
    assert counts(found) == ({} if runs else {"missedRuns": 1})
    assert outline(found)[0] == (f"create {NAME}" if runs else "Warning MissedDeadline")


def test_a_pause_passes_over_and_is_counted() -> None:
    paused = settled(pause=True)
    found = plan(paused, later(61))

    assert outline(found) == ["Normal SkippedPaused", "status -"]
    assert counts(found) == {"pausedRuns": 1}
    assert found.wake_at == later(120)
    assert paused.status.nextBackupTime is None
    assert ready(plan(schedule(pause=True), later(1)))[:2] == ("False", "Paused")


def test_the_end_of_a_pause_counts_from_now() -> None:
    found = plan(attrs.evolve(settled(pause=True), spec=schedule().spec), later(185))

    assert outline(found) == ["Normal SkippedPaused", "Normal Ready", "status -"]
    assert counts(found) == {"pausedRuns": 3}
    assert patch_of(found)["scheduleSince"] == "2026-10-24T15:05:00Z"
    assert found.wake_at == later(240)


@pytest.mark.parametrize("edit", [{"schedule": "30 * * * *"}, {"timeZone": "Asia/Kathmandu"}])
def test_an_edit_counts_from_now(edit: dict[str, Any]) -> None:
    found = plan(attrs.evolve(settled(), spec=schedule(**edit).spec), later(62))

    assert [word for word in outline(found) if word.startswith("create")] == []
    assert counts(found) == {"missedRuns": 1}
    assert patch_of(found)["scheduleSince"] == "2026-10-24T13:02:00Z"


def test_an_edit_of_anything_else_changes_no_time() -> None:
    found = plan(attrs.evolve(settled(), spec=schedule(maxBackups=3).spec), later(61))

    assert outline(found)[0] == f"create {NAME}"


def test_success_is_remembered_when_its_backup_is_gone() -> None:
    world = World(settled(), now=later(62), backups={NAME: child(DUE)})
    world.reconcile()
    assert (world.schedule.status.lastSuccessfulBackup, world.schedule.status.lastSuccessfulTime) == (
        NAME,
        DUE,
    )

    world.backups = {}
    world.reconcile()
    status = world.schedule.status
    assert (status.lastSuccessfulBackup, status.lastBackup, status.lastBackupTime) == (NAME, NAME, DUE)


@pytest.mark.parametrize(
    ("spec", "completed", "due"),
    [
        ({}, later(65), later(65 + 120)),
        ({}, None, later(120)),
        ({"schedule": "@every 90m"}, later(95), later(95 + 180)),
        # On a Saturday: Friday's, then Monday and Tuesday are two intervals after it.
        ({"schedule": "0 11 * * 1-5"}, later(5), later(5) + timedelta(days=4)),
    ],
)
def test_a_success_is_due_two_intervals_after_the_last(
    spec: dict[str, Any], completed: datetime | None, due: datetime
) -> None:
    made = child(DUE)
    done = attrs.evolve(made, status=attrs.evolve(made.status, timeCompleted=completed))
    found = plan(schedule(**spec), later(100), *([done] if completed else []))

    assert patch_of(found)["successDueTime"] == f"{due:%Y-%m-%dT%H:%M:%SZ}"


def test_a_success_that_was_deleted_does_not_count() -> None:
    world = World(settled(), now=later(62), backups={NAME: child(DUE)})
    world.reconcile()
    assert world.schedule.status.successDueTime == DUE + timedelta(hours=2)
    world.backups = {}
    world.reconcile()
    assert world.schedule.status.successDueTime == later(120)


def test_a_schedule_in_a_pause_owes_no_success_and_one_that_is_not_valid_owes_it_at_once() -> None:
    assert settled(pause=True).status.successDueTime is None
    assert settled(schedule="never").status.successDueTime == BEGIN
    assert settled(backupTemplate={}).status.successDueTime == BEGIN


def test_a_clock_put_back_does_not_silence_it() -> None:
    ahead = attrs.evolve(settled().status, lastDueTime=BEGIN + timedelta(days=365))
    found = plan(attrs.evolve(settled(), status=ahead), later(10))

    assert patch_of(found)["lastDueTime"] is None
    assert found.wake_at == DUE
    world = World(attrs.evolve(settled(), status=ahead), now=later(10))
    world.live(later(65))
    assert list(world.made) == [NAME]
