"""Our own metrics: gauges from the status of Backups and schedules at each scrape; counters of events.

Labels are namespace and schedule (empty for a Backup made by hand) and never a Backup's own name: the number
of series would grow without end. Gauges keep no state, so a restart loses nothing; counters start at zero.
Must not know when something counts: the caller does.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from tidbbackup.decide.plan import Counted, Tally
from tidbbackup.kube.store import Cache, Change
from tidbbackup.model.names import SCHEDULE_LABEL, short
from tidbbackup.model.resource.backup import Backup, Phase
from tidbbackup.model.resource.restore import Restore
from tidbbackup.model.resource.schedule import BackupSchedule

_GROUP = ["namespace", "schedule"]
_PENDING = "Pending"
"""The phase label of a Backup that has none yet."""

_MINUTE, _HOUR = 60, 3600
DURATION_BUCKETS = (
    *(1, 10, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, 16 * _HOUR, 32 * _HOUR),
)
"""Seconds."""
SIZE_BUCKETS = tuple(4**power << 20 for power in range(11))
"""Bytes: 1 MiB to 1 TiB, each four times the last."""

NAMESPACES = 1000
"""The number of namespaces with counters of Backups made by hand; we do not see their deletion."""

Group = tuple[str, str]
M = TypeVar("M", Counter, Histogram)


class BackupCounters:
    """Counters since the start of the process: schedules that `is_there` knows, and Backups made by hand.

    Invariant: there are series only of schedules that exist, and of a limited number of namespaces.
    """

    def __init__(self, registry: CollectorRegistry, is_there: Callable[[Group], bool]) -> None:
        self._is_there = is_there
        self._series: dict[Group, set[tuple[MetricWrapperBase, tuple[str, ...]]]] = {}

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, [*_GROUP, *labels], registry=registry)

        self._counters = {
            Counted.FINISHED: counter("tidbbackup_backups_finished_total", "Backups that ended.", "result"),
            Counted.MISSED: counter(
                "tidbbackup_schedule_missed_runs_total", "Due times without a Backup.", "reason"
            ),
            Counted.RETENTION: counter(
                "tidbbackup_retention_deleted_total", "Backups that retention has deleted.", "reason"
            ),
            Counted.KEPT: counter(
                "tidbbackup_data_kept_total",
                "Backups that were deleted without the cleaning that their policy asks for.",
                "reason",
            ),
            Counted.CLEAN_FAILED: counter("tidbbackup_clean_failed_total", "Backups whose cleaning failed."),
        }
        self._seconds = Histogram(
            "tidbbackup_backup_duration_seconds",
            "How long complete backups took.",
            _GROUP,
            registry=registry,
            buckets=DURATION_BUCKETS,
        )
        self._bytes = Histogram(
            "tidbbackup_backup_size_bytes",
            "Sizes of their archives.",
            _GROUP,
            registry=registry,
            buckets=SIZE_BUCKETS,
        )

    def count(self, tally: Tally) -> None:
        """Count one event."""
        group = tally.namespace, tally.schedule
        if not self._is_there(group):
            group = tally.namespace, ""
        # The newest last.
        self._series[group] = self._series.pop(group, set())
        reason = () if tally.what is Counted.CLEAN_FAILED else (tally.reason,)
        self._of(self._counters[tally.what], *group, *reason).inc(tally.count)
        if tally.seconds is not None:
            self._of(self._seconds, *group).observe(tally.seconds)
        if tally.size is not None:
            self._of(self._bytes, *group).observe(tally.size)
        for old in [each for each in self._series if not each[1]][:-NAMESPACES]:
            self.forget(old)

    def forget(self, group: Group) -> None:
        """Remove the series of a schedule that was deleted."""
        for metric, labels in self._series.pop(group, ()):
            metric.remove(*labels)

    def _of(self, metric: M, *labels: str) -> M:
        self._series[labels[0], labels[1]].add((metric, labels))
        return metric.labels(*labels)


def schedules_gone(change: Change[BackupSchedule]) -> Iterable[Group]:
    """The route to `BackupCounters.forget`."""
    return [] if change.new else [(change.key.namespace, short(change.key.name))]


def backup_gauges(cache: Cache[Backup]) -> Iterable[Metric]:
    """The gauges over all Backups that the cache holds and that are ours."""
    # Half a picture would show backups vanish and come back at each start.
    return _of_backups(cache.all()) if cache.synced else []


def _of_backups(found: Iterable[object]) -> Iterator[Metric]:
    ours = [view for view in found if isinstance(view, Backup) and not view.foreign]
    yield _phases(ours)
    yield from _last_ones(ours)


def restore_gauges(cache: Cache[Restore]) -> Iterable[Metric]:
    """The gauge over all Restores that the cache holds and that are ours; they belong to no schedule."""
    return _of_restores(cache.all()) if cache.synced else []


def _of_restores(found: Iterable[object]) -> Iterator[Metric]:
    gauge = GaugeMetricFamily("tidbbackup_restores", "Restores by phase.", labels=[*_GROUP, "phase"])
    ours = (view for view in found if isinstance(view, Restore) and not view.foreign)
    counted = collections.Counter(
        (restore.metadata.namespace, "", restore.status.phase or _PENDING) for restore in ours
    )
    for labels, count in sorted(counted.items()):
        gauge.add_metric(labels, count)
    yield gauge


def schedule_gauges(cache: Cache[BackupSchedule], now: Callable[[], datetime]) -> Iterable[Metric]:
    """The gauges over all BackupSchedules, without those that are paused."""
    return _of_schedules(cache.all(), now().timestamp()) if cache.synced else []


def _of_schedules(every: Iterable[object], moment: float) -> Iterator[Metric]:
    next_run = _gauge(
        "tidbbackup_schedule_next_run_timestamp_seconds", "When the next Backup of a schedule is due."
    )
    overdue = _gauge(
        "tidbbackup_schedule_overdue_seconds",
        "How long ago the oldest due time passed whose Backup is not created yet.",
    )
    success = _gauge(
        "tidbbackup_schedule_success_due_timestamp_seconds",
        "By when a Backup of a schedule has to be complete: two intervals after the newest one.",
    )
    proven = _gauge(
        "tidbbackup_last_proven_timestamp_seconds",
        "When a drill of a schedule last proved a Backup; before the first, since when drills are asked for.",
    )
    found = (view for view in every if isinstance(view, BackupSchedule) and not view.spec.pause)
    for meta, status in sorted(
        ((each.metadata, each.status) for each in found), key=lambda each: each[0].uid
    ):
        group = meta.namespace, short(meta.name)
        if status.successDueTime is not None:
            success.add_metric(group, status.successDueTime.timestamp())
        if status.drillSince is not None:
            last = max(status.drillSince, status.lastProvenTime or status.drillSince)
            proven.add_metric(group, last.timestamp())
        if status.nextBackupTime is None:
            continue
        due = status.nextBackupTime.timestamp()
        next_run.add_metric(group, due)
        overdue.add_metric(group, max(moment - due, 0.0))
    yield from (next_run, overdue, success, proven)


def _phases(backups: Iterable[Backup]) -> Metric:
    gauge = GaugeMetricFamily("tidbbackup_backups", "Backups by phase.", labels=[*_GROUP, "phase"])
    counted = collections.Counter((*_group(backup), backup.status.phase or _PENDING) for backup in backups)
    for labels, count in sorted(counted.items()):
        gauge.add_metric(labels, count)
    return gauge


def _last_ones(backups: list[Backup]) -> Iterator[Metric]:
    complete = _newest(backups, Phase.COMPLETE)
    failed = _newest(backups, Phase.FAILED)
    success = _gauge("tidbbackup_last_success_timestamp_seconds", "When a backup last completed.")
    failure = _gauge("tidbbackup_last_failure_timestamp_seconds", "When a backup last failed.")
    size = _gauge("tidbbackup_last_size_bytes", "Size of the newest complete archive.")
    duration = _gauge("tidbbackup_last_duration_seconds", "How long the newest complete backup took.")
    for group, backup in sorted(complete.items()):
        success.add_metric(group, _seconds(backup.status.timeCompleted))
        size.add_metric(group, backup.status.backupSize or 0)
        started, completed = backup.status.timeStarted, backup.status.timeCompleted
        if started and completed:
            duration.add_metric(group, (completed - started).total_seconds())
    for group, backup in sorted(failed.items()):
        failure.add_metric(group, _seconds(backup.status.timeCompleted))
    yield from (success, failure, size, duration)


def _newest(backups: Iterable[Backup], phase: Phase) -> dict[Group, Backup]:
    newest: dict[Group, Backup] = {}
    for backup in backups:
        if backup.status.phase != phase:
            continue
        known = newest.get(_group(backup))
        if known is None or _seconds(known.status.timeCompleted) <= _seconds(backup.status.timeCompleted):
            newest[_group(backup)] = backup
    return newest


def _group(backup: Backup) -> Group:
    return backup.metadata.namespace, backup.metadata.labels.get(SCHEDULE_LABEL, "")


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=_GROUP)
