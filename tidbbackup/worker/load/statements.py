"""A dump's file as statements: where each ends, and which of them a restore carries out. Pure.

All three dumpers escape line feeds inside of values, and put a blank behind a semicolon that ends a line
inside of a routine: `;` and a line feed end a statement and nothing else. Must not know a server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from attrs import frozen

_END = b";\n"
_FEW = 64
"""Semicolons inside of values that are passed over one by one."""
_COMMENTED = re.compile(rb"/\*!\d{5,6} (.*?) ?\*/\Z", re.DOTALL)
_NAME = rb"`((?:[^`]|``)+)`"
_CREATE = re.compile(
    rb"CREATE\s(?:.*?\s)??(DATABASE|SCHEMA|TABLE|VIEW|SEQUENCE|PLACEMENT POLICY|PROCEDURE|FUNCTION|EVENT"
    rb"|PACKAGE BODY|PACKAGE)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:/\*!\d+ IF NOT EXISTS ?\*/\s*)?"
    rb"(?:" + _NAME + rb"\s*\.\s*)?" + _NAME,
    re.IGNORECASE | re.DOTALL,
)
_IF_NOT_EXISTS = re.compile(
    rb"(CREATE\s+(?:(?:GLOBAL\s+)?TEMPORARY\s+)?(?:TABLE|SEQUENCE)\s+)IF\s+NOT\s+EXISTS\s+", re.IGNORECASE
)
_ENGINE = re.compile(rb"\n\)\s*ENGINE\s*=\s*(\w+)", re.IGNORECASE)
_DEFINER = re.compile(rb"\sDEFINER\s*=\s*" + _NAME + rb"(?:@" + _NAME + rb")?")
_HEAD = re.compile(rb"SET\s+(?:NAMES|FOREIGN_KEY_CHECKS|UNIQUE_CHECKS)\b", re.IGNORECASE)
_NEXT = re.compile(rb"(?:(?:SELECT|DO)\s+SETVAL\s*\(|ALTER\s+SEQUENCE\s)", re.IGNORECASE)
# A program whose lines end with semicolons, as a string, which no loader splits.
_TEXT = re.compile(rb"SET\s+@DEFINITION\s*=\s*'", re.IGNORECASE)
_CARRY_OUT = re.compile(rb"EXECUTE\s+IMMEDIATE\s+@DEFINITION\Z", re.IGNORECASE)
# A string, an identifier with its database, another identifier: what is in a string is no name.
_QUALIFIED = re.compile(
    rb"'(?:[^'\\]|\\.|'')*'|(`(?:[^`]|``)+)`(\s*\.\s*`(?:[^`]|``)+`)|`(?:[^`]|``)+`", re.DOTALL
)
_UNQUALIFIED = re.compile(
    rb"(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO\s+`(?:[^`]|``)+`\s*(?:\(|VALUES\b)", re.IGNORECASE
)
_ZONE = re.compile(rb"SET\s+TIME_ZONE\s*=\s*'\+00:00'", re.IGNORECASE)
_INSERT = re.compile(
    rb"(?:INSERT|REPLACE) INTO " + _NAME + rb"(?: ?\((?:" + _NAME + rb",? ?)+\))? VALUES\n(?=\()"
)
_BETWEEN_ROWS = b",\n("
_PART_BYTES = 96 << 10


class TooLong(ValueError):
    """A statement is longer than the server takes; the message says how long it is at the least."""


@frozen
class Created:
    """What a CREATE statement names."""

    kind: str
    """In capitals."""
    database: str
    """"" where the statement leaves it to the session."""
    name: str


def split(pieces: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """The statements of a file, without their ends. What follows the last end is one too.

    Raises:
        TooLong: one is longer than `longest` bytes.
    """
    # The pieces of a statement that has no end yet: each byte is copied once, however long it is.
    begun: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        start = 0
        if begun and piece[:1] == b"\n" and bytes(begun[-1][-1:]) == b";":
            # The end stands on both sides of the border.
            begun[-1] = begun[-1][:-1]
            yield from _joined(begun)
            begun, size, start = [], 0, 1
        view = memoryview(piece)
        while (end := _end(piece, start)) >= 0:
            begun.append(view[start:end])
            yield from _joined(begun)
            begun, size, start = [], 0, end + len(_END)
        if start < len(piece):
            begun.append(view[start:])
            size += len(piece) - start
        if size > longest:
            raise TooLong(f"{size} bytes and more")
    for last in _joined(begun):
        yield last.removesuffix(b";")


def _end(piece: bytes, start: int) -> int:
    """Where the next end is, -1 without one. A search for one byte is a hundred times faster than for two."""
    for _ in range(_FEW):
        start = piece.find(b";", start)
        if start < 0 or piece[start + 1 : start + 2] == b"\n":
            return start
        start += 1
    return piece.find(_END, start)


def _joined(pieces: list[bytes | memoryview]) -> Iterator[bytes]:
    if statement := b"".join(pieces).strip():
        yield statement


def in_parts(statement: bytes) -> Iterator[bytes]:
    """The same INSERT as several of about 96 KiB, where each row has a line of its own.

    MariaDB makes a list of all values of a statement first. For 1 MB it is larger than a processor's cache.
    """
    found = _INSERT.match(statement)
    if found is None:
        yield statement
        return
    view, head, start = memoryview(statement), b"", 0
    while (end := statement.find(_BETWEEN_ROWS, max(start, found.end()) + _PART_BYTES)) >= 0:
        yield b"".join((head, view[start:end]))
        head, start = found[0], end + _BETWEEN_ROWS.index(b"(")
    yield b"".join((head, view[start:])) if start else statement


def plain(statement: bytes) -> bytes:
    """The statement, out of a comment that all servers carry out (`/*!40101 SET ... */`)."""
    found = _COMMENTED.match(statement)
    return found[1] if found else statement


def verb(statement: bytes) -> str:
    """Its first word, in capitals."""
    return plain(statement[:200]).split(None, 1)[0].decode("ascii", "replace").upper()


def sets_utc(statement: bytes) -> bool:
    """Whether it says that the values of the file are in UTC."""
    return _ZONE.match(plain(statement)) is not None


def is_head(statement: bytes) -> bool:
    """Whether it sets a session for the whole file: a restore does that by itself.

    A time zone that is set in plain words is that of one event.
    """
    text = plain(statement)
    return _HEAD.match(text) is not None or (text is not statement and _ZONE.match(text) is not None)


def sets_next_value(statement: bytes) -> bool:
    """Whether it says which value a sequence gives next."""
    return _NEXT.match(statement) is not None


def carries_out_text(statement: bytes) -> bool:
    """Whether it carries out the statement that `SET @DEFINITION = '...'` has stored."""
    return _CARRY_OUT.match(statement) is not None


def created(statement: bytes) -> Created | None:
    """What it creates, or stores the definition of; None: nothing that a dump holds."""
    text = plain(statement)
    stored = _TEXT.match(text)
    found = _CREATE.match(text, stored.end() if stored else 0)
    if not found:
        return None
    kind, database, name = found[1], found[2] or b"", found[3]
    return Created(b" ".join(kind.split()).decode().upper(), _identifier(database), _identifier(name))


def engine(statement: bytes) -> str:
    """The engine of the table that it creates, in lower case; "" where it names none."""
    found = _ENGINE.search(statement)
    return found[1].decode("ascii", "replace").lower() if found else ""


def definer(statement: bytes) -> tuple[str, str] | None:
    """User and host after DEFINER= of what it creates, a role without a host; None without one.

    Only the head is looked at.
    """
    text = plain(statement)
    begins = text[:6].upper() == b"CREATE" or _TEXT.match(text)
    found = _DEFINER.search(text[:2000]) if begins else None
    return (_identifier(found[1]), _identifier(found[2] or b"")) if found else None


def strictly_new(statement: bytes) -> bytes:
    """The statement without IF NOT EXISTS: an object that has appeared meanwhile has to be an error."""
    found = _IF_NOT_EXISTS.match(statement)
    return found[1] + statement[found.end() :] if found else statement


def renamed(statement: bytes, suffix: bytes) -> bytes:
    """The same definition for databases whose names end with `suffix`: also in foreign keys and defaults."""
    found = _CREATE.match(statement)
    if found and found[1].upper() in (b"DATABASE", b"SCHEMA"):
        return statement[: found.end(3)] + suffix + statement[found.end(3) :]
    return _QUALIFIED.sub(lambda name: name[1] + suffix + b"`" + name[2] if name[1] else name[0], statement)


def leaves_database_open(statement: bytes) -> bool:
    """Whether these rows go into the database of the session, whatever that is."""
    return _UNQUALIFIED.match(statement) is not None


def _identifier(quoted: bytes) -> str:
    return quoted.replace(b"``", b"`").decode("utf-8", "surrogateescape")
