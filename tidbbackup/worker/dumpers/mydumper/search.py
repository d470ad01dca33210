"""What mydumper finds otherwise than it is told: by names of its own, and where a name has a dot. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from tidbbackup.worker.database.catalog import Database, Survey
from tidbbackup.worker.dumpers.selection import Selection

# mydumper compares these without case, whoever made them.
_NEVER = frozenset({"information_schema", "performance_schema", "data_dictionary"})
_NEVER_OF_MYSQL = frozenset({"general_log", "slow_log", "innodb_index_stats", "innodb_table_stats"})


def seen(databases: tuple[Database, ...]) -> tuple[Database, ...]:
    """What it does not leave out whatever it is told."""
    return tuple(
        evolve(each, tables=tuple(t for t in each.tables if not _unseen(each.name, t.name)))
        for each in databases
        if not _unseen(each.name)
    )


def left_out(chosen: Selection, survey: Survey) -> list[str]:
    """Users' objects that are to be taken and have names that mydumper never takes."""
    found = []
    for database in survey.databases:
        name = database.name
        if name in survey.system:
            continue
        if chosen.database(name) and _unseen(name):
            found.append(f"database `{name}`")
        members = (m for m in _members(database) if _unseen(name, m))
        found += [f"`{name}`.`{m}`" for m in members if chosen.member(name, m)]
    return found


def misread(chosen: Selection, survey: Survey) -> list[str]:
    """Objects that mydumper would take against the task's filter, or leave out: it joins names by a dot,
    so where one has a dot itself the expression can be wrong about it."""
    wrong = []
    for database in seen(survey.databases) if chosen.rules else ():
        name = database.name
        if chosen.database(name) != chosen.takes(f"{name}.(null)"):
            wrong.append(f"database `{name}`")
        wrong += [f"`{name}`.`{m}`" for m in _members(database) if _misread(chosen, name, m)]
    return wrong


def _misread(chosen: Selection, database: str, name: str) -> bool:
    return chosen.member(database, name) != chosen.takes(f"{database}.{name}")


def _unseen(database: str, name: str = "") -> bool:
    lower = database.lower()
    return lower in _NEVER or (lower == "mysql" and name.lower() in _NEVER_OF_MYSQL)


def _members(database: Database) -> tuple[str, ...]:
    return (*(table.name for table in database.tables), *database.routines, *database.events)


def without(argument: str, names: Iterable[tuple[str, str]]) -> str:
    """The expression that finds the same but for these tables."""
    exactly = "|".join(_raw(f"{database}.{table}") for database, table in names)
    return rf"\A(?!(?-i:{exactly})(?!(?s:.)))(?s:.)*?(?:{argument})" if exactly else argument


def _raw(text: str) -> str:
    return "".join(f"\\x{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))
