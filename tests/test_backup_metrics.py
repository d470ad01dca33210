"""The gauges over all Backups, computed from their status."""

from datetime import datetime
from typing import Any

import attrs
import pytest
from prometheus_client import CollectorRegistry

from tests.decide.builders import NOW, backup, later, status
from tests.decide.schedule_builders import schedule
from tests.decide.spec.test_restored import restore
from tidbbackup.backup_metrics import (
    BackupCounters,
    backup_gauges,
    restore_gauges,
    schedule_gauges,
    schedules_gone,
)
from tidbbackup.decide.plan import Counted, Tally
from tidbbackup.kube.store import Change, Store
from tidbbackup.kube.updates import Relisted
from tidbbackup.model.names import SCHEDULE_LABEL, short
from tidbbackup.model.resource.backup import Backup, BackupStatus
from tidbbackup.model.resource.restore import Restore, RestoreStatus
from tidbbackup.model.resource.schedule import BackupSchedule, BackupScheduleStatus
from tidbbackup.reconcile.kinds import BACKUPS, RESTORES, SCHEDULES


def gauges(*found: Backup) -> dict[str, dict[tuple[str, ...], float]]:
    """What a scrape shows of these Backups: name, label values, value."""
    store: Store[Backup] = Store(BACKUPS)
    named = [
        attrs.evolve(each, metadata=attrs.evolve(each.metadata, name=f"b{number}"))
        for number, each in enumerate(found)
    ]
    store.apply(Relisted(tuple(named), "9"))
    return {
        metric.name: {tuple(sample.labels.values()): sample.value for sample in metric.samples}
        for metric in backup_gauges(store.cache)
    }


def ended(phase: str, at: datetime = NOW, **fields: Any) -> BackupStatus:
    """A status of a run that ended then."""
    return status(phase, timeCompleted=at, **fields)


def test_restores_by_phase() -> None:
    store: Store[Restore] = Store(RESTORES)
    assert list(restore_gauges(store.cache)) == [], "half a picture is not shown"
    loaded = attrs.evolve(restore(), status=RestoreStatus(phase="Complete", observedGeneration=1))
    theirs = attrs.evolve(restore(), status=RestoreStatus(phase="Complete"))
    named = [
        attrs.evolve(each, metadata=attrs.evolve(each.metadata, name=f"r{number}"))
        for number, each in enumerate((loaded, restore(), theirs))
    ]
    store.apply(Relisted(tuple(named), "9"))
    (gauge,) = restore_gauges(store.cache)
    shown = {tuple(sample.labels.values()): sample.value for sample in gauge.samples}
    assert shown == {("ns", "", "Complete"): 1, ("ns", "", "Pending"): 1}


def test_phases_by_namespace_and_schedule() -> None:
    nightly = {"labels": {SCHEDULE_LABEL: "nightly"}}
    shown = gauges(
        backup(),
        backup(status=status("Running")),
        backup(status=ended("Failed")),
        backup(status=status("Failed"), **nightly),
    )

    assert shown["tidbbackup_backups"] == {
        ("ns", "", "Pending"): 1,
        ("ns", "", "Running"): 1,
        ("ns", "", "Failed"): 1,
        ("ns", "nightly", "Failed"): 1,
    }


def test_the_newest_counts() -> None:
    old = ended("Complete", NOW, backupSize=1, timeStarted=NOW)
    new = ended("Complete", later(100), backupSize=2, timeStarted=later(40))
    shown = gauges(backup(status=new), backup(status=old), backup(status=ended("Failed", later(7))))

    group = ("ns", "")
    assert shown["tidbbackup_last_success_timestamp_seconds"] == {group: later(100).timestamp()}
    assert shown["tidbbackup_last_failure_timestamp_seconds"] == {group: later(7).timestamp()}
    assert shown["tidbbackup_last_size_bytes"] == {group: 2}
    assert shown["tidbbackup_last_duration_seconds"] == {group: 60}


def test_a_duration_that_is_not_known_is_not_made_up() -> None:
    assert gauges(backup(status=ended("Complete")))["tidbbackup_last_duration_seconds"] == {}


def test_history_of_another_operator_is_not_counted() -> None:
    assert gauges(backup(status=BackupStatus(phase="Complete")))["tidbbackup_backups"] == {}


def test_half_a_picture_is_not_shown() -> None:
    store: Store[Backup] = Store(BACKUPS)

    assert list(backup_gauges(store.cache)) == []


PROVEN = "tidbbackup_last_proven_timestamp_seconds"
NEXT, OVERDUE = "tidbbackup_schedule_next_run_timestamp_seconds", "tidbbackup_schedule_overdue_seconds"
SUCCESS_DUE = "tidbbackup_schedule_success_due_timestamp_seconds"


def schedule_shown(*found: BackupSchedule, at: datetime = NOW) -> dict[str, dict[tuple[str, ...], float]]:
    """What a scrape shows of these schedules."""
    store: Store[BackupSchedule] = Store(SCHEDULES)
    store.apply(Relisted(found, "9"))
    return {
        metric.name: {tuple(sample.labels.values()): sample.value for sample in metric.samples}
        for metric in schedule_gauges(store.cache, lambda: at)
    }


def test_when_a_schedule_is_due_next() -> None:
    due = schedule(BackupScheduleStatus(nextBackupTime=later(60)))

    assert schedule_shown(due) == {
        NEXT: {("ns", "s"): later(60).timestamp()},
        OVERDUE: {("ns", "s"): 0},
        SUCCESS_DUE: {},
        PROVEN: {},
    }


def test_by_when_a_schedule_owes_a_success_also_if_it_is_never_due() -> None:
    owed = BackupScheduleStatus(successDueTime=later(60))

    assert schedule_shown(schedule(owed))[SUCCESS_DUE] == {("ns", "s"): later(60).timestamp()}
    assert schedule_shown(schedule(owed, pause=True))[SUCCESS_DUE] == {}


def test_when_a_drill_last_proved_a_backup_or_since_when_one_is_asked_for() -> None:
    never = BackupScheduleStatus(drillSince=NOW)
    assert schedule_shown(schedule(never))[PROVEN] == {("ns", "s"): NOW.timestamp()}
    assert schedule_shown(schedule(never, pause=True))[PROVEN] == {}, "a pause stops drills too"
    proven = attrs.evolve(never, lastProvenTime=later(60))
    assert schedule_shown(schedule(proven))[PROVEN] == {("ns", "s"): later(60).timestamp()}
    former = attrs.evolve(never, drillSince=None, lastProvenTime=later(60))
    assert schedule_shown(schedule(former))[PROVEN] == {}


def test_how_long_a_backup_is_overdue() -> None:
    due = schedule(BackupScheduleStatus(nextBackupTime=later(60)))

    assert schedule_shown(due, at=later(150))[OVERDUE] == {("ns", "s"): 90}


def test_a_paused_one_and_one_that_is_never_due_are_not_overdue() -> None:
    paused = schedule(BackupScheduleStatus(nextBackupTime=NOW), pause=True)
    for found in (paused, schedule()):
        shown = schedule_shown(found, at=later(60))
        assert shown == {NEXT: {}, OVERDUE: {}, SUCCESS_DUE: {}, PROVEN: {}}


def test_a_schedule_has_the_same_label_as_its_backups() -> None:
    found = schedule(BackupScheduleStatus(nextBackupTime=NOW))
    long = attrs.evolve(found, metadata=attrs.evolve(found.metadata, name="n" * 100))

    assert set(schedule_shown(long)[NEXT]) == {("ns", short("n" * 100))}


def test_half_a_picture_of_schedules_is_not_shown() -> None:
    store: Store[BackupSchedule] = Store(SCHEDULES)

    assert list(schedule_gauges(store.cache, lambda: NOW)) == []


def test_what_happened_is_counted() -> None:
    registry = CollectorRegistry()
    counters = BackupCounters(registry, lambda group: True)
    counters.count(Tally(Counted.FINISHED, "ns", "s", "Complete", seconds=61, size=5 << 20))
    counters.count(Tally(Counted.FINISHED, "ns", "", "Failed"))
    counters.count(Tally(Counted.MISSED, "ns", "s", "MissedDowntime", 3))
    counters.count(Tally(Counted.MISSED, "ns", "s", "MissedDowntime"))
    counters.count(Tally(Counted.RETENTION, "ns", "s", "RetentionExpired"))
    counters.count(Tally(Counted.CLEAN_FAILED, "ns", "s"))

    def value(name: str, schedule: str = "s", **labels: str) -> float | None:
        return registry.get_sample_value(name, {"namespace": "ns", "schedule": schedule} | labels)

    finished = "tidbbackup_backups_finished_total"
    assert (value(finished, result="Complete"), value(finished, "", result="Failed")) == (1, 1)
    assert value("tidbbackup_schedule_missed_runs_total", reason="MissedDowntime") == 4
    assert value("tidbbackup_retention_deleted_total", reason="RetentionExpired") == 1
    assert value("tidbbackup_clean_failed_total") == 1
    assert value("tidbbackup_backup_duration_seconds_sum") == 61
    assert value("tidbbackup_backup_duration_seconds_bucket", le="300.0") == 1
    assert value("tidbbackup_backup_duration_seconds_bucket", le="60.0") == 0
    assert value("tidbbackup_backup_size_bytes_sum") == 5 << 20
    assert value("tidbbackup_backup_size_bytes_count", "") is None


def sizes(registry: CollectorRegistry) -> dict[str, int]:
    """How many series there are of each group with a label."""
    groups: dict[str, int] = {}
    for sample in (sample for metric in registry.collect() for sample in metric.samples):
        group = "/".join((sample.labels["namespace"], sample.labels["schedule"]))
        groups[group] = groups.get(group, 0) + 1
    return groups


def tally_all(counters: BackupCounters, namespace: str, name: str) -> None:
    """Everything happens there."""
    for what in Counted:
        counters.count(Tally(what, namespace, name, "Why", seconds=60, size=5))


def test_a_schedule_that_goes_takes_its_series_along_and_leaves_those_of_others() -> None:
    registry = CollectorRegistry()
    counters = BackupCounters(registry, lambda group: True)
    for name in ("s", "other", ""):
        tally_all(counters, "ns", name)
    before = sizes(registry)
    assert set(before) == {"ns/s", "ns/other", "ns/"}

    went = schedule()
    for change in (Change(went.key, None, went), Change(went.key, went, went)):
        assert list(schedules_gone(change)) == []
    for group in schedules_gone(Change(went.key, went, None)):
        counters.forget(group)
        counters.forget(group)
    assert sizes(registry) == {name: size for name, size in before.items() if name != "ns/s"}
    tally_all(counters, "ns", "s")
    assert sizes(registry) == before


def test_what_happens_to_backups_of_a_schedule_that_is_no_more_counts_as_made_by_hand() -> None:
    registry = CollectorRegistry()
    counters = BackupCounters(registry, lambda group: group == ("ns", "s"))
    for name in ("s", "former", "label of a stranger"):
        tally_all(counters, "ns", name)

    assert set(sizes(registry)) == {"ns/s", "ns/"}


def test_namespaces_that_come_and_go_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidbbackup.backup_metrics.NAMESPACES", 3)
    registry = CollectorRegistry()
    counters = BackupCounters(registry, lambda group: group == ("ns", "s"))
    tally_all(counters, "ns", "s")
    for number in (0, 1, 2, 0, 3, 4):
        tally_all(counters, f"n{number}", "")

    assert set(sizes(registry)) == {"ns/s", "n0/", "n3/", "n4/"}
