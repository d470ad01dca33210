"""Definitions that mydumper leaves out: of remote tables, and of TiDB's views, which 0.10 takes for broken.

The worker writes a view's two files as mydumper writes them for MySQL: a table in the view's place, so that
views may use each other, then the view. Must not know when a dump needs them.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed


@frozen
class View:
    """A view as SHOW COLUMNS and SHOW CREATE VIEW tell it."""

    database: str
    name: str
    columns: tuple[str, ...]
    definition: str
    charset: str
    collation: str


_NAMES = "/*!40101 SET NAMES binary*/;\n"
_SETTINGS = ("CHARACTER_SET_CLIENT", "CHARACTER_SET_RESULTS", "COLLATION_CONNECTION")


def placeholder(view: View) -> str:
    """The file `<database>.<view>-schema.sql`."""
    columns = ",\n".join(f"{quoted(column)} int" for column in view.columns)
    return f"{_NAMES}CREATE TABLE {quoted(view.name)}(\n{columns}\n)ENGINE=MyISAM;\n"


def definition(view: View) -> str:
    """The file `<database>.<view>-schema-view.sql`."""
    lines = [f"DROP {kind} IF EXISTS {quoted(view.name)};" for kind in ("TABLE", "VIEW")]
    lines += [f"SET @PREV_{name}=@@{name};" for name in _SETTINGS]
    values = (view.charset, view.charset, view.collation)
    lines += [f"SET {name.lower()} = {value};" for name, value in zip(_SETTINGS, values, strict=True)]
    lines.append(f"{view.definition};")
    lines += [f"SET {name.lower()} = @PREV_{name};" for name in _SETTINGS]
    return _NAMES + "\n".join(lines) + "\n"


def view_files(views: Iterable[View]) -> dict[str, str]:
    """Name to text of the files of these views."""
    found = {}
    for view in views:
        stem = f"{view.database}.{view.name}"
        found[f"{stem}-schema.sql"] = placeholder(view)
        found[f"{stem}-schema-view.sql"] = definition(view)
    return found


def table_files(definitions: Mapping[str, str]) -> dict[str, str]:
    """Name to text of the files of these tables, `database.table` to CREATE TABLE."""
    return {f"{stem}-schema.sql": f"{_NAMES}{text};\n" for stem, text in definitions.items()}


def write_files(files: Mapping[str, str], folder: Path) -> None:
    """Write these files into a dump.

    Raises:
        StepFailed: StagingFull, StagingNotWritable.
    """
    for name, text in files.items():
        try:
            (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = reasons.STAGING_FULL if full else reasons.STAGING_NOT_WRITABLE
            raise StepFailed(reason, f"writing `{name}`: {error.strerror}") from error


def quoted(name: str) -> str:
    """An identifier as SQL writes it."""
    return "`" + name.replace("`", "``") + "`"
