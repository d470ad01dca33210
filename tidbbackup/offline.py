"""What the controller would say and do about the Backups in a file: the same pure code, no cluster.

Must not know Kubernetes' API, and must not judge by itself.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import attrs
import msgspec
import yaml
from attrs import frozen

from tidbbackup.decide.problem import Problem
from tidbbackup.decide.render import WorkerImage, backup_job
from tidbbackup.decide.schedule import readiness
from tidbbackup.decide.spec.task import notices
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model import schedule_reasons
from tidbbackup.model.meta import Meta
from tidbbackup.model.names import API_VERSION
from tidbbackup.model.resource.backup import KIND, Backup, decode_backup
from tidbbackup.model.resource.schedule import KIND as SCHEDULE_KIND
from tidbbackup.model.resource.schedule import decode_schedule
from tidbbackup.model.wire import without_nulls
from tidbbackup.schema_check import schema_problems

OK, USAGE, INVALID = 0, 2, 3


class PlainYaml(yaml.SafeDumper):
    """Without YAML's anchors and aliases, which kubectl's users do not expect."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True


class Unreadable(Exception):
    """The file cannot be read as Kubernetes YAML; the message says where."""


@frozen
class Document:
    """One Backup found in a file (a schedule's template counts as one), or what keeps it from being one."""

    kind: str
    title: str
    backup: Backup | None
    wrong: tuple[Problem | str, ...]
    """Each with field, value and cure."""
    warnings: tuple[str, ...] = ()


def check(path: str, out: TextIO) -> int:
    """Print every problem of every Backup and BackupSchedule in the file, with its path."""
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
    """Print the Job of every Backup in the file; uid and creation time are made up where they are missing."""
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
    yaml.dump_all(jobs, out, PlainYaml, sort_keys=False, allow_unicode=True)
    return OK


def values(path: str) -> list[Any]:
    """The objects in a YAML file, and in the lists in it that `kubectl get -o yaml` writes.

    Raises:
        Unreadable: no such file, or not YAML.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        loaded = [value for value in yaml.safe_load_all(text) if value is not None]
    except yaml.YAMLError as error:
        raise Unreadable(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    return [item for value in loaded for item in _items(value)]


def _items(value: Any) -> list[Any]:
    is_list = isinstance(value, dict) and str(value.get("kind", "")).endswith("List")
    items = value.get("items") if is_list else None
    return items if isinstance(items, list) else [value]


def documents(path: str) -> Iterator[Document]:
    """The Backups in a file, judged.

    Raises:
        Unreadable: no such file, not YAML, or nothing of ours in it.
    """
    found = [document for value in values(path) for document in _read(path, value)]
    if not found:
        raise Unreadable(f"{path}: holds no {API_VERSION} Backup or BackupSchedule")
    yield from found


def _read(path: str, value: Any) -> Iterator[Document]:
    if not isinstance(value, dict) or value.get("apiVersion") != API_VERSION:
        return
    kind, meta = value.get("kind"), value.get("metadata")
    if kind not in (KIND, SCHEDULE_KIND):
        return
    if not isinstance(meta, dict) or not meta.get("name"):
        raise Unreadable(f"{path}: a {kind} has no metadata.name (was its indentation lost?)")
    title = f"{kind} {meta['name']}"
    refused = schema_problems(kind, value)
    try:
        backup = _backup_in(kind, value)
    except (msgspec.ValidationError, TypeError) as error:
        yield Document(kind, title, None, refused or (Problem("spec", None, str(error)),))
        return
    known = {problem.path for problem in refused}
    judged = (_in_its_place(kind, problem) for problem in problems(backup.spec))
    wrong: tuple[Problem | str, ...] = (*refused, *(each for each in judged if each.path not in known))
    warnings = tuple(notice.message for notice in notices(backup.spec))
    if kind == SCHEDULE_KIND:
        faults, doubts = _of_the_schedule(value)
        wrong, warnings = (*wrong, *faults), (*warnings, *doubts)
    yield Document(kind, title, backup, wrong, warnings)


def _of_the_schedule(value: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What is wrong, and what is doubtful, beside the template: cron, zone, name, retention."""
    schedule = decode_schedule(msgspec.json.encode(without_nulls(value)))
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
    # What is left empty in YAML is absent, as the API server has it.
    data = msgspec.json.encode(without_nulls(value))
    if kind == KIND:
        return decode_backup(data)
    schedule = decode_schedule(data)
    if schedule.spec.backupTemplate is None:
        raise msgspec.ValidationError("spec.backupTemplate is missing")
    return Backup(schedule.metadata, schedule.spec.backup_spec())


def _as_if_created(backup: Backup) -> Backup:
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
