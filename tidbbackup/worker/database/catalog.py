"""What a database server holds, as far as a dump cares: databases, tables, triggers, columns. Pure values.

Must not know SQL or mydumper.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import evolve, field, frozen

from tidbbackup.model.filter.table_filter import SYSTEM_DATABASES, TIDB_SYSTEM_DATABASES

_REMOTE = frozenset({"federated", "connect", "spider", "sphinx"})
ROWS_ELSEWHERE = _REMOTE | {"mrg_myisam"}
"""Engines, in lower case, whose tables show rows that a dump does not have under their name."""


@frozen
class Column:
    """A column that mydumper treats specially."""

    name: str
    extra: str = ""
    """EXTRA of information_schema.columns, upper case."""
    kind: str = ""
    """DATA_TYPE, lower case."""

    @property
    def generated(self) -> bool:
        """Computed by the server, never inserted."""
        return "GENERATED" in self.extra.replace("DEFAULT_GENERATED", "")


@frozen
class Table:
    """A base table, view or sequence."""

    name: str
    kind: str = "BASE TABLE"
    engine: str | None = "InnoDB"
    comment: str = ""
    triggers: bool = False
    columns: tuple[Column, ...] = ()
    """Only those that need a look: generated, invisible, of a type that is not dumped or
    loaded as it is (ENUM and SET: in a Chinese character set), a backtick in the name."""
    rows: int = 0
    """The server's estimate of TABLE_ROWS; 0 for a view, and where it knows none."""
    data_bytes: int = 0
    """The server's estimate of DATA_LENGTH, without indexes; the SQL of the dump is of about this size."""

    @property
    def is_view(self) -> bool:
        """A view, system view included: it has a definition and no rows."""
        return "VIEW" in self.kind

    @property
    def is_sequence(self) -> bool:
        """A sequence: it has a definition, a next value and no rows."""
        return self.kind == "SEQUENCE"

    @property
    def has_rows(self) -> bool:
        """A table, even if its rows are on another server."""
        return not (self.is_view or self.is_sequence)

    @property
    def remote(self) -> bool:
        """Its rows belong to another server, or to files beside the server: loaded, they would be written
        there."""
        return (self.engine or "").lower() in _REMOTE


@frozen
class Database:
    """One database (schema) with what is in it, sorted by name."""

    name: str
    tables: tuple[Table, ...] = ()
    routines: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


@frozen
class Survey:
    """What the preflight learned from the server."""

    version: str
    is_tidb: bool
    commit_ts: str = ""
    """TSO of the snapshot to dump, TiDB only."""
    grants: tuple[str, ...] = ()
    databases: tuple[Database, ...] = field(default=())

    @property
    def system(self) -> tuple[str, ...]:
        """Names of the server's own databases, as it spells them."""
        return TIDB_SYSTEM_DATABASES if self.is_tidb else SYSTEM_DATABASES


def without(databases: Iterable[Database], gone: Collection[tuple[str, str]]) -> tuple[Database, ...]:
    """The databases without these tables, (database, table)."""
    return tuple(
        evolve(each, tables=tuple(t for t in each.tables if (each.name, t.name) not in gone))
        for each in databases
    )


def estimated_bytes(databases: Iterable[Database]) -> int:
    """How large a dump of these databases will be, by the server's statistics; 0: it has none.

    Only good for progress and for choosing sizes: it may be wrong by a factor of some.
    """
    return sum(table.data_bytes for database in databases for table in database.tables)
