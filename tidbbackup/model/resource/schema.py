"""The CRDs, generated from the model: what the API server refuses and what `kubectl explain` says.

`make crds` writes them to manifests/crd, and a test compares them. Must not have facts about a field: the
declarations in backup.py, schedule.py and storage_spec.py have them. Only immutability and columns live here.
"""

from __future__ import annotations

import types
import typing
from datetime import datetime
from typing import Any

import attrs

from tidbbackup.model.names import APP_NAME, GROUP, MANAGED_BY, OURS, VERSION
from tidbbackup.model.resource.backup import Backup, BackupSpec, BackupStatus
from tidbbackup.model.resource.restore import Restore, RestoreSpec, RestoreStatus
from tidbbackup.model.resource.schedule import BackupSchedule, BackupScheduleSpec, BackupScheduleStatus

# These fields cannot change once a run has begun: the status must stay true about the archive.
_FIXED_ONCE_BEGUN = (
    ("from.host", "from.port", "from.user"),
    ("s3.provider", "s3.bucket", "s3.prefix", "s3.endpoint", "s3.region"),
    ("tableFilter", "compression"),
    ("dumper",),
    ("mydumper",),
    ("dumpling",),
)

_BACKUP_COLUMNS = (
    ("Status", "string", ".status.phase", 0, "Phase"),
    ("BackupPath", "string", ".status.backupPath", 0, "Where the archive is"),
    ("BackupSize", "string", ".status.backupSizeReadable", 0, "Size of the archive"),
    ("CommitTS", "string", ".status.commitTs", 0, "TiDB's timestamp of the data"),
    ("Progress", "string", ".status.progress.text", 0, "Progress, or how far a failed backup got"),
    ("Started", "date", ".status.timeStarted", 1, "When the worker began"),
    ("Completed", "date", ".status.timeCompleted", 1, "When it ended"),
    ("TimeTaken", "string", ".status.timeTaken", 1, "From start to end"),
    ("CleanPolicy", "string", ".spec.cleanPolicy", 1, "What happens to the archive on deletion"),
    ("Reason", "string", '.status.conditions[?(@.status=="True")].reason', 1, "Why"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Since creation"),
)

_SCHEDULE_COLUMNS = (
    ("Schedule", "string", ".spec.schedule", 0, "When"),
    ("Paused", "boolean", ".spec.pause", 0, "Whether new Backups are paused"),
    ("MaxBackups", "integer", ".spec.maxBackups", 0, "How many are kept"),
    ("MaxReservedTime", "string", ".spec.maxReservedTime", 0, "How long they are kept"),
    ("TimeZone", "string", ".spec.timeZone", 1, "Zone of the schedule"),
    ("LastBackup", "string", ".status.lastBackup", 1, "The newest Backup"),
    ("LastBackupTime", "date", ".status.lastBackupTime", 1, "When it was due"),
    ("LastSuccess", "date", ".status.lastSuccessfulTime", 1, "When one last completed"),
    ("Next", "string", ".status.nextBackupTime", 1, "When the next is due"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Since creation"),
)


_RESTORE_FIXED = (
    ("to.host", "to.port", "to.user"),
    ("backup", "overwrite"),
    ("s3.provider", "s3.path", "s3.endpoint", "s3.region"),
    ("tableFilter", "databaseSuffix", "afterwards"),
)

_RESTORE_COLUMNS = (
    ("Status", "string", ".status.phase", 0, "Phase"),
    ("Archive", "string", ".status.backupPath", 0, "What is restored"),
    ("Progress", "string", ".status.progress.text", 0, "Progress, or how far a failed restore got"),
    ("Tables", "integer", ".status.tables", 0, "Tables that were restored"),
    ("Rows", "integer", ".status.rows", 0, "Rows that were restored"),
    ("Reason", "string", '.status.conditions[?(@.status=="True")].reason', 0, "Why"),
    ("Started", "date", ".status.timeStarted", 1, "When the worker began"),
    ("Completed", "date", ".status.timeCompleted", 1, "When it ended"),
    ("TimeTaken", "string", ".status.timeTaken", 1, "From start to end"),
    ("CommitTS", "string", ".status.commitTs", 1, "TiDB's timestamp of the data"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Since creation"),
)


def backup_crd() -> dict[str, Any]:
    """The CustomResourceDefinition of Backup."""
    schema = _resource(Backup, BackupSpec, BackupStatus)
    schema["x-kubernetes-validations"] = [_fixed(paths) for paths in _FIXED_ONCE_BEGUN]
    return _crd("Backup", "backups", "bk", schema, _BACKUP_COLUMNS)


def schedule_crd() -> dict[str, Any]:
    """The CustomResourceDefinition of BackupSchedule."""
    schema = _resource(BackupSchedule, BackupScheduleSpec, BackupScheduleStatus)
    return _crd("BackupSchedule", "backupschedules", "bks", schema, _SCHEDULE_COLUMNS)


def restore_crd() -> dict[str, Any]:
    """The CustomResourceDefinition of Restore."""
    schema = _resource(Restore, RestoreSpec, RestoreStatus)
    schema["x-kubernetes-validations"] = [_fixed(paths, "restore") for paths in _RESTORE_FIXED]
    return _crd("Restore", "restores", "rt", schema, _RESTORE_COLUMNS)


def _crd(
    kind: str,
    plural: str,
    short: str,
    schema: dict[str, Any],
    columns: tuple[tuple[str, str, str, int, str], ...],
) -> dict[str, Any]:
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": name, "type": kind_, "jsonPath": path, "priority": priority, "description": text}
            for name, kind_, path, priority, text in columns
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {APP_NAME: OURS, MANAGED_BY: OURS}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
            },
            "versions": [version],
        },
    }


def _resource(kind: type, spec: type, status: type) -> dict[str, Any]:
    return {
        "type": "object",
        "description": _first_line(kind),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _object(spec, nullable=True),
            "status": _object(status, nullable=False),
        },
    }


def _object(cls: type, *, nullable: bool) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    properties: dict[str, Any] = {}
    needed: list[str] = []
    for attribute in attrs.fields(cls):
        name = "from" if attribute.name == "source" else attribute.name
        properties[name] = _property(attribute, hints[attribute.name], nullable=nullable)
        if attribute.metadata.get("required"):
            needed.append(name)
    schema = {"type": "object", "description": _first_line(cls), "properties": properties}
    return schema | ({"required": needed} if needed else {})


def _property(attribute: attrs.Attribute[Any], hint: Any, *, nullable: bool) -> dict[str, Any]:
    words = dict(attribute.metadata["schema"])
    item_length = words.pop("itemLength", None)
    map_key = words.pop("mapKey", None)
    free = attribute.metadata.get("free")
    schema = _typed(hint, nullable=nullable) if free is None else dict(_FREE[free])
    for part in ("items", "additionalProperties"):
        if item_length and part in schema:
            schema[part]["maxLength"] = item_length
    if map_key:
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [map_key]}
        schema["items"]["required"] = [map_key]
    schema |= words | {"description": attribute.metadata["description"]}
    worth_telling = attribute.default not in (None, "", (), False, attrs.NOTHING) or "default" in words
    if worth_telling and nullable:
        # The API server prunes a null before it sets a default, so such a field may be empty in YAML too.
        return schema | {"default": attribute.default}
    if nullable and not attribute.metadata.get("required"):
        # "You can also leave the configuration item fields empty", says the specification: YAML's null.
        schema["nullable"] = True
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


def _typed(hint: Any, *, nullable: bool) -> dict[str, Any]:
    if isinstance(hint, types.UnionType):
        (hint,) = (member for member in typing.get_args(hint) if member is not type(None))
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _typed(typing.get_args(hint)[0], nullable=nullable)}
    if typing.get_origin(hint) is dict:
        value = typing.get_args(hint)[1]
        return {"type": "object", "additionalProperties": _typed(value, nullable=nullable)}
    if attrs.has(hint):
        return _object(hint, nullable=nullable)
    return dict(_SCALARS[hint])


_ANY_OBJECT = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_FREE: dict[Any, dict[str, Any]] = {dict: _ANY_OBJECT, list: {"type": "array", "items": _ANY_OBJECT}}

_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64"},
    datetime: {"type": "string", "format": "date-time"},
}


def _fixed(paths: tuple[str, ...], what: str = "backup") -> dict[str, Any]:
    # With has() instead of CEL's optionals, because the API server cannot bound the cost of those.
    # backupPath is written before the Job is created. A rule cannot read annotations or finalizers.
    open_still = (
        "!has(oldSelf.status) || ((!has(oldSelf.status.backupPath) || oldSelf.status.backupPath == '') "
        "&& (!has(oldSelf.status.phase) || oldSelf.status.phase in ['', 'Invalid']))"
    )
    same = " && ".join(f"({_unchanged(path)})" for path in paths)
    names = ", ".join(f"spec.{path}" for path in paths)
    return {
        "rule": f"{open_still} || ({same})",
        "message": f"{names} cannot change once the {what} has begun: make a new {what.title()} instead",
    }


def _unchanged(path: str) -> str:
    *parents, _ = path.split(".")
    here, there = f"self.spec.{path}", f"oldSelf.spec.{path}"
    same = f"has({here}) == has({there}) && (!has({here}) || {here} == {there})"
    if not parents:
        return same
    above = ".".join(parents)
    return f"has(self.spec.{above}) == has(oldSelf.spec.{above}) && (!has(self.spec.{above}) || ({same}))"


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]
