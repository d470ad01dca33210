"""Every metric that the controller exports, each with a series: one of everything is made to happen."""

import asyncio
from datetime import UTC, datetime
from functools import partial

import msgspec
from prometheus_client.metrics_core import Metric

from tests.decide.spec.test_restored import restore
from tidbbackup.backup_metrics import BackupCounters, backup_gauges, restore_gauges, schedule_gauges
from tidbbackup.decide.plan import Counted, Tally
from tidbbackup.kube.queue import WorkQueue
from tidbbackup.kube.reflector import Health
from tidbbackup.kube.resources import JOBS
from tidbbackup.kube.store import Store
from tidbbackup.kube.updates import Relisted
from tidbbackup.model.resource.backup import Backup, decode_backup
from tidbbackup.model.resource.restore import Restore
from tidbbackup.model.resource.schedule import BackupSchedule, decode_schedule
from tidbbackup.observability import Metrics
from tidbbackup.reconcile.kinds import BACKUPS, RESTORES, SCHEDULES


def exported() -> list[Metric]:
    """As a scrape would find them, in their order."""
    return asyncio.run(_exported())


async def _exported() -> list[Metric]:
    metrics = Metrics()
    metrics.request("200", "GET")
    metrics.reconciled("backup", "success", 0.1)
    reflector = metrics.reflector(JOBS)
    reflector.listed()
    reflector.watched()
    reflector.restarted("expired")
    queue: WorkQueue[str] = WorkQueue("backup", metrics=metrics.queue("backup"))
    metrics.watch_queue(queue)
    metrics.watch_leader("tidbbackup-controller", lambda: True)
    metrics.watch_reflector(partial(Health, JOBS, synced=True, age_seconds=1.0))
    backups: Store[Backup] = Store(BACKUPS)
    backups.apply(Relisted(tuple(_backup(phase) for phase in ("Complete", "Failed")), "1"))
    metrics.gauges(partial(backup_gauges, backups.cache))
    schedules: Store[BackupSchedule] = Store(SCHEDULES)
    schedules.apply(Relisted((_schedule(),), "1"))
    restores: Store[Restore] = Store(RESTORES)
    restores.apply(Relisted((restore(),), "9"))
    metrics.gauges(partial(restore_gauges, restores.cache))
    metrics.gauges(partial(schedule_gauges, schedules.cache, lambda: datetime(2026, 11, 23, tzinfo=UTC)))
    counters = BackupCounters(metrics.registry, lambda group: True)
    for what in Counted:
        counters.count(Tally(what, "ns", "nightly", "Why", seconds=60, size=5))
    return list(metrics.take().collect())


def _backup(phase: str) -> Backup:
    status = {
        "phase": phase,
        "observedGeneration": 1,
        "backupSize": 5,
        "timeStarted": "2026-11-23T03:00:00Z",
        "timeCompleted": "2026-11-23T03:01:00Z",
    }
    meta = {"name": phase.lower(), "namespace": "ns", "uid": phase, "resourceVersion": "1"}
    return decode_backup(msgspec.json.encode({"metadata": meta, "spec": {}, "status": status}))


def _schedule() -> BackupSchedule:
    meta = {"name": "nightly", "namespace": "ns", "uid": "s", "resourceVersion": "1"}
    status = {"nextBackupTime": "2026-11-24T03:00:00Z", "successDueTime": "2026-11-25T03:00:00Z"}
    return decode_schedule(
        msgspec.json.encode({"metadata": meta, "spec": {"schedule": "@daily"}, "status": status})
    )
