"""What the controller would decide about the Backups in a file: the same pure code, no cluster.

Must not know Kubernetes' API, and must not decide by itself.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, TypeVar

import attrs
import msgspec
import yaml
from attrs import frozen

from tidbbackup import kubectl_yaml
from tidbbackup.decide.problem import Problem
from tidbbackup.decide.render import WorkerImage, backup_job, restore_job
from tidbbackup.decide.schedule import readiness
from tidbbackup.decide.spec.restored import Resolved, resolve, restore_notices
from tidbbackup.decide.spec.task import notices
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model import schedule_reasons
from tidbbackup.model.meta import Meta
from tidbbackup.model.names import API_VERSION
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
from tidbbackup.model.resource.schedule import decode_schedule
from tidbbackup.model.resource.storage_spec import S3Spec
from tidbbackup.model.wire import without_nulls
from tidbbackup.schema_check import schema_problems

OK, USAGE, INVALID = 0, 2, 3
B = TypeVar("B", Backup, Restore)
# Whether the Backup that a Restore names is Complete, only the cluster knows.
_ANY_BACKUP = Backup(
    Meta(name="any"),
    BackupSpec(s3=S3Spec(provider="aws", bucket="bucket")),
    BackupStatus(conditions=(Condition(Phase.COMPLETE, "True"),), backupPath="s3://bucket/any.tgz"),
)
UNFIT = (msgspec.ValidationError, UnicodeEncodeError, RecursionError)
"""What `encoded` and decoding raise for an object that the controller could not read."""


class PlainYaml(yaml.SafeDumper):
    """Without YAML's anchors and aliases, which kubectl's users do not expect."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value in full."""
        return True


class Unreadable(Exception):
    """The file cannot be read as Kubernetes YAML; the message has the place."""


@frozen
class Document:
    """One Backup (a schedule's template counts as one) or Restore in a file, or why it is none."""

    kind: str
    title: str
    backup: Backup | None
    wrong: tuple[Problem | str, ...]
    """Each with field, value and cure."""
    warnings: tuple[str, ...] = ()
    restore: Restore | None = None
    """The Restore, if it is one."""


def check(path: str, out: TextIO) -> int:
    """Print every problem of every Backup, BackupSchedule and Restore in the file, with its path."""
    try:
        found = list(documents(path))
    except Unreadable as error:
        print(f"tidbbackup check: {error}", file=sys.stderr)
        return USAGE
    for document in found:
        print(f"{document.title}: {'invalid' if document.wrong else 'ok'}", file=out)
        for problem in document.wrong:
            print(f"  {problem}", file=out)
        for warning in document.warnings if not document.wrong else ():
            print(f"  warning: {warning}", file=out)
    return INVALID if any(document.wrong for document in found) else OK


def render(path: str, image: str, out: TextIO, err: TextIO) -> int:
    """Print the Job of every Backup and Restore in the file; a missing uid or creation time is replaced by an
    example."""
    try:
        found = list(documents(path))
    except Unreadable as error:
        print(f"tidbbackup render: {error}", file=err)
        return USAGE
    for document in found:
        for problem in document.wrong:
            print(f"{document.title}: {problem}", file=err)
    if any(document.wrong for document in found):
        return INVALID
    jobs = [
        backup_job(_as_if_created(document.backup), WorkerImage(image))
        for document in found
        if document.backup
    ]
    for restore in (document.restore for document in found if document.restore):
        if restore.spec.backup:
            name = restore.metadata.name
            print(f"Restore {name}: its Job depends on Backup {restore.spec.backup}", file=err)
            continue
        there = _as_if_created(restore)
        resolved = resolve(there, None)
        assert isinstance(resolved, Resolved)
        jobs.append(restore_job(there, resolved, WorkerImage(image)))
    yaml.dump_all(jobs, out, PlainYaml, sort_keys=False, allow_unicode=True)
    return OK


def objects(path: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """The Backups, BackupSchedules and Restores in a file, also inside its lists: title, value, warnings.

    Raises:
        Unreadable: no such file, or kubectl could not read it.
    """
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        read = list(kubectl_yaml.read(data))
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    except kubectl_yaml.NotYaml as error:
        raise Unreadable(f"{path}: not YAML: {error}") from error
    for value, doubts in ((each, doubts) for top, doubts in read for each in (top, *_items(top))):
        if not isinstance(value, dict) or not (value.get("apiVersion") and value.get("kind")):
            raise Unreadable(f"{path}: holds something without apiVersion or without kind")
        if value["apiVersion"] != API_VERSION or value["kind"] not in (KIND, SCHEDULE_KIND, RESTORE_KIND):
            continue
        kind, meta = value["kind"], value.get("metadata")
        names = [meta.get(name) for name in ("name", "generateName")] if isinstance(meta, dict) else []
        named = [name for name in names if name not in (None, "")]
        if not named:
            raise Unreadable(
                f"{path}: a {kind} has no metadata.name or generateName (was its indentation lost?)"
            )
        if not names[0]:
            doubts = [*doubts, "metadata.generateName: kubectl apply refuses it, use kubectl create"]
        yield f"{kind} {named[0]}", value, doubts


def _items(value: Any) -> list[Any]:
    """What is in a list. In a BackupList it is a Backup, if it does not say what it is."""
    kind, items = (str(value.get("kind")), value.get("items")) if isinstance(value, dict) else ("", None)
    if not isinstance(items, list) or not kind.endswith("List"):
        return [items] if kind == "List" else []
    known = {} if kind == "List" else {"apiVersion": value.get("apiVersion"), "kind": kind[:-4]}
    return [known | item if isinstance(item, dict) else item for item in items]


def encoded(value: dict[str, Any]) -> bytes:
    """The object as the API server has it: without what is left empty, and with a name."""
    meta = value["metadata"]
    made_up = f"{str(meta.get('generateName'))[:58]}{uuid.uuid4().hex[:5]}"
    return msgspec.json.encode(
        without_nulls(value | {"metadata": meta | {"name": meta.get("name") or made_up}})
    )


def documents(path: str) -> Iterator[Document]:
    """The Backups in a file, with their problems.

    Raises:
        Unreadable: no such file, not YAML, or without any of our objects.
    """
    found = [_judged(*each) for each in objects(path)]
    if not found:
        raise Unreadable(f"{path}: holds no {API_VERSION} Backup, BackupSchedule or Restore")
    yield from found


def _judged(title: str, value: dict[str, Any], doubts: list[str]) -> Document:
    kind = value["kind"]
    refused = schema_problems(kind, value)
    if kind == RESTORE_KIND:
        return _judged_restore(title, value, doubts, refused)
    try:
        backup = _backup_in(kind, value)
    except UNFIT as error:
        return Document(kind, title, None, refused or (Problem("spec", None, str(error)),))
    known = {problem.path for problem in refused}
    judged = (_in_its_place(kind, problem) for problem in problems(backup.spec))
    wrong: tuple[Problem | str, ...] = (*refused, *(each for each in judged if each.path not in known))
    warnings = (*doubts, *(notice.message for notice in notices(backup.spec)))
    if kind == SCHEDULE_KIND:
        faults, more = _of_the_schedule(value)
        wrong, warnings = (*wrong, *faults), (*warnings, *more)
    return Document(kind, title, backup, wrong, warnings)


def _judged_restore(
    title: str, value: dict[str, Any], doubts: list[str], refused: tuple[Problem, ...]
) -> Document:
    try:
        restore = decode_restore(encoded(value))
    except UNFIT as error:
        return Document(RESTORE_KIND, title, None, refused or (Problem("spec", None, str(error)),))
    created = restore.metadata.creationTimestamp or datetime.now(UTC)
    restore = attrs.evolve(restore, metadata=attrs.evolve(restore.metadata, creationTimestamp=created))
    found = resolve(restore, _ANY_BACKUP)
    known = {problem.path for problem in refused}
    wrong = () if isinstance(found, Resolved) else tuple(each for each in found if each.path not in known)
    warnings = (*doubts, *(notice.message for notice in restore_notices(restore.spec)))
    return Document(RESTORE_KIND, title, None, (*refused, *wrong), warnings, restore)


def _of_the_schedule(value: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Problems and warnings outside the template: cron, zone, name, retention."""
    schedule = decode_schedule(encoded(value))
    created = schedule.metadata.creationTimestamp or datetime.now(UTC)
    schedule = attrs.evolve(schedule, metadata=attrs.evolve(schedule.metadata, creationTimestamp=created))
    doubt = readiness.retention_fault(schedule)
    own = [
        fault.message
        for fault in readiness.faults(schedule)
        if fault.reason != schedule_reasons.INVALID_TEMPLATE
    ]
    return own, [doubt.message] if doubt else []


def _in_its_place(kind: str, problem: Problem) -> Problem:
    if kind == KIND:
        return problem
    return attrs.evolve(problem, path=problem.path.replace("spec.", "spec.backupTemplate.", 1))


def _backup_in(kind: str, value: dict[str, Any]) -> Backup:
    data = encoded(value)
    if kind == KIND:
        return decode_backup(data)
    schedule = decode_schedule(data)
    if schedule.spec.backupTemplate is None:
        raise msgspec.ValidationError("spec.backupTemplate is missing")
    return Backup(schedule.metadata, schedule.spec.backup_spec())


def _as_if_created(backup: B) -> B:
    meta: Meta = backup.metadata
    return attrs.evolve(
        backup,
        metadata=attrs.evolve(
            meta,
            namespace=meta.namespace or "default",
            uid=meta.uid or str(uuid.UUID(int=0)),
            creationTimestamp=meta.creationTimestamp or datetime.now(UTC).replace(microsecond=0),
        ),
    )
