"""A Restore's spec in the worker's terms, or everything that is wrong with it.

What names the server, the storage and the pod is judged as in a Backup. Must not know Jobs or pods.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

import attrs
from attrs import frozen

from tidbbackup.decide.problem import Problem
from tidbbackup.decide.spec.storage_target import object_target, storage_notices
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.contract.task import DatabaseTarget, RestoreSettings, WorkerTask
from tidbbackup.model.meta import Meta
from tidbbackup.model.reasons import BACKUP_RUNS, NO_EFFECT
from tidbbackup.model.resource.backup import Backup, BackupSpec, Phase
from tidbbackup.model.resource.pod_settings import PodSettings
from tidbbackup.model.resource.restore import Afterwards, Overwrite, Restore, RestoreSpec
from tidbbackup.model.resource.storage_spec import S3Spec

_ARCHIVE = re.compile(r"(?:s3://)?(?P<bucket>[^/]+)/(?P<key>[^/].*\.(?:tgz|tar\.zst))", re.DOTALL)
SUFFIX = re.compile(r"[0-9A-Za-z_]*")
"""Of databases; it is put into names that are quoted already."""
_NO_EFFECT = ("tikvGCLifeTime", "storageType", "toolImage")


@frozen
class Resolved:
    """What a valid spec comes to."""

    task: WorkerTask
    spec: BackupSpec
    """What the pod is made of: the fields that Backup and Restore share."""


@frozen
class _Archive:
    s3: S3Spec
    key: str


def resolve(restore: Restore, backup: Backup | None) -> Resolved | tuple[Problem, ...]:
    """The task of the worker, or all that is wrong. `backup` is the one that the spec names, if any."""
    spec = restore.spec
    archive = _archive(spec, backup)
    pod: dict[str, Any] = {each.name: getattr(spec, each.name) for each in attrs.fields(PodSettings)}
    shared = BackupSpec(
        source=spec.to,
        s3=archive.s3 if isinstance(archive, _Archive) else None,
        tableFilter=spec.tableFilter,
        br=spec.br,
        gcs=spec.gcs,
        local=spec.local,
        azblob=spec.azblob,
        useKMS=spec.useKMS,
        backupType=spec.backupType,
        **pod,
    )
    wrong = tuple(_problems(spec, archive, shared))
    if wrong or isinstance(archive, Problem):
        return wrong
    assert spec.to is not None
    meta = restore.metadata
    target = object_target(Backup(Meta(name=meta.name, creationTimestamp=meta.creationTimestamp), shared))
    task = WorkerTask(
        backup=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        target=attrs.evolve(target, key=archive.key),
        database=DatabaseTarget(spec.to.host, spec.to.port, spec.to.user, bool(spec.to.tlsClientSecretName)),
        keysInSecret=bool(archive.s3.secretName),
        restore=RestoreSettings(
            spec.tableFilter,
            overwrite=spec.overwrite == Overwrite.TABLES,
            databaseSuffix=spec.databaseSuffix,
            drop=spec.afterwards == Afterwards.DROP,
        ),
    )
    return Resolved(task, shared)


def restore_notices(spec: RestoreSpec, dumps: Collection[str] = ()) -> tuple[Notice, ...]:
    """What a spec asks for that has no effect, and which Backups dump from the target now, for the Warning
    condition. Never raises."""
    found = [
        Notice(
            BACKUP_RUNS,
            f"Backup {name} dumps from the server of spec.to now: its archive may hold the restored tables "
            "in part; make another backup once this Restore is Complete",
        )
        for name in dumps
    ]
    found += [
        Notice(NO_EFFECT, f"spec.{name} has no effect")
        for name in _NO_EFFECT
        if getattr(spec, name) not in (None, "")
    ]
    s3 = spec.s3 and attrs.evolve(spec.s3, path="")
    return (*found, *(storage_notices(s3) if s3 else ()))


def _archive(spec: RestoreSpec, backup: Backup | None) -> _Archive | Problem:
    if bool(spec.backup) == (spec.s3 is not None):
        cure = "name a Backup that is Complete, or the archive itself in spec.s3.path: one of the two"
        return Problem("spec.backup", spec.backup or None, cure)
    if spec.s3 is not None:
        return _in(spec.s3, spec.s3.path, "spec.s3.path", "write s3://bucket/path/backup-….tgz")
    if backup is None:
        return Problem("spec.backup", spec.backup, "is no Backup of this namespace: see kubectl get backups")
    if backup.metadata.deletionTimestamp is not None:
        return Problem(
            "spec.backup", spec.backup, "is being deleted, and perhaps its archive: name another one"
        )
    if backup.status.condition(Phase.COMPLETE) is None:
        phase = backup.status.phase or "not begun"
        return Problem("spec.backup", spec.backup, f"is {phase}, not Complete: name one that is Complete")
    if backup.spec.s3 is None:
        return Problem("spec.backup", spec.backup, "has no spec.s3: name the archive itself in spec.s3.path")
    return _in(backup.spec.s3, backup.status.backupPath, "spec.backup", "has no address of an archive")


def _in(s3: S3Spec, path: str, field: str, cure: str) -> _Archive | Problem:
    found = _ARCHIVE.fullmatch(path)
    if found is None:
        return Problem(field, path or None, cure)
    return _Archive(attrs.evolve(s3, bucket=found["bucket"], prefix="", path=""), found["key"])


def _problems(spec: RestoreSpec, archive: _Archive | Problem, shared: BackupSpec) -> Iterator[Problem]:
    if spec.overwrite not in set(Overwrite):
        yield Problem("spec.overwrite", spec.overwrite, f"write one of {', '.join(Overwrite)}")
    if spec.afterwards not in set(Afterwards):
        yield Problem("spec.afterwards", spec.afterwards, f"write one of {', '.join(Afterwards)}")
    if not SUFFIX.fullmatch(spec.databaseSuffix):
        yield Problem("spec.databaseSuffix", spec.databaseSuffix, "write letters, digits and _ only")
    if spec.overwrite == Overwrite.TABLES and (spec.databaseSuffix or spec.afterwards == Afterwards.DROP):
        cure = "cannot stand beside databaseSuffix or afterwards: Drop, which are for what is not there yet"
        yield Problem("spec.overwrite", spec.overwrite, cure)
    if isinstance(archive, Problem):
        yield archive
    for each in problems(shared):
        if each.path == "spec.from":
            yield Problem("spec.to", None, "is missing: name the server (host, port, user, secretName)")
        elif each.path != "spec.s3":
            path = each.path.replace("spec.from", "spec.to", 1)
            yield attrs.evolve(each, path=path, cure=each.cure.replace("spec.from", "spec.to"))
