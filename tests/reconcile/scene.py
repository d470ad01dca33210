"""Caches filled by hand, as the reconcilers see them."""

from __future__ import annotations

from typing import Any

import attrs

from tests.decide.builders import job, pod
from tidbbackup.kube.decode import Malformed
from tidbbackup.kube.store import Store
from tidbbackup.kube.updates import Relisted
from tidbbackup.model.names import job_name, labels
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.kubernetes import Job, Pod
from tidbbackup.model.resource.restore import Restore
from tidbbackup.model.resource.schedule import BackupSchedule
from tidbbackup.reconcile.kinds import KINDS, Caches


def caches(
    backups: tuple[Backup | Malformed, ...] = (),
    jobs: tuple[Job | Malformed, ...] = (),
    pods: tuple[Pod | Malformed, ...] = (),
    schedules: tuple[BackupSchedule | Malformed, ...] = (),
    restores: tuple[Restore | Malformed, ...] = (),
) -> Caches:
    """Caches that have seen one list with these objects."""
    listed: dict[str, tuple[Any, ...]] = {"Backup": backups, "Job": jobs, "Pod": pods}
    listed |= {"BackupSchedule": schedules, "Restore": restores}
    stores: list[Store[Any]] = [Store(KINDS[kind].resource, KINDS[kind].indexes) for kind in listed]
    for store, objects in zip(stores, listed.values(), strict=True):
        store.apply(Relisted(objects, "5"))
    return Caches(*(store.cache for store in stores))


def job_of(name: str, verb: str = "backup") -> Job:
    """The Job of that verb of a Backup, or Restore, of that name."""
    return job(
        verb=verb, owner_name=name, name=job_name(verb, name), labels=labels(verb, name), uid=f"{verb}-uid"
    )


def pod_of(name: str, verb: str = "backup", pod_name: str = "p") -> Pod:
    """A pod of that Job."""
    made = pod(name=pod_name, uid=f"uid-{pod_name}", owner=f"{verb}-uid")
    return attrs.evolve(made, metadata=attrs.evolve(made.metadata, labels=labels(verb, name)))


def malformed(of: Any, why: str = "Expected `int`") -> Malformed:
    """The same object, unreadable."""
    return Malformed(of.metadata, why)
