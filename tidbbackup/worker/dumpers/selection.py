"""Which databases and tables are dumped: by a table filter, or by the rule of mydumper's `--regex`.

mydumper 0.10 searches a case-insensitive, multi-line PCRE in `database.table`, in `database.(null)` for the
database itself; a match of more than two groups counts as none. Must not know a server.
"""

from __future__ import annotations

import re

from attrs import evolve, field, frozen

from tidbbackup.model import reasons
from tidbbackup.model.filter.table_filter import (
    TIDB_SYSTEM_DATABASES,
    TableFilter,
    exactly,
    expression,
    read_filter,
)
from tidbbackup.worker.database.catalog import Database
from tidbbackup.worker.failure import StepFailed

_MAX_GROUPS = 2


@frozen
class Selection:
    """A table filter, or a regex; for mydumper a regex in both cases."""

    argument: str
    _pattern: re.Pattern[bytes] = field(repr=False)
    origin: str = ""
    """The field of the spec that it is from; "": it is the default."""
    rules: TableFilter | None = None
    """Of spec.tableFilter."""

    def takes(self, text: str) -> bool:
        """Whether the expression finds something in `database.table`."""
        return self._pattern.search(text.encode("utf-8", "surrogateescape")) is not None

    def database(self, name: str) -> bool:
        """Whether `CREATE DATABASE` is dumped."""
        return self.rules.takes_database(name) if self.rules else self.takes(f"{name}.(null)")

    def member(self, database: str, name: str) -> bool:
        """Whether a table, view, routine or event is dumped."""
        return self.rules.takes(database, name) if self.rules else self.takes(f"{database}.{name}")

    def apply(self, databases: tuple[Database, ...]) -> tuple[Database, ...]:
        """The databases with only what is taken; those of which nothing is taken are left out."""
        chosen = []
        for database in databases:
            small = evolve(
                database,
                tables=tuple(t for t in database.tables if self.member(database.name, t.name)),
                routines=tuple(r for r in database.routines if self.member(database.name, r)),
                events=tuple(e for e in database.events if self.member(database.name, e)),
            )
            if small.tables or small.routines or small.events or self.database(database.name):
                chosen.append(small)
        return tuple(chosen)


def default_regex(system: tuple[str, ...]) -> str:
    """All but these databases."""
    # Whole names: a bare prefix list would drop `mysql_app` and `system` too. Later versions of mydumper ask
    # for a database by its bare name.
    return rf"\A(?!{exactly(system)}(?:\.|(?!(?s:.))))"


def selection(
    table_regex: str, table_filter: tuple[str, ...] = (), system: tuple[str, ...] = TIDB_SYSTEM_DATABASES
) -> Selection:
    """The rule for a task's regex or filter, or the default one. `system`: the server's own databases.

    Raises:
        StepFailed: InvalidSpec, a regex that mydumper would misread, a filter that cannot be read.
    """
    if table_filter:
        try:
            rules = read_filter(table_filter, system)
        except ValueError as error:
            raise StepFailed(reasons.INVALID_SPEC, f"spec.tableFilter: {error}") from error
        text = expression(rules)
        compiled = re.compile(text.encode("ascii"), re.IGNORECASE | re.MULTILINE)
        return Selection(text, compiled, "spec.tableFilter", rules)
    argument = ascii_regex(table_regex) if table_regex else default_regex(system)
    try:
        pattern = re.compile(argument.encode("ascii"), re.IGNORECASE | re.MULTILINE)
    except re.error as error:
        raise StepFailed(
            reasons.INVALID_SPEC, f"spec.mydumper.tableRegex `{table_regex}` is no regex: {error}"
        ) from error
    if pattern.groups > _MAX_GROUPS:
        raise StepFailed(
            reasons.INVALID_SPEC,
            f"spec.mydumper.tableRegex `{table_regex}` has {pattern.groups} groups; mydumper takes a match "
            f"of more than {_MAX_GROUPS} for none: write (?:…) for groups",
        )
    origin = "spec.mydumper.tableRegex" if table_regex else ""
    return Selection(argument, pattern, origin)


def ascii_regex(text: str) -> str:
    """The regex with every non-ASCII character as its UTF-8 bytes: mydumper dies of a non-ASCII argument.

    Raises:
        StepFailed: InvalidSpec, where such a character stands in brackets (a byte would be matched).
    """
    out: list[str] = []
    in_class = escaped = False
    for character in text:
        if character.isascii():
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character in "[]":
                in_class = character == "["
            out.append(character)
            continue
        if in_class:
            raise StepFailed(
                reasons.INVALID_SPEC,
                f"spec.mydumper.tableRegex `{text}`: `{character}` cannot stand in brackets, write (?:…|…)",
            )
        if escaped:
            out.pop()
            escaped = False
        encoded = "".join(f"\\x{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
        out.append(f"(?:{encoded})")
    return "".join(out)
