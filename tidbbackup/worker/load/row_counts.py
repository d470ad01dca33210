"""The rows of each table in an archive, from those of its files. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from tidbbackup.worker.archive.tar import PackedFile
from tidbbackup.worker.database.catalog import Database
from tidbbackup.worker.load.files import Kind, dump_file


def rows_of_tables(files: Iterable[PackedFile], databases: Iterable[Database]) -> dict[tuple[str, str], int]:
    """Rows by database and table; a table without a file has none. Views and sequences are left out."""
    names = [(d.name, t.name) for d in databases for t in d.tables if t.has_rows]
    by_stem = {f"{database}.{table}": (database, table) for database, table in names}
    found = dict.fromkeys(names, 0)
    for packed in files:
        file = dump_file(packed.name)
        if file.kind is Kind.ROWS:
            # dumpling escapes what mydumper writes as it is.
            stems = [stem for each in file.tables() for stem in (each, unquote(each)) if stem in by_stem]
            if stems:
                found[by_stem[stems[0]]] += packed.rows
    return found
