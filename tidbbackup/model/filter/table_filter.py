"""`spec.tableFilter`: TiDB's table filter rules, parsed and compiled to one expression for mydumper.

A rule is `database.table`, `!` before it excludes; of the rules that match a table the last one decides; a
table that no rule matches is left out. (pingcap/tidb, table-filter; system databases differ, see below.)
Must not know a server, nor how mydumper is called.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import groupby

from attrs import field, frozen

from tidbbackup.model.filter.pattern import Pattern, read_pattern
from tidbbackup.model.filter.text import ANYTHING, END, weight

SYSTEM_DATABASES = ("mysql", "information_schema", "performance_schema", "sys")
"""Of MySQL and MariaDB, in their exact spelling: `Sys` beside `sys` is a user's. Only a rule with their
name takes them: `*.*` means the users' tables."""
TIDB_SYSTEM_DATABASES = (
    *(*SYSTEM_DATABASES, "INFORMATION_SCHEMA", "PERFORMANCE_SCHEMA"),
    *("METRICS_SCHEMA", "INSPECTION_SCHEMA"),
)
"""Of TiDB, in its exact spelling."""

_MAX_WEIGHT = 55_000
_MAX_LENGTH = 100_000
"""Linux limits a single argument to 131,072 bytes."""
_DOT = r"\x2E"
# mydumper's name for the database itself: `database.(null)`.
_DATABASE = r"\x28null\x29"


@frozen
class Rule:
    """One line of a filter."""

    takes: bool
    database: Pattern
    table: Pattern
    _database: re.Pattern[bytes] = field(init=False, repr=False, eq=False)
    _table: re.Pattern[bytes] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        for name, pattern in (("_database", self.database), ("_table", self.table)):
            object.__setattr__(self, name, re.compile(pattern.text.encode("ascii"), re.IGNORECASE))

    def spares(self, system: Collection[str]) -> bool:
        """Whether the rule does not apply to system databases: it takes tables and names none of them."""
        return self.takes and (self.database.name or "").lower() not in {name.lower() for name in system}

    def matches_database(self, database: str, system: Collection[str]) -> bool:
        """Whether it matches tables of this database."""
        spared = database in system and self.spares(system)
        return not spared and self._database.fullmatch(_raw(database)) is not None

    def matches_table(self, table: str) -> bool:
        """Whether it matches a table of this name, in any database that it matches."""
        return self._table.fullmatch(_raw(table)) is not None


@frozen
class TableFilter:
    """Parsed rules."""

    rules: tuple[Rule, ...]
    system: tuple[str, ...] = TIDB_SYSTEM_DATABASES
    """The server's own databases."""

    def takes(self, database: str, table: str) -> bool:
        """Whether the last rule that matches takes it."""
        for rule in reversed(self.rules):
            if rule.matches_database(database, self.system) and rule.matches_table(table):
                return rule.takes
        return False

    def takes_database(self, database: str) -> bool:
        """Whether the dump has `CREATE DATABASE`: a rule could take a table of it."""
        for rule in reversed(self.rules):
            if rule.matches_database(database, self.system) and (rule.takes or rule.table.everything):
                return rule.takes
        return False


def read_filter(lines: tuple[str, ...], system: tuple[str, ...] = TIDB_SYSTEM_DATABASES) -> TableFilter:
    """The rules in a list; comments and empty lines are none. `system`: the databases of the server at hand;
    those of TiDB make the longest expression.

    Raises:
        ValueError: a rule cannot be read, or all of them together take nothing or too much room.
    """
    rules: list[Rule] = []
    for line in lines:
        text = line.strip(" \t")
        if text and not text.startswith("#"):
            try:
                rules.append(_rule(text))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"`{text[:80]}`: {error}") from None
    if not any(rule.takes for rule in rules):
        raise ValueError("takes no table: begin with *.* to exclude from all, or name what to take")
    found = TableFilter(tuple(rules), system)
    text = expression(found)
    copies = sum(rule.database.copies + rule.table.copies for rule in rules)
    if weight(text) + copies > _MAX_WEIGHT or len(text) > _MAX_LENGTH:
        raise ValueError("is too long for mydumper: use wildcards for several tables")
    return found


def _rule(text: str) -> Rule:
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
        raise ValueError("holds a control character")
    if text.startswith("@"):
        raise ValueError("files of rules are not read: write the rules here")
    excludes = text.startswith("!")
    database, rest = read_pattern(text[excludes:])
    if not rest.startswith("."):
        raise ValueError("has no dot after the database: write database.table")
    table, rest = read_pattern(rest[1:])
    if rest:
        raise ValueError(f"`{rest[:20]}` follows the table")
    return Rule(not excludes, database, table)


def expression(rules: TableFilter) -> str:
    """One expression that is found in `database.table` exactly if the rules take the table.

    ASCII, anchored, without groups that capture, for PCRE and re alike, with multi-line and ignoring case.
    In a name with a dot the end of the database is ambiguous: the caller, who has the names, must compare.
    """
    ours = _last_decides(rules.rules)
    named = _last_decides(tuple(rule for rule in rules.rules if not rule.spares(rules.system)))
    system = exactly(rules.system) + _DOT
    return rf"\A(?:(?!{system}){ours}{f'|(?={system}){named}' if named else ''})"


def exactly(names: Collection[str]) -> str:
    """An expression for one of these names in this spelling, although the rest ignores case."""
    return f"(?-i:{'|'.join(names)})"


def _last_decides(rules: tuple[Rule, ...]) -> str:
    """The rules from the last to the first, each run of one kind at once; "" takes nothing."""
    text = ""
    for takes, run in groupby(rules, key=lambda rule: rule.takes):
        choices = "|".join(_text(rule) for rule in run)
        if takes:
            text = f"(?:(?:{choices}){END}{'|' + text if text else ''})"
        elif text:
            text = f"(?!(?:{choices}){END}){text}"
    return text


def _text(rule: Rule) -> str:
    if rule.table.everything:
        return f"{rule.database.text}{_DOT}{ANYTHING}"
    if rule.takes:
        return f"{rule.database.text}{_DOT}(?:{_DATABASE}|{rule.table.text})"
    return f"{rule.database.text}{_DOT}(?!{_DATABASE}{END}){rule.table.text}"


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
