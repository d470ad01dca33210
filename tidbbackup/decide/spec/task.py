"""A Backup in the worker's terms, with every default filled in, or everything that is wrong with its spec.

Must not know Jobs or pods.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidbbackup.decide.problem import Problem
from tidbbackup.decide.spec.dumper import dump_settings, dumper_notices
from tidbbackup.decide.spec.storage_target import object_target, storage_notices
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.contract.task import DatabaseTarget, WorkerTask
from tidbbackup.model.names import DUE_TIME, SCHEDULE_LABEL
from tidbbackup.model.reasons import NO_EFFECT
from tidbbackup.model.resource.backup import ONLY_FOR_BR, Backup, BackupSpec, CleanPolicy
from tidbbackup.model.units import parse_quantity

_NO_EFFECT = (*("storageType", "toolImage", "cleanOption", "volumeAttributesClassName"),)


def resolve_backup(backup: Backup) -> WorkerTask | tuple[Problem, ...]:
    """What a worker has to know to dump this Backup, or all that is wrong with its spec."""
    spec, meta = backup.spec, backup.metadata
    if (wrong := problems(spec)) or spec.source is None:
        return wrong
    source = spec.source
    return WorkerTask(
        backup=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        target=object_target(backup),
        database=DatabaseTarget(source.host, source.port, source.user, bool(source.tlsClientSecretName)),
        dump=dump_settings(spec),
        stagingBytes=parse_quantity(spec.storageSize) if spec.storageSize else 0,
        gcLifeTime=spec.tikvGCLifeTime,
        keysInSecret=bool(spec.s3 and spec.s3.secretName),
    )


def clean_policy(backup: Backup) -> CleanPolicy:
    """The policy in force: a schedule owns the retention of what it made, a hand-made Backup is kept."""
    asked = backup.spec.cleanPolicy
    if asked is not None:
        # A word that is no policy asks for nothing: no data is deleted on a guess.
        return CleanPolicy(asked) if asked in set(CleanPolicy) else CleanPolicy.RETAIN
    meta = backup.metadata
    scheduled = SCHEDULE_LABEL in meta.labels and DUE_TIME in meta.annotations
    return CleanPolicy.DELETE if scheduled else CleanPolicy.RETAIN


def notices(spec: BackupSpec) -> tuple[Notice, ...]:
    """What a spec asks for that has no effect here, for the Warning condition.

    Never raises: options can be edited into nonsense while a run is on, and it has to end all the same.
    """
    return tuple(_notices(spec))


def _notices(spec: BackupSpec) -> Iterator[Notice]:
    for name in _NO_EFFECT:
        if getattr(spec, name) not in (None, ""):
            yield Notice(NO_EFFECT, f"spec.{name} has no effect")
    of_br = [f"spec.{name}" for name in ONLY_FOR_BR if getattr(spec, name) is not None]
    if of_br:
        verb = "has" if len(of_br) == 1 else "have"
        why = "only BR uses such fields, and this Backup is a logical one, made by mydumper or dumpling"
        yield Notice(NO_EFFECT, f"{', '.join(of_br)} {verb} no effect: {why}")
    yield from dumper_notices(spec)
    if spec.s3:
        yield from storage_notices(spec.s3)
