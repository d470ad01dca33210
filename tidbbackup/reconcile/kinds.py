"""The kinds that the controller watches: how each is served, decoded and indexed.

Must not know what is done with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from attrs import frozen

from tidbbackup.decide.status import Subject, is_over
from tidbbackup.kube.client import EVERYTHING, Selector
from tidbbackup.kube.decode import Decode, Malformed
from tidbbackup.kube.resources import CRDS, EVENTS, JOBS, PODS, Resource
from tidbbackup.kube.store import Cache, Index
from tidbbackup.model.meta import Definition, Meta, ObjectKey
from tidbbackup.model.names import (
    COMPONENT,
    GROUP,
    MANAGED_BY,
    OURS,
    SCHEDULE_LABEL,
    VERSION,
    owner_label,
    short,
)
from tidbbackup.model.resource.backup import Backup, decode_backup
from tidbbackup.model.resource.kubernetes import Happening, Job, Pod, decode_job
from tidbbackup.model.resource.restore import Restore, decode_restore
from tidbbackup.model.resource.schedule import BackupSchedule, decode_schedule

BACKUPS = Resource(GROUP, VERSION, "backups", "Backup")
SCHEDULES = Resource(GROUP, VERSION, "backupschedules", "BackupSchedule")
RESTORES = Resource(GROUP, VERSION, "restores", "Restore")

BY_RUN = "run"
"""Index of Jobs and pods by Backup or Restore and purpose, see `run_value`."""

BY_SHORT_NAME = "short-name"
"""Index of Backups and schedules by the label value of the objects created for them."""

BY_BACKUP = "backup"
"""Index of Restores by the Backup that they name."""

BY_SERVER = "server"
"""Index of Backups and Restores by the server from which they dump, or into which they load."""

NOT_OVER = "not-over"
"""Index of Backups whose runs are not over, by namespace."""

BY_ARCHIVE = "archive"
"""Index of Backups by the archive that is theirs, and of Restores by the one that they read now."""

BY_SCHEDULE = "schedule"
"""Index of Backups and drills by their schedule."""


@frozen
class Caches:
    """The read halves of all stores; the reconcilers share them."""

    backups: Cache[Backup]
    jobs: Cache[Job]
    pods: Cache[Pod]
    schedules: Cache[BackupSchedule]
    restores: Cache[Restore]

    def subject(self, key: ObjectKey) -> Subject | None:
        """The Backup or Restore with this key, if it is there and can be read."""
        found = self.restores.get(key) if key.kind == RESTORES.kind else self.backups.get(key)
        return found if isinstance(found, Backup | Restore) else None


def run_value(component: str, namespace: str, name: str) -> str:
    """The BY_RUN value of the Jobs and pods with that `component` (backup, aftermath, restore) of a name."""
    return f"{component}/{namespace}/{short(name)}"


def by_run(view: Job | Pod | Malformed) -> Iterable[str]:
    """The BY_RUN value of a Job or pod, from its labels."""
    meta: Meta = view.metadata
    component = meta.labels.get(COMPONENT)
    name = meta.labels.get(owner_label(component)) if component else None
    return [f"{component}/{meta.namespace}/{name}"] if name else []


def by_backup(view: Restore | Malformed) -> Iterable[str]:
    """The BY_BACKUP value of a Restore, from its spec."""
    named = view.spec.backup if isinstance(view, Restore) else ""
    return [f"{view.metadata.namespace}/{named}"] if named else []


def by_server(view: Backup | Restore | Malformed) -> Iterable[str]:
    """The BY_SERVER value of a Backup or Restore: a host's name may mean another one in another namespace."""
    if isinstance(view, Malformed):
        return []
    server = view.spec.source if isinstance(view, Backup) else view.spec.to
    return [f"{view.metadata.namespace}/{server.address}"] if server else []


def not_over(view: Backup | Malformed) -> Iterable[str]:
    """The NOT_OVER value of a Backup."""
    return [] if isinstance(view, Malformed) or is_over(view.status) else [view.metadata.namespace]


def by_archive(view: Backup | Restore | Malformed) -> Iterable[str]:
    """The BY_ARCHIVE value of a Backup or Restore."""
    if isinstance(view, Malformed):
        return []
    url = view.status.backupPath if isinstance(view, Backup) else view.reads
    return [url] if url else []


def by_schedule(view: Backup | Restore | Malformed) -> Iterable[str]:
    """The BY_SCHEDULE value of a Backup or Restore, from its label."""
    label = view.metadata.labels.get(SCHEDULE_LABEL)
    return [f"{view.metadata.namespace}/{label}"] if label else []


def by_short_name(view: Backup | BackupSchedule | Restore | Malformed) -> Iterable[str]:
    """The BY_SHORT_NAME value of a Backup, schedule or Restore."""
    return [f"{view.metadata.namespace}/{short(view.metadata.name)}"]


@frozen
class Kind:
    """How one kind is served, read and found."""

    resource: Resource
    view: type[Any]
    decode: Decode[Any]
    indexes: Mapping[str, Index[Any]] = {}
    selector: Selector = EVERYTHING
    """Which objects are followed."""


# Only what we made is of interest: other Jobs and pods of the cluster never reach this process.
_OURS = Selector(labels=f"{MANAGED_BY}={OURS}")


def _plain(resource: Resource, view: type[Any], *followed: Any) -> Kind:
    return Kind(resource, view, msgspec.json.Decoder(view).decode, *followed)


_OF_RUNS: dict[str, Index[Any]] = {
    BY_SHORT_NAME: by_short_name,
    BY_SERVER: by_server,
    BY_ARCHIVE: by_archive,
}
KINDS = {
    kind.resource.kind: kind
    for kind in (
        Kind(BACKUPS, Backup, decode_backup, _OF_RUNS | {BY_SCHEDULE: by_schedule, NOT_OVER: not_over}),
        Kind(SCHEDULES, BackupSchedule, decode_schedule, {BY_SHORT_NAME: by_short_name}),
        Kind(
            *(RESTORES, Restore, decode_restore),
            _OF_RUNS | {BY_BACKUP: by_backup, BY_SCHEDULE: by_schedule},
        ),
        Kind(JOBS, Job, decode_job, {BY_RUN: by_run}, _OURS),
        _plain(PODS, Pod, {BY_RUN: by_run}, _OURS),
        _plain(EVENTS, Happening),
        _plain(CRDS, Definition),
    )
}


def readable(found: Any, kind: str) -> Any:
    """The object itself, or its metadata if it cannot be read: it exists, and has not ended."""
    return KINDS[kind].view(found.metadata) if isinstance(found, Malformed) else found
