"""Which databases and tables mydumper will take: its own rule for `--regex`, told beforehand.

mydumper 0.10 searches a case-insensitive, multi-line PCRE in `database.table`, in `database.(null)` for the
database itself; a match of more than two groups counts as none. Must not know a server.
"""

from __future__ import annotations

import re

from attrs import evolve, field, frozen

from tidbbackup.model import reasons
from tidbbackup.model.filter.table_filter import (
    SYSTEM_DATABASES,
    TIDB_SYSTEM_DATABASES,
    TableFilter,
    exactly,
    expression,
    read_filter,
)
from tidbbackup.worker.database.catalog import Database
from tidbbackup.worker.failure import StepFailed

# mydumper compares these without case, whoever made them.
_NEVER = frozenset({"information_schema", "performance_schema", "data_dictionary"})
_NEVER_OF_MYSQL = frozenset({"general_log", "slow_log", "innodb_index_stats", "innodb_table_stats"})
_MAX_GROUPS = 2


@frozen
class Selection:
    """One regex, as argument for mydumper and as rule for us."""

    argument: str
    _pattern: re.Pattern[bytes] = field(repr=False)
    origin: str = ""
    """The field of the spec that it is from; "": it is the default."""
    _filter: TableFilter | None = None
    _system: tuple[str, ...] = SYSTEM_DATABASES

    def takes(self, text: str) -> bool:
        """Whether the expression finds something in `database.table`."""
        return self._pattern.search(text.encode("utf-8", "surrogateescape")) is not None

    def database(self, name: str) -> bool:
        """Whether `CREATE DATABASE` is dumped."""
        return name.lower() not in _NEVER and self.takes(f"{name}.(null)")

    def member(self, database: str, name: str) -> bool:
        """Whether a table, view, routine or event is dumped."""
        if database.lower() in _NEVER or (database.lower() == "mysql" and name.lower() in _NEVER_OF_MYSQL):
            return False
        return self.takes(f"{database}.{name}")

    def left_out(self, databases: tuple[Database, ...]) -> list[str]:
        """Users' objects that are to be taken and have names that mydumper never takes."""
        found = []
        for database in databases:
            name = database.name
            if name in self._system:
                continue
            if self.takes(f"{name}.(null)") and not self.database(name):
                found.append(f"database `{name}`")
            members = (*(table.name for table in database.tables), *database.routines, *database.events)
            found += [
                f"`{name}`.`{m}`" for m in members if self.takes(f"{name}.{m}") and not self.member(name, m)
            ]
        return found

    def misread(self, databases: tuple[Database, ...]) -> list[str]:
        """Objects that mydumper would take against the task's filter, or leave out: it joins names by a dot,
        so where one has a dot itself the expression can be wrong about it."""
        rules = self._filter
        if rules is None:
            return []
        wrong = []
        for database in databases:
            name = database.name
            if name.lower() in _NEVER:
                continue
            if rules.takes_database(name) != self.takes(f"{name}.(null)"):
                wrong.append(f"database `{name}`")
            members = (*(table.name for table in database.tables), *database.routines, *database.events)
            wrong += [f"`{name}`.`{m}`" for m in members if rules.takes(name, m) != self.takes(f"{name}.{m}")]
        return wrong

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
        return Selection(text, compiled, "spec.tableFilter", rules, system)
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
    return Selection(argument, pattern, origin, system=system)


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
