"""What the controller would decide about the Backups in a file: the same pure code, no cluster.

Must not know Kubernetes' API, and must not decide by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO, TypeVar

import attrs
import yaml
from attrs import frozen

from tidbbackup.decide.pod import WorkerImage
from tidbbackup.decide.problem import Problem
from tidbbackup.decide.render import backup_job, restore_job
from tidbbackup.decide.schedule import readiness
from tidbbackup.decide.spec.restored import Resolved, resolve, restore_notices
from tidbbackup.decide.spec.task import notices, resolve_backup
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model import schedule_reasons
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.model.meta import Meta
from tidbbackup.model.resource.backup import (
    KIND,
    Backup,
    BackupSpec,
    BackupStatus,
    Condition,
    Phase,
    decode_backup,
)
from tidbbackup.model.resource.restore import KIND as RESTORE_KIND
from tidbbackup.model.resource.restore import Restore, decode_restore
from tidbbackup.model.resource.schedule import KIND as SCHEDULE_KIND
from tidbbackup.model.resource.schedule import BackupSchedule, decode_schedule
from tidbbackup.model.resource.storage_spec import S3Spec
from tidbbackup.schema_check import schema_problems, without
from tidbbackup.yaml_files import UNFIT, Found, Unreadable, encoded, found_in

OK, USAGE, INVALID = 0, 2, 3
R = TypeVar("R", Backup, BackupSchedule, Restore)
# Whether the Backup that a Restore names is Complete, only the cluster knows.
_ANY_BACKUP = Backup(
    Meta(name="any"),
    BackupSpec(s3=S3Spec(provider="aws", bucket="bucket")),
    BackupStatus(conditions=(Condition(Phase.COMPLETE, "True"),), backupPath="s3://bucket/any.tgz"),
)


class PlainYaml(yaml.SafeDumper):
    """Without YAML's anchors and aliases, which kubectl's users do not expect."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value in full."""
        return True


@frozen
class Document:
    """What a file says of one object, or why it is none of ours."""

    kind: str
    title: str
    wrong: tuple[str, ...]
    """Each with field, value, cure and line."""
    warnings: tuple[str, ...] = ()
    backup: Backup | None = None
    """The Backup; of a schedule the one in its template."""
    restore: Restore | None = None
    """The Restore, if it is one."""


def check(paths: Sequence[str], out: TextIO, err: TextIO) -> int:
    """Print every problem and warning of every Backup, BackupSchedule and Restore in the files.

    What is no object of ours is named, and not checked.
    """
    try:
        found = found_in(paths)
    except Unreadable as error:
        print(f"tidbbackup check: {error}", file=err)
        return USAGE
    several = len({each.file for each in found}) > 1
    faulty = False
    for each in found:
        file = f"{each.file}: " if several else ""
        if not (each.ours or each.wrong):
            print(f"{file}{each.title}: not checked", file=out)
            continue
        document = _judged(each)
        faulty |= bool(document.wrong)
        print(f"{file}{document.title}: {'invalid' if document.wrong else 'ok'}", file=out)
        for problem in document.wrong:
            print(f"  {problem}", file=out)
        for warning in document.warnings:
            print(f"  warning: {warning}", file=out)
    return INVALID if faulty else OK


def render(paths: Sequence[str], image: str, out: TextIO, err: TextIO) -> int:
    """Print the Job of every Backup and Restore in the files.

    A missing uid or creation time is replaced by an example.
    """
    try:
        found = documents(paths)
    except Unreadable as error:
        print(f"tidbbackup render: {error}", file=err)
        return USAGE
    for document in found:
        for problem in document.wrong:
            print(f"{document.title}: {problem}", file=err)
    if any(document.wrong for document in found):
        return INVALID
    jobs = []
    for backup in (document.backup for document in found if document.backup):
        task = resolve_backup(backup)
        assert isinstance(task, WorkerTask)
        jobs.append(backup_job(backup, task, WorkerImage(image)))
    for restore in (document.restore for document in found if document.restore):
        if restore.spec.backup:
            name = restore.metadata.name
            print(f"Restore {name}: its Job depends on Backup {restore.spec.backup}", file=err)
            continue
        resolved = resolve(restore, None)
        assert isinstance(resolved, Resolved)
        jobs.append(restore_job(restore, resolved, WorkerImage(image)))
    yaml.dump_all(jobs, out, PlainYaml, sort_keys=False, allow_unicode=True)
    return OK


def documents(paths: Sequence[str]) -> list[Document]:
    """The Backups, BackupSchedules and Restores in the files, with their problems.

    Raises:
        Unreadable: no such file, not YAML, or without any of our objects.
    """
    return [_judged(each) for each in found_in(paths) if each.ours or each.wrong]


def _judged(found: Found) -> Document:
    refused = schema_problems(found.kind, found.value) if found.ours else ()
    read = _read(found, refused) if found.ours else None
    if isinstance(read, str):
        refused, read = refused or (Problem("spec", None, read),), None
    judged = _NOTHING if read is None else _JUDGES[found.kind](_as_if_created(read))
    known = {problem.path for problem in refused}
    more = (str(each) for each in judged.wrong if isinstance(each, str) or each.path not in known)
    return Document(
        found.kind,
        found.title,
        tuple(map(found.at_its_line, (*found.wrong, *map(str, refused), *more))),
        (*found.doubts, *judged.warnings),
        judged.backup,
        judged.restore,
    )


def _read(found: Found, refused: Sequence[Problem]) -> Any:
    """The object in our types, or why it cannot be read.

    What the schema refuses is left out if it must be: the rest is judged too.
    """
    decode = {KIND: decode_backup, SCHEDULE_KIND: decode_schedule, RESTORE_KIND: decode_restore}[found.kind]
    try:
        return decode(encoded(found.value))
    except UNFIT as error:
        why = str(error)
    try:
        return decode(encoded(without(found.value, [problem.path for problem in refused])))
    except UNFIT:
        return why


@frozen
class _Judged:
    """What is said of an object that can be read."""

    wrong: tuple[Problem | str, ...] = ()
    warnings: tuple[str, ...] = ()
    backup: Backup | None = None
    restore: Restore | None = None


_NOTHING = _Judged()


def _backup(backup: Backup) -> _Judged:
    return _Judged(problems(backup.spec), _told(notices(backup.spec)), backup)


def _schedule(schedule: BackupSchedule) -> _Judged:
    """The template, and what is outside of it: cron, zone, name, retention."""
    if schedule.spec.backupTemplate is None:
        return _Judged(("spec.backupTemplate: is missing",))
    template = Backup(schedule.metadata, schedule.spec.backup_spec())
    inside = (
        attrs.evolve(each, path=each.path.replace("spec.", "spec.backupTemplate.", 1))
        for each in problems(template.spec)
    )
    own = (
        fault.message
        for fault in readiness.faults(schedule)
        if fault.reason != schedule_reasons.INVALID_TEMPLATE
    )
    warnings = (*_told(notices(template.spec)), *_beside(schedule))
    return _Judged((*inside, *own), warnings, template)


def _beside(schedule: BackupSchedule) -> Iterator[str]:
    for fault in readiness.warnings(schedule):
        yield fault.message
    least, most = schedule.spec.minBackups, schedule.spec.maxBackups
    if most and least > most:
        yield f"spec.minBackups: {least}: is more than spec.maxBackups, {most}: {least} are kept"


def _restore(restore: Restore) -> _Judged:
    found = resolve(restore, _ANY_BACKUP)
    wrong = () if isinstance(found, Resolved) else found
    return _Judged(wrong, _told(restore_notices(restore.spec)), restore=restore)


def _told(found: Iterable[Notice]) -> tuple[str, ...]:
    return tuple(notice.message for notice in found)


_JUDGES: dict[str, Callable[[Any], _Judged]] = {
    KIND: _backup,
    SCHEDULE_KIND: _schedule,
    RESTORE_KIND: _restore,
}


def _as_if_created(read: R) -> R:
    """What is not in a cluster yet gets what the API server would give it."""
    meta: Meta = read.metadata
    return attrs.evolve(
        read,
        metadata=attrs.evolve(
            meta,
            namespace=meta.namespace or "default",
            uid=meta.uid or str(uuid.UUID(int=0)),
            creationTimestamp=meta.creationTimestamp or datetime.now(UTC).replace(microsecond=0),
        ),
    )
