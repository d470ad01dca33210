"""The rows of each table, compared with those of the archive. Pure; must not know how rows are counted."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from tidbbackup.worker.archive.manifest import Manifest, printable
from tidbbackup.worker.database.catalog import ROWS_ELSEWHERE
from tidbbackup.worker.load.catalogue import Content, Definition
from tidbbackup.worker.load.statements import engine
from tidbbackup.worker.load.thing import Thing

_NAMED = 5


@frozen
class Mismatch:
    """A table that has not as many rows as the archive."""

    table: Thing
    expected: int
    found: int

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.table.sql} has {self.found} rows, the archive {self.expected}"


def expected_rows(
    content: Content, manifest: Manifest | None, suffix: str, taken: Mapping[Thing, int]
) -> dict[Thing, int]:
    """Rows by table: as they were packed, or else as the server has said while it took them.

    `suffix`: what the names of the databases have and those in the manifest have not.
    """
    packed = {(t.database, t.name): t.rows for t in manifest.tables} if manifest else {}
    return {
        item.thing: packed.get(
            (printable(item.thing.database.removesuffix(suffix)), printable(item.thing.name)),
            taken[item.thing],
        )
        for item in content.tables
    }


def whole_tables(expected: Mapping[Thing, int], taken: Mapping[Thing, int]) -> str:
    """Which tables have all their rows, for people."""
    found = [table.sql for table, rows in expected.items() if taken[table] == rows]
    names = f": {', '.join(found[:_NAMED])}" + (", ..." if len(found) > _NAMED else "") if found else ""
    return f"; {len(found)} of {len(expected)} tables have all their rows{names}"


def with_own_rows(content: Content) -> list[Thing]:
    """The tables whose rows are their own: the others' engines show the rows of another table."""
    return [item.thing for item in content.tables if not _rows_elsewhere(item.definition)]


def _rows_elsewhere(definition: Definition) -> bool:
    return any(engine(statement) in ROWS_ELSEWHERE for statement in definition.statements())
