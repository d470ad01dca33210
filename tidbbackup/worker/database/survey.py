"""The database server as the preflight sees it: version, snapshot, grants, what there is to dump.

Blocking calls of PyMySQL, to be run in a thread. Must not know mydumper or files.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pymysql
from pymysql.connections import Connection

from tidbbackup.worker.database import tidb
from tidbbackup.worker.database.catalog import Column, Database, Survey, Table
from tidbbackup.worker.database.session import Login, error_code, fetch, open_session

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
    "OR data_type IN ('inet4', 'inet6', 'uuid') OR (data_type = 'float' AND column_type NOT LIKE '%(%') "
    "OR (data_type IN ('enum', 'set') AND character_set_name IN ('gbk', 'gb18030') "
    "AND LENGTH(column_type) <> CHAR_LENGTH(column_type)))"
)
_TRIGGERS = "SELECT event_object_schema, event_object_table FROM information_schema.triggers"
_ROUTINES = "SELECT routine_schema, routine_name FROM information_schema.routines"
_EVENTS = "SELECT event_schema, event_name FROM information_schema.events"


def survey(login: Login) -> Survey:
    """Log in and read all that the preflight needs; on TiDB from one snapshot, whose TSO is in the result.

    Raises:
        StepFailed: LoginFailed, DatabaseUnreachable, DatabaseLost, SnapshotLost, GcSafePointMissing.
    """
    with open_session(login) as session:
        version = str(fetch(session, tidb.VERSION)[0][0])
        is_tidb = tidb.is_tidb(version)
        commit_ts = _take_snapshot(session) if is_tidb else ""
        grants = tuple(str(row[0]) for row in fetch(session, "SHOW GRANTS"))
        return Survey(version, is_tidb, commit_ts, grants, _catalog(session))


def current_databases(login: Login, commit_ts: str) -> tuple[Database, ...]:
    """What is there now (or at this TSO): for objects that a dump has not brought along."""
    with open_session(login) as session:
        if commit_ts:
            fetch(session, tidb.read_at(commit_ts))
        return _catalog(session)


def _take_snapshot(session: Connection[Any]) -> str:
    """A TSO of now; all that follows reads at it. The life time is held already, see gc_hold."""
    fetch(session, "BEGIN")
    tso = str(fetch(session, tidb.CURRENT_TSO)[0][0])
    fetch(session, "ROLLBACK")
    try:
        found = fetch(session, tidb.SAFE_POINT)
        tidb.check_safe_point(tso, str(found[0][0]) if found else None)
    except pymysql.Error as error:
        # Without the right to read it, rely on TiDB's own check at the next statement.
        if error_code(error) not in tidb.DENIED:
            raise
    fetch(session, tidb.read_at(tso))
    return tso


def _catalog(session: Connection[Any]) -> tuple[Database, ...]:
    """Everything but the two schemas that no dump holds."""
    columns: dict[tuple[str, str], list[Column]] = defaultdict(list)
    for schema, table, name, extra, kind in fetch(session, _COLUMNS):
        columns[schema, table].append(Column(name, str(extra or "").upper(), str(kind).lower()))
    triggers = {(row[0], row[1]) for row in fetch(session, _TRIGGERS)}
    tables: dict[str, list[Table]] = defaultdict(list)
    for schema, name, kind, engine, comment, rows, size in fetch(session, _TABLES):
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
        for name in sorted(row[0] for row in fetch(session, _DATABASES))
    )


def _names(session: Connection[Any], query: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for schema, name in fetch(session, query):
        found[schema].append(name)
    return found
