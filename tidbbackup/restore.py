"""`tidbbackup restore`: loads an archive of a bucket into a server, with the worker of the Job.

Must not know the steps of a restore.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import attrs
from attrs import frozen

from tidbbackup.decide.spec.restored import SUFFIX
from tidbbackup.local_worker import Ask, Here, run_worker, with_secrets
from tidbbackup.model.contract.result import WorkerResult
from tidbbackup.model.contract.task import (
    PASSWORD_VARIABLE,
    TASK_VARIABLE,
    DatabaseTarget,
    RestoreSettings,
    WorkerTask,
    encode_task,
)
from tidbbackup.model.filter.table_filter import read_filter
from tidbbackup.model.units import format_duration
from tidbbackup.place import Place, Unusable, by_flags, target_of
from tidbbackup.screen import Screen
from tidbbackup.worker.failure import UsageError

USAGE = 2

_SERVER = re.compile(
    r"(?:(?P<user>.+)@)?(?P<host>\[[0-9a-fA-F:]+\]|[^:@\[\]]+)(?::(?P<port>\d{1,5}))?", re.DOTALL
)
_PORT = 4000


@frozen
class Asked:
    """The command line."""

    url: str
    to: str
    place: Place
    settings: RestoreSettings
    db_tls: Path | None = None


def restore(asked: Asked, environ: Mapping[str, str], ask: Ask | None, out: TextIO, screen: Screen) -> int:
    """Load the archive; the exit code.

    Args:
        asked: what to load, and where.
        environ: with the password and the access keys.
        ask: asks for the password if it is not in it; None: there is no terminal.
        out: gets the result of a complete restore.
        screen: gets everything else.
    """
    try:
        task = _task(asked)
        assert task.database is not None
        where = f"{task.database.user}@{task.database.host}:{task.database.port}"
        given = with_secrets({PASSWORD_VARIABLE: f"Password of {where}"}, environ, ask)
        here = Here(None, asked.db_tls, asked.place.ca)

        def tell(result: WorkerResult, code: int) -> None:
            _tell(result, code, where, out, screen)

        return asyncio.run(
            run_worker("restore", given | {TASK_VARIABLE: encode_task(task)}, here, screen, tell)
        )
    except (UsageError, Unusable) as error:
        screen.say(f"tidbbackup restore: {error}")
        return USAGE


def _task(asked: Asked) -> WorkerTask:
    target = attrs.evolve(target_of(asked.url, asked.place), customCa=asked.place.ca is not None)
    if asked.settings.tableFilter:
        try:
            read_filter(asked.settings.tableFilter)
        except ValueError as error:
            raise UsageError(f"--filter {error}") from error
    if not SUFFIX.fullmatch(asked.settings.databaseSuffix):
        raise UsageError(
            f"--database-suffix {asked.settings.databaseSuffix}: write letters, digits and _ only"
        )
    if asked.settings.overwrite and (asked.settings.drop or asked.settings.databaseSuffix):
        raise UsageError("--overwrite tables cannot stand beside --drop or --database-suffix")
    if asked.db_tls and not (asked.db_tls / "ca.crt").is_file():
        raise UsageError(f"--db-tls {asked.db_tls}: has no ca.crt, the CA of the database's certificate")
    return WorkerTask(
        backup="here",
        namespace="default",
        uid=str(uuid.uuid4()),
        target=target,
        database=server_of(asked.to, tls=asked.db_tls is not None),
        restore=asked.settings,
    )


def server_of(text: str, *, tls: bool) -> DatabaseTarget:
    """The server in `user@host:port`; without a user root, without a port TiDB's.

    Raises:
        UsageError: it is none.
    """
    found = _SERVER.fullmatch(text)
    port = int(found["port"] or _PORT) if found else 0
    if not found or not 0 < port <= 65535:
        raise UsageError(f"--to {text}: write user@host:port")
    return DatabaseTarget(found["host"].strip("[]"), port, found["user"] or "root", tls)


def _tell(result: WorkerResult, code: int, where: str, out: TextIO, screen: Screen) -> None:
    for notice in result.notices:
        screen.say(f"warning: {notice.message}")
    if code:
        screen.say(f"tidbbackup restore: {result.reason} in step {result.step}: {by_flags(result.message)}")
        return
    assert result.started is not None
    assert result.finished is not None
    taken = format_duration(result.finished - result.started)
    print(f"Restored: {result.path} into {where} in {taken}", file=out)
    same = ", as many as in the archive" if result.compared else ""
    print(f"  {result.tables} tables with {result.rows} rows{same}", file=out)
    print(f"  databases: {', '.join(result.databases)}", file=out)
    out.flush()
