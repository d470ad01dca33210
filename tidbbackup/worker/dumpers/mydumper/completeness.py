"""Whether the files in staging are the whole dump, told from the catalog, mydumper's log and the folder.

Exit code and log have been judged before; that `metadata` is there proves nothing and is not asked. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from tidbbackup.worker.database.catalog import Database
from tidbbackup.worker.dumpers.mydumper.file_names import data_files
from tidbbackup.worker.dumpers.mydumper.hazards import column_lists, generated_tables
from tidbbackup.worker.dumpers.mydumper.options import Flags

_NUMBERED = re.compile(r"(?P<stem>.*)\.\d{5,}\.sql\Z", re.DOTALL)
_TWICE_NUMBERED = re.compile(r"(?P<stem>.*)\.\d{5,}\.\d{5,}\.sql\Z", re.DOTALL)
_PLAIN = re.compile(r"(?P<stem>.*)\.sql\Z", re.DOTALL)


def missing_rows(
    databases: tuple[Database, ...],
    flags: Flags,
    sizes: Mapping[str, int],
    empty_tables: Collection[str],
) -> list[str]:
    """Tables whose rows are not all there, as people name them.

    They have to be in a file unless mydumper itself said `Empty table`: what happens to a table meanwhile
    changes neither, so this cannot be wrong about a table that others write to.

    Args:
        databases: what the dump should hold.
        flags: what the options mean for its files.
        sizes: the folder, file name to bytes.
        empty_tables: `database.table` as the log names them.
    """
    stems = _stems(sizes)
    missing = []
    for rows in data_files(databases, flags):
        # The log is read line by line, so such a name cannot be found in it.
        in_log = rows.stem in empty_tables or "\n" in rows.stem or "\r" in rows.stem
        if rows.stem not in stems and not in_log:
            missing.append(f"rows of `{rows.database}`.`{rows.table}`")
    return sorted(set(missing))


def watched_tables(databases: tuple[Database, ...]) -> list[tuple[str, str]]:
    """(database, table) whose last INSERT may lack its column list and has to be looked at."""
    return [] if column_lists(databases) else generated_tables(databases)


def spoilt_files(watched: Collection[tuple[str, str]], names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Data files of these tables whose last INSERT has to be looked at, with their table."""
    owners = {f"{database}.{table}": (database, table) for database, table in watched}
    found = {}
    for name in names:
        for pattern in (_PLAIN, _NUMBERED, _TWICE_NUMBERED):
            if (match := pattern.match(name)) and match["stem"] in owners:
                found[name] = owners[match["stem"]]
    return found


def lacks_column_list(tail: bytes) -> bool | None:
    """Whether the last INSERT in the end of a data file has no column list; None: none is in this piece.

    Line feeds inside of values are escaped, so one before INSERT begins a statement.
    """
    start = max(tail.rfind(b"\nINSERT INTO `"), tail.rfind(b"\nINSERT IGNORE INTO `"))
    if start < 0:
        return None
    return re.match(rb"\nINSERT (IGNORE )?INTO `[^`]+` VALUES", tail[start:]) is not None


def _stems(sizes: Mapping[str, int]) -> set[str]:
    found = set()
    for name, size in sizes.items():
        for pattern in (_PLAIN, _NUMBERED, _TWICE_NUMBERED):
            if size and (match := pattern.match(name)):
                found.add(match["stem"])
    return found
