"""What the controller tells the worker: one JSON value in TIDBBACKUP_TASK, without any secret.

Must not know how the worker does it, nor Kubernetes.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

import msgspec
from attrs import field, frozen

from tidbbackup.model.contract.aftermath import NO_AFTERMATH, Aftermath
from tidbbackup.model.providers import ObjectTarget

FORMAT_VERSION = 1

TASK_VARIABLE = "TIDBBACKUP_TASK"
LONGEST_GC_LIFE_TIME = timedelta(hours=8760)
"""The limit of TiDB's system variable; TiDB cannot read a value above the limit of Go's durations."""
PASSWORD_VARIABLE = "DB_PASSWORD"  # noqa: S105  a variable's name


@frozen
class DatabaseTarget:
    """Address and user of the database; the password is in PASSWORD_VARIABLE."""

    host: str
    port: int = 4000
    user: str = "root"
    tls: bool = False
    """`ca.crt`, `tls.crt` and `tls.key` are in DB_TLS_DIR."""


class DumperName(StrEnum):
    """The program that reads the rows."""

    MYDUMPER = "mydumper"
    DUMPLING = "dumpling"


@frozen
class DumpSettings:
    """What to dump, by which program and with which flags of it (already validated: only allowed ones)."""

    options: tuple[str, ...] = ()
    """Empty means the worker's defaults."""
    tableRegex: str = ""
    """Empty means all except the system databases."""
    tableFilter: tuple[str, ...] = ()
    """Rules of a table filter, instead of a regex."""
    dumper: DumperName = DumperName.MYDUMPER


@frozen
class RestoreSettings:
    """What to restore, and whether tables that exist are dropped first."""

    tableFilter: tuple[str, ...] = ()
    """Empty takes all of the archive."""
    overwrite: bool = False
    threads: int = 4
    """Connections that load rows."""
    databaseSuffix: str = ""
    """Each database is restored under its name and this."""
    drop: bool = False
    """What this run has created is dropped once it is compared, or has failed."""


@frozen
class WorkerTask:
    """The task of one worker for one Backup."""

    backup: str
    namespace: str
    uid: str
    target: ObjectTarget
    database: DatabaseTarget | None = None
    dump: DumpSettings = field(factory=DumpSettings)
    stagingBytes: int = 0
    """Size of the staging volume in bytes; 0: unknown."""
    gcLifeTime: str = ""
    """TiDB's GC life time during the dump, as in the spec; empty means the worker's default."""
    keysInSecret: bool = False
    """The keys of the storage come from a Secret: without them the pod's own identity is not used instead."""
    aftermath: Aftermath = NO_AFTERMATH
    """For `worker aftermath`."""
    restore: RestoreSettings = field(factory=RestoreSettings)
    formatVersion: int = FORMAT_VERSION


def encode_task(task: WorkerTask) -> str:
    """The task as it is in the Job.

    Kubernetes replaces `$(NAME)` in an environment value by another variable, such as an access key. So the
    task has no `$`: a prefix or a regular expression can never copy a secret into it.
    """
    return msgspec.json.encode(task).decode().replace("$", "\\u0024")


def decode_task(text: str) -> WorkerTask:
    """Read a task back.

    Raises:
        ValueError: not a task, or of a format this version does not know.
    """
    try:
        task = msgspec.json.decode(text, type=WorkerTask)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{TASK_VARIABLE} is not a task: {error}") from error
    if task.formatVersion != FORMAT_VERSION:
        raise ValueError(
            f"{TASK_VARIABLE} has formatVersion {task.formatVersion}, this worker knows {FORMAT_VERSION}: "
            "use the same image for controller and worker"
        )
    return task
