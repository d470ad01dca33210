"""The names of the files of a dump by mydumper 0.10, told before it runs; which objects would share one.

mydumper joins names without escaping, and of two objects with one file name it loses one, exit 0.
Must not know a server or a file system.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from attrs import frozen

from tidbbackup.worker.database.catalog import Database
from tidbbackup.worker.dumpers.mydumper.options import Flags

MAX_NAME_BYTES = 255
_BACKTICK = "a backtick"
_PLAIN = re.compile(r"[A-Za-z0-9_ -]+")

# What readers of such a folder (myloader, TiDB Lightning) look for in a name.
_KINDS = ("-schema", "-schema-view", "-schema-triggers", "-schema-post", "-schema-create")


@frozen
class DataFiles:
    """A table's rows: one file, numbered files, or none where it is empty."""

    database: str
    table: str

    @property
    def stem(self) -> str:
        """File name without number and ending."""
        return f"{self.database}.{self.table}"


def data_files(databases: Iterable[Database], flags: Flags) -> Iterator[DataFiles]:
    """Tables whose rows have to be in files, unless the log says they are empty."""
    for database in databases if flags.verbose else ():
        for table in database.tables:
            # mydumper leaves out the rows of MERGE tables: they are those of the tables below.
            if table.has_rows and not table.remote and (table.engine or "").lower() not in {"", "mrg_myisam"}:
                yield DataFiles(database.name, table.name)


def _claims(database: Database) -> Iterator[tuple[str, str, bool]]:
    """(file name without number, object, whether a number may follow) for everything in a database."""
    name = database.name
    yield f"{name}-schema-create", f"database `{name}`", False
    if database.routines or database.events:
        yield f"{name}-schema-post", f"routines and events of `{name}`", False
    for table in database.tables:
        thing = f"{'view' if table.is_view else 'table'} `{name}`.`{table.name}`"
        yield f"{name}.{table.name}-schema", thing, False
        if table.is_view:
            yield f"{name}.{table.name}-schema-view", thing, False
        else:
            yield f"{name}.{table.name}", thing, True
        if table.triggers:
            yield f"{name}.{table.name}-schema-triggers", thing, False


def unsupported_names(databases: tuple[Database, ...], flags: Flags) -> list[str]:
    """Why these names cannot be dumped, one line for each case; empty: they can."""
    problems = [p for database in databases for p in _bad_characters(database)]
    if flags.later:
        problems += [p for database in databases for p in _renamed(database)]
    owners: dict[str, set[str]] = defaultdict(set)
    numbered: dict[str, str] = {}
    longest = MAX_NAME_BYTES - len(".sql")
    for database in databases:
        for stem, thing, rows in _claims(database):
            owners[stem].add(thing)
            if rows:
                numbered[stem] = thing
            room = longest - (6 if rows and flags.chunked else 0)
            if len(stem.encode("utf-8", "surrogateescape")) > room:
                problems.append(f"{thing}: its file name would be longer than {MAX_NAME_BYTES} bytes")
    for stem, things in owners.items():
        base, _, number = stem.rpartition(".")
        if number.isdecimal() and len(number) >= 5 and base in numbered:
            # Chunk 1 of the one has the name of the other; readers take it so even where nothing is cut.
            things = things | {numbered[base]}
        if len(things) > 1:
            problems.append(f"{' and '.join(sorted(things))} would share the file {stem}.sql")
    return sorted(set(problems))


def _bad_characters(database: Database) -> Iterator[str]:
    if bad := _bad(database.name):
        yield f"database `{database.name}`: {bad} in the name"
    for table in database.tables:
        if (bad := _bad(table.name)) and (table.has_rows or bad != _BACKTICK):
            yield f"table `{database.name}`.`{table.name}`: {bad} in the name"


def _renamed(database: Database) -> Iterator[str]:
    why = "a mydumper after 0.10 keeps only names of letters, digits, _, - and blanks in the names of files"
    rows = [table.name for table in database.tables if table.has_rows]
    if rows and _odd(database.name):
        yield f"database `{database.name}`: {why}"
    yield from (f"table `{database.name}`.`{name}`: {why}" for name in rows if _odd(name))


def _odd(name: str) -> bool:
    return not _PLAIN.fullmatch(name) or name.startswith("mydumper_")


def _bad(name: str) -> str:
    for character, words in (("`", _BACKTICK), ("/", "a slash"), ("\0", "a NUL")):
        if character in name:
            return words
    return ""


def ambiguous_names(databases: Iterable[Database]) -> list[str]:
    """Objects whose files are whole, but whose names readers of such a folder take for something else."""
    found = []
    for database in databases:
        if "." in database.name:
            found.append(f"database `{database.name}`")
        found += [
            f"table `{database.name}`.`{table.name}`"
            for table in database.tables
            if table.name.endswith(_KINDS) or any(f"{kind}.sql" in table.name for kind in _KINDS)
        ]
    return found
