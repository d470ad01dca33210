"""Reads definitions in a session of the worker's own: on TiDB at the snapshot, elsewhere as they are now.

Blocking calls of PyMySQL, to be run in a thread. Must not know when a dump needs them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pymysql
from attrs import define, frozen
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from tidbbackup.model import reasons
from tidbbackup.worker.database import tidb
from tidbbackup.worker.database.catalog import Database, Survey
from tidbbackup.worker.database.grants import read_grants
from tidbbackup.worker.database.session import Login, error_code, fetch, open_session
from tidbbackup.worker.definitions import text
from tidbbackup.worker.definitions.event import event_text
from tidbbackup.worker.definitions.text import Made, quoted
from tidbbackup.worker.failure import StepFailed

_GONE = frozenset({1049, 1109, 1146, 1305, 1360, 1539, 4091})
_DENIED = frozenset({1044, 1142, 1143, 1227, 1370, 1419})
_EXECUTE_DENIED = 1370
_BROKEN_VIEW = 1356
_EVENTS_DISABLED = 1577
_NO_SUCH_COLUMN = 1054
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})
_IMMEDIATE_SINCE = (10, 6, 2)
"""Since this MariaDB every definition can be given to EXECUTE IMMEDIATE."""

_SETTINGS = "SET SESSION sql_mode = '', time_zone = '+00:00'"
_TRIGGERS = (
    "SELECT event_object_table, trigger_name FROM information_schema.triggers WHERE trigger_schema = %s "
    "ORDER BY event_object_table, event_manipulation, action_timing, action_order"
)
_ROUTINES = (
    "SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema = %s "
    "ORDER BY routine_type, routine_name"
)
_POLICIES = (
    "SELECT tidb_placement_policy_name FROM information_schema.schemata WHERE schema_name = %s UNION "
    "SELECT tidb_placement_policy_name FROM information_schema.tables WHERE table_schema = %s UNION "
    "SELECT tidb_placement_policy_name FROM information_schema.partitions WHERE table_schema = %s"
)
_EVENT = (
    "SELECT definer, event_definition, event_type, execute_at, interval_value, interval_field, starts, ends, "
    "status, on_completion, event_comment, sql_mode, time_zone, character_set_client, collation_connection "
    "FROM information_schema.events WHERE event_schema = %s AND event_name = %s"
)
# What lets a user see such a definition, where `SELECT ON *.*` does not.
_RIGHTS = {
    "VIEW": "SHOW VIEW",
    "TRIGGER": "TRIGGER",
    "EVENT": "EVENT",
    "TABLE": "SELECT",
    "SEQUENCE": "SELECT",
}


@frozen
class Item:
    """One thing to be read. Triggers are read by database, routines and events as well."""

    kind: str
    """DATABASE, SEQUENCE, TABLE, VIEW, TRIGGERS or PROGRAMS."""
    database: Database
    name: str = ""


@frozen
class File:
    """One file of definitions."""

    name: str
    content: bytes


def items(databases: Sequence[Database]) -> list[Item]:
    """All that has to be read for these databases, in the order in which it has to be loaded."""
    members = [(d, table) for d in databases for table in d.tables]
    return [
        *(Item("DATABASE", each) for each in databases),
        *(Item("SEQUENCE", d, table.name) for d, table in members if table.is_sequence),
        *(Item("TABLE", d, table.name) for d, table in members if table.has_rows),
        *(Item("VIEW", d, table.name) for d, table in members if table.is_view),
        *(Item("PROGRAMS", each) for each in databases if each.routines or each.events),
        *(Item("TRIGGERS", each) for each in databases if any(table.triggers for table in each.tables)),
    ]


Stem = Callable[..., str]
"""How the names of all files of a database, or of a table or view in it, begin."""


def read(login: Login, found: Survey, wanted: Sequence[Item], stem: Stem) -> list[tuple[Item, list[File]]]:
    """The files of these items; none for a sequence, table or view that is not there (any more).

    Raises:
        StepFailed: GrantsMissing, DumpIncomplete (a view that is broken), DatabaseLost, SnapshotLost.
    """
    with open_session(login) as session:
        if found.commit_ts:
            fetch(session, tidb.read_at(found.commit_ts))
        fetch(session, _SETTINGS)
        reader = _Reader(session, found, stem)
        return [(item, reader.files(item)) for item in wanted]


def read_values(login: Login, found: Survey, sequences: Sequence[Item], stem: Stem) -> list[File]:
    """The values that these sequences have reached by now."""
    with open_session(login) as session:
        fetch(session, _SETTINGS)
        reader = _Reader(session, found, stem)
        return [file for item in sequences for file in reader.value(item)]


@define
class _Reader:
    """One session that reads definitions."""

    session: Connection[Any]
    found: Survey
    stem: Stem
    database: str = ""
    """Where it is: names without a database are meant here."""

    def files(self, item: Item) -> list[File]:
        """The files of one item."""
        self._enter(item)
        read = {
            "DATABASE": self._database,
            "SEQUENCE": self._sequence,
            "TABLE": self._table,
            "VIEW": self._view,
            "PROGRAMS": self._programs,
            "TRIGGERS": self._triggers,
        }
        return list(read[item.kind](item))

    def value(self, item: Item) -> Iterator[File]:
        """Where a sequence stands that is still there."""
        self._enter(item)
        try:
            rows = fetch(self.session, f"SELECT * FROM {quoted(item.name)}")  # noqa: S608 - quoted
        except pymysql.Error as error:
            if error_code(error) not in _GONE:
                raise self._explained(error, "SEQUENCE", item.name) from error
            return
        yield File(f"{self.stem(self.database, item.name)}.sql", text.value_file(item.name, rows[0]))

    def _enter(self, item: Item) -> None:
        self.database = item.database.name
        # What is not there is told by what is asked next.
        with contextlib.suppress(pymysql.err.OperationalError):
            self.session.select_db(self.database)

    def _database(self, item: Item) -> Iterator[File]:
        name = item.database.name
        if row := self._shown("DATABASE", name):
            content = text.database_file(_created(row).encode(), self._policies(name))
            yield File(f"{self.stem(name)}-schema-create.sql", content)

    def _policies(self, database: str) -> list[bytes]:
        """The placement policies that a database of TiDB needs."""
        if not self.found.is_tidb:
            return []
        try:
            names = self._rows(_POLICIES, database, database, database)
        except pymysql.Error as error:
            if error_code(error) != _NO_SUCH_COLUMN:
                raise
            return []
        shown = [
            fetch(self.session, f"SHOW CREATE PLACEMENT POLICY {quoted(row[0])}") for row in names if row[0]
        ]
        return [str(rows[0][1]).encode() for rows in shown]

    def _sequence(self, item: Item) -> Iterator[File]:
        if row := self._shown("SEQUENCE", item.name):
            create = str(_created(row))
            # Elsewhere the value is not of the snapshot that the rows are of: it is read after them.
            value = self._next_value(item, create) if self.found.is_tidb else b""
            name = f"{self.stem(self.database, item.name)}-schema.sql"
            yield File(name, text.sequence_file(create, value))

    def _next_value(self, item: Item, create: str) -> bytes:
        """Of a sequence of TiDB: the value of now, which is not before that of the snapshot."""
        try:
            rows = fetch(self.session, f"SHOW TABLE {quoted(item.name)} NEXT_ROW_ID")
        except pymysql.Error as error:
            if error_code(error) not in _GONE:
                raise self._explained(error, "SEQUENCE", item.name) from error
            return b""
        following = next(int(row[3]) for row in rows if row[4] == "SEQUENCE")
        return text.next_value(item.name, create, following)

    def _table(self, item: Item) -> Iterator[File]:
        if row := self._shown("TABLE", item.name):
            name = f"{self.stem(self.database, item.name)}-schema.sql"
            yield File(name, text.table_file(_created(row).encode("utf-8", "surrogateescape")))

    def _view(self, item: Item) -> Iterator[File]:
        made = self._made("VIEW", item.name)
        if made is None:
            return
        try:
            columns = [str(row[0]) for row in fetch(self.session, f"SHOW COLUMNS FROM {quoted(item.name)}")]
        except pymysql.Error as error:
            raise self._explained(error, "VIEW", item.name) from error
        stem = self.stem(self.database, item.name)
        yield File(f"{stem}-schema.sql", text.placeholder_file(item.name, columns))
        yield File(f"{stem}-schema-view.sql", text.view_file(item.name, made))

    def _programs(self, item: Item) -> Iterator[File]:
        database = item.database
        chosen = [
            (kind, name) for kind, name in self._rows(_ROUTINES, database.name) if name in database.routines
        ]
        found = [
            self._made(kind, name) for kind, name in (*chosen, *(("EVENT", name) for name in database.events))
        ]
        if made := [one for one in found if one]:
            content = text.programs_file(made, immediate=self._immediate)
            yield File(f"{self.stem(self.database)}-schema-post.sql", content)

    def _triggers(self, item: Item) -> Iterator[File]:
        chosen = {table.name: list[Made]() for table in item.database.tables if table.triggers}
        for table, name in self._rows(_TRIGGERS, item.database.name):
            if table in chosen and (made := self._made("TRIGGER", name)):
                chosen[table].append(made)
        for table, made_all in chosen.items():
            if made_all:
                name = f"{self.stem(self.database, table)}-schema-triggers.sql"
                yield File(name, text.programs_file(made_all, immediate=self._immediate))

    @property
    def _immediate(self) -> bool:
        version = re.match(r"(\d+)\.(\d+)\.(\d+)", self.found.version)
        known = version is not None and tuple(map(int, version.groups())) >= _IMMEDIATE_SINCE
        return "mariadb" in self.found.version.lower() and known

    def _made(self, kind: str, name: str) -> Made | None:
        row = self._shown(kind, name)
        if row is None:
            return None
        charset = row["character_set_client"]
        create: Any = _created(row)
        if create is None:
            raise self._unseen(kind, name)
        if charset in _UTF8 or create.isascii():
            create = create.encode("utf-8", "surrogateescape")
        else:
            create = self._raw(kind, name, charset)
        zone = row.get("time_zone", "+00:00")
        return Made(create, charset, row["collation_connection"], row.get("sql_mode", ""), zone)

    def _raw(self, kind: str, name: str, charset: str) -> bytes:
        """A definition in its own character set: it may hold what has no place in another one."""
        fetch(self.session, f"SET character_set_results = {charset}")
        self.session.use_unicode = False
        try:
            row = self._shown(kind, name)
        finally:
            self.session.use_unicode = True
            fetch(self.session, "SET character_set_results = utf8mb4")
        return bytes(_created(row)) if row else b""

    def _shown(self, kind: str, name: str) -> dict[str, Any] | None:
        """The row of SHOW CREATE; None: there is no such thing."""
        try:
            with self.session.cursor() as cursor:
                cursor.execute(f"SHOW CREATE {kind} {quoted(name)}")
                row = cursor.fetchone()
                return (
                    dict(zip((column[0] for column in cursor.description), row, strict=True)) if row else None
                )
        except pymysql.Error as error:
            if error_code(error) in _GONE:
                return None
            if error_code(error) == _EVENTS_DISABLED:
                return self._event(name)
            raise self._explained(error, kind, name) from error

    def _event(self, name: str) -> dict[str, Any] | None:
        """An event from information_schema.events: a server without a scheduler refuses SHOW CREATE EVENT."""
        with self.session.cursor(DictCursor) as cursor:
            cursor.execute(_EVENT, (self.database, name))
            row = cursor.fetchone()
        if row is None:
            return None
        found = {key.lower(): value for key, value in row.items()}
        return {**found, "Create Event": event_text(name, found)}

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self.session.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def _explained(self, error: pymysql.Error, kind: str, name: str) -> Exception:
        code = error_code(error)
        if code in _DENIED:
            return self._unseen(kind, name, "EXECUTE" if code == _EXECUTE_DENIED else _RIGHTS.get(kind, ""))
        if code == _BROKEN_VIEW:
            return StepFailed(
                reasons.DUMP_INCOMPLETE,
                f"the view {self._full(name)} cannot be opened (a table or column that it shows is gone, or "
                "its definer lacks a right): correct it, drop it or leave it out with a filter",
            )
        return error

    def _unseen(self, kind: str, name: str, right: str = "") -> StepFailed:
        report = read_grants(self.found.grants, self.found.is_tidb)
        thing = f"{kind.lower()} {self._full(name)}"
        cure = report.cure_of(right or "SELECT")
        return StepFailed(
            reasons.GRANTS_MISSING,
            f"the user may not see how the {thing} was made; {cure}",
        )

    def _full(self, name: str) -> str:
        return f"`{self.database}`.`{name}`"


def _created(row: dict[str, Any]) -> Any:
    """The statement in a row of SHOW CREATE."""
    return next(value for key, value in row.items() if key.startswith(("Create ", "SQL Original")))
