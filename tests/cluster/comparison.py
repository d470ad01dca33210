"""What is in a database server, in a form in which two servers can be compared. Knows no dump."""

from hashlib import sha256
from typing import Any

from attrs import frozen

from tests.cluster.database import Database
from tests.cluster.tidb_server import TiDB

_SYSTEM = ("information_schema", "mysql", "performance_schema", "metrics_schema", "sys")

_PROGRAMS = {
    "VIEW": "SELECT table_schema, table_name FROM information_schema.views",
    "TRIGGER": "SELECT trigger_schema, trigger_name FROM information_schema.triggers",
    "EVENT": "SELECT event_schema, event_name FROM information_schema.events",
    "PROCEDURE": "SELECT routine_schema, routine_name FROM information_schema.routines "
    "WHERE routine_type = 'PROCEDURE'",
    "FUNCTION": "SELECT routine_schema, routine_name FROM information_schema.routines "
    "WHERE routine_type = 'FUNCTION'",
    "PACKAGE": "SELECT routine_schema, routine_name FROM information_schema.routines "
    "WHERE routine_type = 'PACKAGE'",
    "PACKAGE BODY": "SELECT routine_schema, routine_name FROM information_schema.routines "
    "WHERE routine_type = 'PACKAGE BODY'",
    "SEQUENCE": "SELECT table_schema, table_name FROM information_schema.tables "
    "WHERE table_type = 'SEQUENCE'",
}


@frozen
class Content:
    """Everything of the users' databases."""

    databases: dict[str, str]
    """Name to its definition."""
    tables: dict[tuple[str, str], tuple[str, int, str, int]]
    """(database, table) to definition, number of rows, digest of the rows, CHECKSUM TABLE or 0."""
    programs: dict[tuple[str, str, str], str]
    """(kind, database, name) to definition."""


async def content(server: Database) -> Content:
    """Read it all."""
    names = [row[0] for row in await server.sql("SHOW DATABASES") if row[0].lower() not in _SYSTEM]
    databases = {name: (await server.sql(f"SHOW CREATE DATABASE {_q(name)}"))[0][1] for name in names}
    tables = {}
    for name in names:
        for table, kind in await server.sql(f"SHOW FULL TABLES FROM {_q(name)}"):
            if kind == "BASE TABLE":
                tables[name, table] = await _table(server, f"{_q(name)}.{_q(table)}")
    programs = {}
    for kind, query in _PROGRAMS.items():
        for database, name in await server.sql(query):
            if database.lower() not in _SYSTEM:
                row = (await server.sql(f"SHOW CREATE {kind} {_q(database)}.{_q(name)}"))[0]
                programs[kind, database, name] = _definition(kind, row)
    return Content(databases, tables, programs)


async def _table(server: Database, name: str) -> tuple[str, int, str, int]:
    definition = (await server.sql(f"SHOW CREATE TABLE {name}"))[0][1]
    rows = sorted(repr(row) for row in await server.sql(f"SELECT * FROM {name}"))
    # With virtual columns MariaDB's checksum differs between two tables of equal rows; TiDB has none.
    without = "GENERATED ALWAYS" in definition or isinstance(server, TiDB)
    checksum = 0 if without else (await server.sql(f"CHECKSUM TABLE {name} EXTENDED"))[0][1]
    return definition, len(rows), sha256("\n".join(rows).encode()).hexdigest(), checksum


def _definition(kind: str, row: tuple[Any, ...]) -> str:
    # With the SQL mode, the time zone and the character sets that it was made under, without the moment.
    return repr(row[1:6] if kind == "TRIGGER" else row[1:])


def _q(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
