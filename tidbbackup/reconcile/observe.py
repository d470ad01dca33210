"""Makes frozen facts of the caches, at one instant: nothing here awaits, so no cache changes meanwhile.

Must not decide, and must not ask the API server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from tidbbackup.decide.facts import NO_CAPS, BackupFacts, Caps
from tidbbackup.decide.pod import WorkerImage
from tidbbackup.decide.progress import worker_address
from tidbbackup.decide.restore import RestoreFacts
from tidbbackup.decide.run.ownership import JOB_KIND
from tidbbackup.decide.run.turn import has_begun, have_their_turn
from tidbbackup.decide.schedule.scheduled import ScheduleFacts
from tidbbackup.decide.status import Subject, is_over
from tidbbackup.kube.decode import Malformed
from tidbbackup.kube.store import Change
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.names import COMPONENT, RESTORE, SCHEDULE_LABEL, job_name, owner_label, short
from tidbbackup.model.resource.backup import KIND, Backup, Phase
from tidbbackup.model.resource.kubernetes import Job, Pod
from tidbbackup.model.resource.restore import KIND as RESTORE_KIND
from tidbbackup.model.resource.restore import Restore
from tidbbackup.model.resource.schedule import BackupSchedule
from tidbbackup.reconcile.kinds import (
    BY_ARCHIVE,
    BY_BACKUP,
    BY_RUN,
    BY_SCHEDULE,
    BY_SERVER,
    BY_SHORT_NAME,
    NOT_OVER,
    Caches,
    by_archive,
    by_server,
    readable,
    run_value,
)


def observe_backup(caches: Caches, key: ObjectKey, image: WorkerImage, caps: Caps = NO_CAPS) -> BackupFacts:
    """Everything in the caches about one Backup at this instant."""
    found = caches.backups.get(key)
    if isinstance(found, Malformed):
        # The schema refuses such an object. One from before the schema gets an Event.
        return BackupFacts(readable(found, KIND), image, unreadable=found.why)
    attempt = found.attempt if found is not None else 1
    to_begin = found is not None and not has_begun(found) and not is_over(found.status)
    tried = caches.restores.by(BY_BACKUP, f"{key.namespace}/{key.name}")
    return BackupFacts(
        found,
        image,
        job=_job(caches, "backup", key, attempt),
        pods=_pods(caches, "backup", key),
        aftermath_job=_job(caches, "aftermath", key),
        aftermath_pods=_pods(caches, "aftermath", key),
        readers=tuple(each.key for each in _readers(caches, found)) if found else (),
        drills=tuple(each for each in tried if isinstance(each, Restore) and each.is_drill),
        caps=caps,
        not_over=_not_over(caches, key.namespace) if caps and to_begin else (),
    )


def _not_over(caches: Caches, namespace: str) -> tuple[Backup, ...]:
    return tuple(each for each in caches.backups.by(NOT_OVER, namespace) if isinstance(each, Backup))


def wakes_next(caches: Caches, caps: Caps, change: Change[Backup]) -> Iterable[ObjectKey]:
    """A change of a Backup concerns those of its namespace whose turn it is now."""
    if _only_progress(change):
        return []
    first = have_their_turn(_not_over(caches, change.key.namespace), caps)
    return [each.key for each in first if not has_begun(each)]


def observe_restore(caches: Caches, key: ObjectKey, image: WorkerImage) -> RestoreFacts:
    """Everything in the caches about one Restore at this instant."""
    found = caches.restores.get(key)
    if isinstance(found, Malformed):
        return RestoreFacts(readable(found, RESTORE_KIND), image, unreadable=found.why)
    named = caches.backups.get(ObjectKey(KIND, key.namespace, found.spec.backup)) if found else None
    return RestoreFacts(
        found,
        image,
        job=_job(caches, RESTORE, key),
        pods=_pods(caches, RESTORE, key),
        backup=named if isinstance(named, Backup) else None,
        dumps=tuple(each.metadata.name for each in _dumps(caches, found)) if found else (),
    )


def _readers(caches: Caches, backup: Backup) -> list[Restore]:
    """The Restores, of whichever namespace, that read its archive now."""
    reads = [each for url in by_archive(backup) for each in caches.restores.by(BY_ARCHIVE, url)]
    return [each for each in reads if isinstance(each, Restore)]


def _dumps(caches: Caches, restore: Restore) -> list[Backup]:
    """The Backups that dump now from the server into which it loads."""
    found = [each for server in by_server(restore) for each in caches.backups.by(BY_SERVER, server)]
    return [each for each in found if isinstance(each, Backup) and each.status.phase == Phase.RUNNING]


def _job(caches: Caches, verb: str, key: ObjectKey, attempt: int = 1) -> Job | None:
    named = ObjectKey(JOB_KIND, key.namespace, job_name(verb, key.name, attempt))
    job: Job | None = readable(caches.jobs.get(named), "Job")
    return job


def _pods(caches: Caches, component: str, key: ObjectKey) -> tuple[Pod, ...]:
    found = caches.pods.by(BY_RUN, run_value(component, key.namespace, key.name))
    return tuple(readable(pod, "Pod") for pod in found)


def working(caches: Caches) -> Iterator[tuple[Subject, str]]:
    """The Backups and Restores of which a worker runs now, each with its pod's address.

    Awaits nothing between two.
    """
    for found in (*caches.backups.all(), *caches.restores.all()):
        if isinstance(found, Backup | Restore) and found.status.phase == Phase.RUNNING:
            component = "backup" if isinstance(found, Backup) else RESTORE
            named = run_value(component, found.metadata.namespace, found.metadata.name)
            jobs = [job for job in caches.jobs.by(BY_RUN, named) if isinstance(job, Job)]
            if address := worker_address(found, jobs, _pods(caches, component, found.key)):
                yield found, address


def observe_schedule(caches: Caches, key: ObjectKey) -> ScheduleFacts | None:
    """Everything in the caches about one BackupSchedule at this instant; None if it does not exist."""
    found = caches.schedules.get(key)
    if found is None:
        return None
    if isinstance(found, Malformed):
        return ScheduleFacts(readable(found, key.kind), unreadable=found.why)
    label = f"{key.namespace}/{short(key.name)}"
    made = caches.backups.by(BY_SCHEDULE, label)
    drills = caches.restores.by(BY_SCHEDULE, label)
    return ScheduleFacts(
        found,
        tuple(backup for backup in made if isinstance(backup, Backup)),
        tuple(drill for drill in drills if isinstance(drill, Restore)),
    )


def wakes_backup(caches: Caches, change: Change[Backup]) -> Iterable[ObjectKey]:
    """A change of a Backup concerns its own key, the schedule in its label, the Restores that name it, and
    those that load now into the server from which it dumps.

    A change of its progress alone concerns no key.
    """
    if _only_progress(change):
        return []
    view = change.new or change.old
    of_it = caches.restores.by(BY_BACKUP, f"{change.key.namespace}/{change.key.name}")
    servers = by_server(view) if view else ()
    at_work = [
        each for server in servers for each in caches.restores.by(BY_SERVER, server) if by_archive(each)
    ]
    restores = (each.key for each in (*of_it, *at_work) if isinstance(each, Restore))
    keys = list(dict.fromkeys((change.key, *restores)))
    return [*keys, *_schedules(caches, view)]


def _schedules(caches: Caches, view: Any) -> list[ObjectKey]:
    """The schedule in the label of a Backup or drill."""
    label = view.metadata.labels.get(SCHEDULE_LABEL) if view else None
    if label is None:
        return []
    named = caches.schedules.by(BY_SHORT_NAME, f"{view.metadata.namespace}/{label}")
    return [schedule.key for schedule in named if isinstance(schedule, BackupSchedule)]


def wakes_restore(caches: Caches, change: Change[Restore]) -> Iterable[ObjectKey]:
    """A change of a Restore concerns its own key; once it reads no more, also the Backups of that archive.

    That of a drill concerns its Backup and its schedule too. A change of its progress alone concerns no key.
    """
    if _only_progress(change):
        return []
    read, reads = ([*by_archive(view)] if view else [] for view in (change.old, change.new))
    freed = [each for url in read if url not in reads for each in caches.backups.by(BY_ARCHIVE, url)]
    keys = [change.key, *(each.key for each in freed if isinstance(each, Backup))]
    view = change.new or change.old
    if isinstance(view, Restore) and view.is_drill:
        keys += [ObjectKey(KIND, change.key.namespace, view.spec.backup), *_schedules(caches, view)]
    return list(dict.fromkeys(keys))


def _only_progress(change: Change[Any]) -> bool:
    match change.old, change.new:
        case Backup() | Restore() as old, Backup() | Restore() as new:
            return old.status.progress != new.status.progress and _but_progress(old) == _but_progress(new)
    return False


def _but_progress(subject: Subject) -> tuple[object, ...]:
    meta = attrs.evolve(subject.metadata, resourceVersion="")
    return meta, subject.spec, attrs.evolve(subject.status, progress=None)


def wakes_owner(caches: Caches, change: Change[Job] | Change[Pod]) -> Iterable[ObjectKey]:
    """A change of a Job or pod concerns the Backup or Restore in its label.

    Also if it has another owner: a Job that is not ours may have the name that we need.
    """
    view = change.new or change.old
    component = view.metadata.labels.get(COMPONENT, "") if view else ""
    label = view.metadata.labels.get(owner_label(component)) if view else None
    if label is None:
        return []
    kind, cache = (RESTORE_KIND, caches.restores) if component == RESTORE else (KIND, caches.backups)
    named: list[Any] = list(cache.by(BY_SHORT_NAME, f"{change.key.namespace}/{label}"))
    return [ObjectKey(kind, each.metadata.namespace, each.metadata.name) for each in named]
