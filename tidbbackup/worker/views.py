"""Views of TiDB: mydumper 0.10 takes them for broken tables there and leaves them out with a warning.

The worker writes their two files itself, as mydumper writes them for MySQL: a table in the view's place, so
that views may use each other, then the view. Must not know when a dump needs them.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
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


def write_views(views: Iterable[View], folder: Path) -> int:
    """Write the files of these views into a dump; how many views there were.

    Raises:
        StepFailed: StagingFull, StagingNotWritable.
    """
    count = 0
    for view in views:
        count += 1
        stem = f"{view.database}.{view.name}"
        for kind, text in (("-schema", placeholder(view)), ("-schema-view", definition(view))):
            path = folder / f"{stem}{kind}.sql"
            try:
                path.write_bytes(text.encode("utf-8", "surrogateescape"))
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                reason = reasons.STAGING_FULL if full else reasons.STAGING_NOT_WRITABLE
                raise StepFailed(reason, f"writing view `{stem}`: {error.strerror}") from error
    return count


def quoted(name: str) -> str:
    """An identifier as SQL writes it."""
    return "`" + name.replace("`", "``") + "`"
