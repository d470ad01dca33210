"""The kinds that the controller follows: how each is served, decoded and indexed.

Must not know what is done with them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from attrs import frozen

from tidbbackup.kube.decode import Decode, Malformed
from tidbbackup.kube.resources import EVENTS, JOBS, PODS, Resource
from tidbbackup.kube.store import Cache
from tidbbackup.model.backup import Backup, decode_backup
from tidbbackup.model.jobs import Happening, Job, Pod
from tidbbackup.model.meta import Meta
from tidbbackup.model.names import BACKUP_LABEL, COMPONENT, GROUP, VERSION, short

BACKUPS = Resource(GROUP, VERSION, "backups", "Backup")
SCHEDULES = Resource(GROUP, VERSION, "backupschedules", "BackupSchedule")

RESOURCES = {resource.kind: resource for resource in (BACKUPS, SCHEDULES, JOBS, PODS, EVENTS)}

DECODE: dict[str, Decode[Backup] | Decode[Job] | Decode[Pod] | Decode[Happening]] = {
    "Backup": decode_backup,
    "Job": msgspec.json.Decoder(Job).decode,
    "Pod": msgspec.json.Decoder(Pod).decode,
    "Event": msgspec.json.Decoder(Happening).decode,
}

BY_RUN = "run"
"""Index of Jobs and pods: what they do for which Backup, see `run_of`."""

BY_SHORT_NAME = "short-name"
"""Index of Backups by the label value that their Jobs and pods carry."""


@frozen
class Caches:
    """The read halves of all stores; the reconcilers share them."""

    backups: Cache[Backup]
    jobs: Cache[Job]
    pods: Cache[Pod]


def run_value(component: str, namespace: str, backup: str) -> str:
    """The value under which BY_RUN finds what runs `component` (backup, clean) for a Backup."""
    return f"{component}/{namespace}/{short(backup)}"


def by_run(view: Job | Pod | Malformed) -> Iterable[str]:
    """The BY_RUN value of a Job or pod, from its labels."""
    meta: Meta = view.metadata
    backup, component = meta.labels.get(BACKUP_LABEL), meta.labels.get(COMPONENT)
    return [f"{component}/{meta.namespace}/{backup}"] if backup and component else []


def by_short_name(view: Backup | Malformed) -> Iterable[str]:
    """The BY_SHORT_NAME value of a Backup."""
    return [f"{view.metadata.namespace}/{short(view.metadata.name)}"]
