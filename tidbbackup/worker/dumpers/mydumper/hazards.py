"""Tables whose rows mydumper 0.10 would lose or spoil with exit 0, found beforehand.

Each rule was read off its behaviour, see tests. Must not know file names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from attrs import frozen

from tidbbackup.worker.database.catalog import Database, Table

# MySQL's own hidden key (sql_generate_invisible_primary_key): created again when the table is loaded.
_GENERATED_KEY = "my_row_id"

_TRANSACTIONAL = frozenset({"innodb", "rocksdb", "tokudb"})
_LISTS = frozenset({"enum", "set"})
_BINARY_TYPES = frozenset({"inet4", "inet6", "uuid"})

# mydumper puts names between quotes without escaping in its questions to information_schema.
_UNQUOTABLE = ("'", "\\")


@frozen
class Quirks:
    """What the mydumper at hand does wrong that others do right."""

    omits_defaults: bool
    """It takes every column whose EXTRA has the word GENERATED for computed, DEFAULT_GENERATED too."""


def quirks(program: bytes) -> Quirks:
    """The quirks of a mydumper, read off its machine code: versions say little, distributions patch.

    The query by which it finds computed columns stands there as text. docs/decisions/0009 has the story.
    """
    return Quirks(omits_defaults=b"like '%%GENERATED%%'" in program and b"DEFAULT_GENERATED" not in program)


def unsupported_tables(databases: tuple[Database, ...], is_tidb: bool, known: Quirks) -> list[str]:
    """Why the rows of these databases cannot be dumped whole, one line each; empty: they can.

    Args:
        databases: what is dumped.
        is_tidb: views are told apart in another way there.
        known: of the mydumper that will do it.
    """
    found: list[str] = []
    for database in databases:
        for table in (table for table in database.tables if table.has_rows):
            thing = f"`{database.name}`.`{table.name}`"
            spoilt = _unquotable(database.name) or _unquotable(table.name)
            found += [f"{thing}: {why}" for why in _column_hazards(table, spoilt, known)]
            if is_tidb and (members := [c.name for c in table.columns if c.kind in _LISTS]):
                found.append(f"{thing}: TiDB does not read back the members of {_named(members)} in gbk")
            if table.comment == "VIEW" and not is_tidb:
                found.append(f"{thing}: a table with the comment `VIEW` is taken for a view")
    return found


def unloadable_tables(databases: Iterable[Database]) -> list[str]:
    """Tables whose rows are dumped right, in text, but read as raw bytes when they are loaded: dumps begin
    with SET NAMES binary, and MariaDB takes a binary string for the value itself in these types."""
    return _with_columns(databases, _BINARY_TYPES)


def rounded_tables(databases: Iterable[Database]) -> list[str]:
    """Tables with FLOAT columns, of which MySQL and MariaDB show six digits where there may be up to nine.

    FLOAT(m,d) is kept rounded to what is shown, DOUBLE is shown whole, TiDB shows both whole.
    """
    return _with_columns(databases, {"float"})


def _with_columns(databases: Iterable[Database], kinds: Collection[str]) -> list[str]:
    return [
        f"`{database.name}`.`{table.name}`: column {_named(names)}"
        for database in databases
        for table in database.tables
        if not table.remote
        and (names := [c.name for c in table.columns if c.kind in kinds and not c.generated])
    ]


def remote_tables(databases: Iterable[Database]) -> list[str]:
    """Tables of which only the definition is dumped, with their engine."""
    return [f"`{d.name}`.`{t.name}` ({t.engine})" for d in databases for t in d.tables if t.remote]


def remote_engines(databases: Iterable[Database]) -> tuple[str, ...]:
    """Their engines."""
    return tuple(sorted({t.engine for d in databases for t in d.tables if t.remote and t.engine}))


def not_transactional(databases: Iterable[Database]) -> bool:
    """Whether there are rows that no transaction shows unchanged."""
    tables = (table for database in databases for table in database.tables)
    return any(t.has_rows and not t.remote and (t.engine or "").lower() not in _TRANSACTIONAL for t in tables)


def versioned_tables(databases: Iterable[Database]) -> list[str]:
    """MariaDB's tables WITH SYSTEM VERSIONING: of these a SELECT, and so a dump, shows the present only."""
    return [
        f"`{database.name}`.`{table.name}`"
        for database in databases
        for table in database.tables
        if table.kind == "SYSTEM VERSIONED"
    ]


def _column_hazards(table: Table, spoilt: bool, known: Quirks) -> Iterator[str]:
    generated = [column.name for column in table.columns if column.generated]
    defaults = [c.name for c in table.columns if known.omits_defaults and "DEFAULT_GENERATED" in c.extra]
    hidden = [c.name for c in table.columns if "INVISIBLE" in c.extra and c.name != _GENERATED_KEY]
    ticks = [column.name for column in table.columns if "`" in column.name]
    if defaults:
        yield f"column {_named(defaults)} (DEFAULT_GENERATED) is taken for computed, its values are omitted"
    elif hidden and not generated:
        yield f"mydumper omits the values of the invisible column {_named(hidden)}"
    if (generated or defaults) and ticks:
        yield f"generated columns beside column {_named(ticks)}, whose name has a backtick"
    if (generated or hidden) and spoilt:
        yield "generated or invisible columns, and a quote or backslash in the name"


def generated_tables(databases: Iterable[Database]) -> list[tuple[str, str]]:
    """(database, table) of those with generated columns.

    Where such a table is longer than one statement, mydumper may write its last INSERT without the column
    list, and it does not load. `--complete-insert` helps, see `backticked_columns`.
    """
    return [(d.name, t.name) for d in databases for t in d.tables if any(c.generated for c in t.columns)]


def column_lists(databases: Iterable[Database]) -> bool:
    """Whether every INSERT has to carry its column list."""
    return bool(generated_tables(databases)) and not backticked_columns(databases)


def backticked_columns(databases: Iterable[Database]) -> bool:
    """Whether `--complete-insert` would spoil a table: it does not escape backticks in column names."""
    return any("`" in column.name for d in databases for t in d.tables for column in t.columns)


def _unquotable(name: str) -> bool:
    return any(character in name for character in _UNQUOTABLE)


def _named(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:3]) + (" …" if len(names) > 3 else "")
