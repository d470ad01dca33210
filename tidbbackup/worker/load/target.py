"""The server that is restored into: what it is, what it holds already, how a session of ours is set.

Blocking calls of PyMySQL, to be run in a thread. Must not know archives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pymysql
from attrs import field, frozen
from pymysql.connections import Connection

from tidbbackup.model.filter.table_filter import SYSTEM_DATABASES, TIDB_SYSTEM_DATABASES
from tidbbackup.worker.database import tidb
from tidbbackup.worker.database.session import Login, error_code, fetch, open_session
from tidbbackup.worker.definitions.text import quoted
from tidbbackup.worker.load.thing import Thing

UTC = "+00:00"
_LOCK_WAIT_SECONDS = 60
_STRICT = (
    "NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
)
"""Zeros and zero dates stay as they are; a value that does not fit, or an engine that the server does not
have, is an error, not another one."""

_VARIABLES = (
    "SELECT @@version, @@lower_case_table_names, @@max_allowed_packet, @@global.time_zone, @@global.sql_mode"
)
_DATABASES = "SELECT schema_name FROM information_schema.schemata WHERE schema_name IN ({})"
_TABLES = (
    "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema IN ({})"
)
_ROUTINES = (
    "SELECT routine_schema, routine_name, routine_type FROM information_schema.routines "
    "WHERE routine_schema IN ({})"
)
_EVENTS = "SELECT event_schema, event_name, 'EVENT' FROM information_schema.events WHERE event_schema IN ({})"
_ACCOUNTS = "SELECT user, host FROM mysql.user"


@frozen
class Target:
    """The server."""

    login: Login = field(repr=False)
    version: str
    ignores_case: bool
    """Of databases and tables: `T` is `t`."""
    longest: int
    """max_allowed_packet: bytes of a statement."""
    zone: str
    """Its own time zone."""
    sql_mode: str
    """Its own SQL mode."""

    @property
    def is_tidb(self) -> bool:
        """Whether it is TiDB."""
        return tidb.is_tidb(self.version)

    @property
    def is_mariadb(self) -> bool:
        """Whether it is MariaDB."""
        return "mariadb" in self.version.lower()

    @property
    def system(self) -> tuple[str, ...]:
        """Its own databases."""
        return TIDB_SYSTEM_DATABASES if self.is_tidb else SYSTEM_DATABASES

    def fold(self, name: str) -> str:
        """Equal for two names of the same database."""
        return name.lower() if self.ignores_case else name

    def key(self, thing: Thing) -> tuple[str, ...]:
        """Equal for two things of which a database can hold one: a table and a view of one name, say."""
        relation = "TABLE" if thing.kind in ("TABLE", "VIEW", "SEQUENCE") else thing.kind
        # Names of routines and events never differ by case alone.
        folded = self.ignores_case or relation != "TABLE"
        name = thing.name.lower() if folded else thing.name
        return relation, self.fold(thing.database), name

    def settings(self, *, utf8: bool, zone: str, strict: bool) -> str:
        """The statement that sets a session for rows or definitions."""
        wanted = {
            "sql_mode": f"'{_STRICT if strict else self.sql_mode}'",
            "time_zone": f"'{zone}'",
            "foreign_key_checks": "0",
            # Off, a server may load two rows that are one to its collation, without a word.
            "unique_checks": "1",
            "lock_wait_timeout": str(_LOCK_WAIT_SECONDS),
        }
        if self.is_tidb:
            wanted["allow_auto_random_explicit_insert"] = "1"
        names = "NAMES utf8mb4" if utf8 else "NAMES binary"
        return f"SET {names}, " + ", ".join(f"SESSION {name} = {value}" for name, value in wanted.items())


def meet(login: Login) -> Target:
    """Log in and learn what the server is. Raises StepFailed."""
    with open_session(login) as session:
        version, case, packet, zone, mode = fetch(session, _VARIABLES)[0]
        return Target(login, str(version), int(case) != 0, int(packet), str(zone), str(mode))


def new_ones(session: Connection[Any], target: Target, databases: Collection[str]) -> list[str]:
    """Those of these databases that the server does not have. Raises pymysql.Error."""
    spelled = {*databases, *map(target.fold, databases)}
    names = ", ".join(str(session.escape(name)) for name in spelled)
    there = fetch(session, _DATABASES.format(names)) if databases else []
    known = {target.fold(str(row[0])) for row in there}
    return [name for name in databases if target.fold(name) not in known]


def things_in(session: Connection[Any], databases: Collection[str]) -> Iterator[Thing]:
    """All that these databases hold already. Raises pymysql.Error."""
    if not databases:
        return
    names = ", ".join(str(session.escape(name)) for name in databases)
    for query in (_TABLES, _ROUTINES, _EVENTS):
        for database, name, kind in fetch(session, query.format(names)):
            yield Thing(_KINDS.get(str(kind).upper(), str(kind).upper()), str(database), str(name))


_KINDS = {"BASE TABLE": "TABLE", "SYSTEM VERSIONED": "TABLE", "SYSTEM VIEW": "VIEW"}


def drop(session: Connection[Any], things: Iterable[Thing]) -> None:
    """Drop these, in any order. Raises pymysql.Error."""
    for thing in things:
        fetch(session, f"DROP {thing.kind} IF EXISTS {thing.sql}")


def drop_empty(session: Connection[Any], target: Target, databases: Collection[str]) -> list[str]:
    """Drop those of the databases that hold nothing; the others, as SQL. Raises pymysql.Error."""
    spelled = {*databases, *map(target.fold, databases)}
    full = {target.fold(thing.database) for thing in things_in(session, spelled)}
    for name in databases:
        if target.fold(name) not in full:
            fetch(session, f"DROP DATABASE IF EXISTS {quoted(name)}")
    return [quoted(name) for name in databases if target.fold(name) in full]


def accounts(session: Connection[Any]) -> frozenset[tuple[str, str]] | None:
    """User and host of all accounts and roles; None: we may not know. Raises pymysql.Error."""
    try:
        return frozenset((str(user), str(host)) for user, host in fetch(session, _ACCOUNTS))
    except pymysql.Error as error:
        if error_code(error) in tidb.DENIED:
            return None
        raise


def count_rows(session: Connection[Any], table: Thing) -> int:
    """COUNT(*). Raises pymysql.Error."""
    return int(fetch(session, f"SELECT COUNT(*) FROM {table.sql}")[0][0])  # noqa: S608  a quoted name
