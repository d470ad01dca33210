"""The files of definitions: their names and their text, from the output of SHOW CREATE. Pure.

Loaders split a file at `;` before a line feed. A file begins with the character set that it is written in and
ends with the one that rows are written in: loaders go on in the same session. Must not know a server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from attrs import frozen

_HEAD = (
    b"/*!40101 SET NAMES utf8mb4*/;\n"
    b"/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n"
    b"/*!40103 SET TIME_ZONE='+00:00' */;\n"
)
_TAIL = b"/*!40101 SET NAMES binary*/;\n"
_END = b";\n"

_KEPT = ("character_set_client", "collation_connection", "sql_mode", "time_zone")
_SAVE = b"".join(b"SET @PREV_%s=@@%s;\n" % (n.upper().encode(), n.upper().encode()) for n in _KEPT)
_PUT_BACK = b"".join(b"SET %s = @PREV_%s;\n" % (n.encode(), n.upper().encode()) for n in _KEPT)

# Such a default is refused under a strict mode; a table keeps no mode of its own.
_ZERO_DATE = re.compile(rb" DEFAULT '(?:0000-|\d{4}-00|\d{4}-\d\d-00)")
_LENIENT = b"SET sql_mode = 'NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES';\n"
_BOUNDS = re.compile(r"\bminvalue (-?\d+) maxvalue (-?\d+)")


@frozen
class Made:
    """The output of SHOW CREATE for one object, in the character set under which it was created."""

    text: bytes
    charset: str = "utf8mb4"
    collation: str = ""
    sql_mode: str = ""
    time_zone: str = "+00:00"


def database_file(create: bytes, policies: Sequence[bytes] = ()) -> bytes:
    """The file `<database>-schema-create.sql`, with the placement policies that the database needs."""
    made = [
        p.replace(b"CREATE PLACEMENT POLICY", b"CREATE PLACEMENT POLICY IF NOT EXISTS", 1) for p in policies
    ]
    created = create.replace(b"CREATE DATABASE", b"CREATE DATABASE IF NOT EXISTS", 1)
    return _HEAD + b"".join(text + _END for text in (*made, created)) + _TAIL


def table_file(create: bytes) -> bytes:
    """The file `<database>.<table>-schema.sql`."""
    text = create + _END
    if _ZERO_DATE.search(create):
        text = b"SET @PREV_SQL_MODE=@@SQL_MODE;\n" + _LENIENT + text + b"SET sql_mode = @PREV_SQL_MODE;\n"
    return _HEAD + text + _TAIL


def sequence_file(create: str, value: bytes = b"") -> bytes:
    """The file `<database>.<sequence>-schema.sql`. `value`: from `next_value`, where it is known already."""
    return _HEAD + create.encode() + _END + value + _TAIL


def value_file(sequence: str, row: Iterable[object]) -> bytes:
    """The file `<database>.<sequence>.sql`: on MariaDB a sequence has one row, which holds its next value."""
    values = ",".join(str(value) for value in row)
    return _HEAD + f"INSERT INTO {quoted(sequence)} VALUES ({values})".encode() + _END + _TAIL  # noqa: S608 - quoted


def next_value(name: str, create: str, following: int) -> bytes:
    """The statement after which a sequence of TiDB goes on with this value; past the last it is used up."""
    bounds = _BOUNDS.search(create.lower())
    low, high = (int(bounds[1]), int(bounds[2])) if bounds else (following, following)
    if low <= following <= high:
        return f"ALTER SEQUENCE {quoted(name)} RESTART WITH {following}".encode() + _END
    return f"DO SETVAL({quoted(name)}, {high if following > high else low})".encode() + _END


def placeholder_file(view: str, columns: Iterable[str]) -> bytes:
    """The file `<database>.<view>-schema.sql`: a table in its place, so that views may use each other."""
    fields = ",\n".join(f"{quoted(column)} int" for column in columns)
    return _HEAD + f"CREATE TABLE {quoted(view)}(\n{fields}\n)ENGINE=MyISAM".encode() + _END + _TAIL


def view_file(view: str, made: Made) -> bytes:
    """The file `<database>.<view>-schema-view.sql`."""
    drops = "".join(f"DROP {kind} IF EXISTS {quoted(view)};\n" for kind in ("TABLE", "VIEW"))
    return _HEAD + drops.encode() + _SAVE + _settings(made) + made.text + _END + _PUT_BACK + _TAIL


def programs_file(programs: Iterable[Made], *, immediate: bool) -> bytes:
    """The file `<database>.<table>-schema-triggers.sql` or `<database>-schema-post.sql`.

    Args:
        programs: in the order in which they are to be made.
        immediate: the server knows EXECUTE IMMEDIATE for them. Then a body with `;` before a line feed is
            written as a string, which loaders do not split; else a blank is put between the two.
    """
    return (
        _HEAD + _SAVE + b"".join(_program(one, immediate=immediate) for one in programs) + _PUT_BACK + _TAIL
    )


def _program(made: Made, *, immediate: bool) -> bytes:
    if _END not in made.text:
        return _settings(made) + made.text + _END
    if not immediate:
        return _settings(made) + made.text.replace(_END, b"; \n") + _END
    # The string is written under a mode of which its quotes and backslashes are independent.
    lenient = Made(b"", made.charset, made.collation)
    text = made.text
    for raw, escaped in ((b"\\", b"\\\\"), (b"'", b"\\'"), (b"\n", b"\\n"), (b"\0", b"\\0")):
        text = text.replace(raw, escaped)
    stored = b"SET @DEFINITION = '" + text + b"'" + _END
    return _settings(lenient) + stored + _settings(made) + b"EXECUTE IMMEDIATE @DEFINITION" + _END


def _settings(made: Made) -> bytes:
    values = {
        "character_set_client": made.charset,
        "collation_connection": made.collation,
        "sql_mode": f"'{made.sql_mode}'",
        "time_zone": f"'{made.time_zone}'",
    }
    return b"".join(f"SET {name} = {value};\n".encode() for name, value in values.items() if value)


def quoted(name: str) -> str:
    """An identifier as SQL writes it."""
    return "`" + name.replace("`", "``") + "`"
