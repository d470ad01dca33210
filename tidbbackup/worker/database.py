"""The database server as the preflight sees it: login, version, snapshot, grants, what there is to dump.

Blocking calls of PyMySQL, to be run in a thread. Must not know mydumper or files.
"""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
from attrs import field, frozen
from pymysql.connections import Connection

from tidbbackup.model import reasons
from tidbbackup.model.task import DatabaseTarget
from tidbbackup.worker.catalog import Column, Database, Survey, Table
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.views import View, quoted

_CONNECT_TIMEOUT_SECONDS = 15
_READ_TIMEOUT_SECONDS = 600

# No login with these: wrong password, no such user, host not allowed, expired, TLS demanded, plugin.
_LOGIN_ERRORS = frozenset({1044, 1045, 1130, 1251, 1275, 1524, 1698, 1820, 1862, 2059, 3118, 3159, 4151})
_LOST = frozenset({1053, 2006, 2013, 2055})


_DATABASES = (
    "SELECT schema_name FROM information_schema.schemata "
    "WHERE LOWER(schema_name) NOT IN ('information_schema', 'performance_schema')"
)
_TABLES = (
    "SELECT table_schema, table_name, table_type, engine, table_comment, table_rows, data_length "
    "FROM information_schema.tables "
    "WHERE LOWER(table_schema) NOT IN ('information_schema', 'performance_schema')"
)
_COLUMNS = (
    "SELECT table_schema, table_name, column_name, extra, data_type FROM information_schema.columns "
    "WHERE LOWER(table_schema) NOT IN ('information_schema', 'performance_schema') "
    "AND (extra LIKE '%GENERATED%' OR extra LIKE '%INVISIBLE%' OR column_name LIKE '%`%' "
    "OR data_type IN ('inet4', 'inet6', 'uuid'))"
)
_TRIGGERS = "SELECT event_object_schema, event_object_table FROM information_schema.triggers"
_ROUTINES = "SELECT routine_schema, routine_name FROM information_schema.routines"
_EVENTS = "SELECT event_schema, event_name FROM information_schema.events"


@frozen
class Login:
    """Where and as whom to log in."""

    target: DatabaseTarget
    password: bytes = field(repr=False)
    tls: Path | None = None
    """Folder with ca.crt, tls.crt, tls.key."""

    @property
    def where(self) -> str:
        """The server as people write it."""
        return f"{self.target.user}@{self.target.host}:{self.target.port}"


def survey(login: Login) -> Survey:
    """Log in and learn all that the preflight has to know; on TiDB from one snapshot, whose TSO it tells.

    Raises:
        StepFailed: LoginFailed, DatabaseUnreachable, DatabaseLost.
    """
    with _session(login) as session:
        version = str(_rows(session, "SELECT VERSION()")[0][0])
        is_tidb = "tidb" in version.lower()
        commit_ts = _take_snapshot(session) if is_tidb else ""
        grants = tuple(str(row[0]) for row in _rows(session, "SHOW GRANTS"))
        return Survey(version, is_tidb, commit_ts, grants, _catalog(session))


def current_databases(login: Login, commit_ts: str) -> tuple[Database, ...]:
    """What is there now (or at this TSO): for objects that a dump has not brought along."""
    with _session(login) as session:
        if commit_ts:
            _rows(session, f"SET SESSION tidb_snapshot = '{int(commit_ts)}'")
        return _catalog(session)


def read_views(login: Login, commit_ts: str, databases: tuple[Database, ...]) -> list[View]:
    """The definitions of all views in these databases, at this TSO where there is one."""
    with _session(login) as session:
        if commit_ts:
            _rows(session, f"SET SESSION tidb_snapshot = '{int(commit_ts)}'")
        return [
            _view(session, database.name, table.name)
            for database in databases
            for table in database.tables
            if table.is_view
        ]


def _view(session: Connection[Any], database: str, name: str) -> View:
    # Of tables in the current database the definition tells no database: it loads under another name too.
    session.select_db(database)
    columns = tuple(str(row[0]) for row in _rows(session, f"SHOW COLUMNS FROM {quoted(name)}"))
    row = _rows(session, f"SHOW CREATE VIEW {quoted(name)}")[0]
    return View(database, name, columns, str(row[1]), str(row[2]), str(row[3]))


@contextmanager
def _session(login: Login) -> Iterator[Connection[Any]]:
    """One connection; what goes wrong in it is told with the server's name and a cure."""
    try:
        connection = pymysql.connect(
            host=login.target.host,
            port=login.target.port,
            user=login.target.user,
            # Text would be sent as Latin-1 and fail beyond it; the server's users are made in UTF-8.
            password=login.password,
            charset="utf8mb4",
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            read_timeout=_READ_TIMEOUT_SECONDS,
            ssl=_tls(login.tls) if login.tls else None,
            ssl_disabled=login.tls is None,
            autocommit=True,
        )
    except Exception as error:
        raise _no_session(error, login) from error
    try:
        yield connection
    except pymysql.Error as error:
        code = _code(error)
        reason = reasons.DATABASE_LOST if code in _LOST else reasons.DUMP_FAILED
        raise StepFailed(reason, f"asking {login.where}: {_words(error)}") from error
    finally:
        connection.close()


def _tls(folder: Path) -> ssl.SSLContext:
    """The server has to show a certificate of the Secret's CA for the host name; ours is shown if given."""
    ca = folder / "ca.crt"
    context = ssl.create_default_context(cafile=str(ca) if ca.exists() else None)
    if (folder / "tls.crt").exists():
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


def _no_session(error: Exception, login: Login) -> StepFailed:
    said = _words(error)
    if isinstance(error, pymysql.Error) and _code(error) in _LOGIN_ERRORS:
        hint = "check spec.from.user and the key `password` in the Secret of spec.from.secretName"
        if login.password != login.password.strip():
            hint += "; that password begins or ends with white space, perhaps a line feed from `echo`"
        elif not login.password:
            hint += "; that password is empty"
        return StepFailed(reasons.LOGIN_FAILED, f"{login.where}: {said}; {hint}")
    hint = "is it running, are spec.from.host and spec.from.port right, does a network policy forbid it"
    if login.tls or isinstance(error, ssl.SSLError):
        hint += ", does its certificate fit spec.from.tlsClientSecretName"
    return StepFailed(reasons.DATABASE_UNREACHABLE, f"{login.where}: {said}; {hint}")


def _take_snapshot(session: Connection[Any]) -> str:
    """A TSO of now, outside a transaction it would be 0; all that follows reads at it."""
    _rows(session, "BEGIN")
    commit_ts = str(_rows(session, "SELECT @@tidb_current_ts")[0][0])
    _rows(session, "ROLLBACK")
    _rows(session, f"SET SESSION tidb_snapshot = '{int(commit_ts)}'")
    return commit_ts


def _catalog(session: Connection[Any]) -> tuple[Database, ...]:
    """Everything but the two schemas that no dump holds."""
    columns: dict[tuple[str, str], list[Column]] = defaultdict(list)
    for schema, table, name, extra, kind in _rows(session, _COLUMNS):
        columns[schema, table].append(Column(name, str(extra or "").upper(), str(kind).lower()))
    triggers = {(row[0], row[1]) for row in _rows(session, _TRIGGERS)}
    tables: dict[str, list[Table]] = defaultdict(list)
    for schema, name, kind, engine, comment, rows, size in _rows(session, _TABLES):
        own = tuple(columns.get((schema, name), ()))
        told = (int(rows or 0), int(size or 0))
        tables[schema].append(
            Table(name, kind, engine, comment or "", (schema, name) in triggers, own, *told)
        )
    routines = _names(session, _ROUTINES)
    events = _names(session, _EVENTS)
    return tuple(
        Database(
            name,
            tables=tuple(sorted(tables[name], key=lambda table: table.name)),
            routines=tuple(sorted(routines[name])),
            events=tuple(sorted(events[name])),
        )
        for name in sorted(row[0] for row in _rows(session, _DATABASES))
    )


def _names(session: Connection[Any], query: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for schema, name in _rows(session, query):
        found[schema].append(name)
    return found


def _rows(session: Connection[Any], query: str) -> list[tuple[Any, ...]]:
    with session.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def _code(error: pymysql.Error) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _words(error: Exception) -> str:
    """The error's own words in one line."""
    text = error.args[1] if len(error.args) > 1 else error
    return " ".join(str(text).split())[:400] or type(error).__name__
