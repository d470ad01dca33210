"""Carries out definitions: databases, tables, views, programs, each file in a session set for it.

What a dump says to drop is not dropped: what is dropped has been decided before. Must not know archives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection

from tidbbackup.worker.database.session import LOST, error_code, fetch
from tidbbackup.worker.definitions.text import quoted
from tidbbackup.worker.load.catalogue import Content, Definition, Item
from tidbbackup.worker.load.failures import explained, left_out
from tidbbackup.worker.load.statements import (
    carries_out_text,
    definer,
    is_head,
    sets_next_value,
    strictly_new,
    verb,
)
from tidbbackup.worker.load.target import UTC, Target
from tidbbackup.worker.load.thing import Thing

_EXISTS = frozenset({1007, 8238})
"""A database, a placement policy."""
_CACHED = b"/* CACHED ON */"


class Definitions:
    """Creates what an archive defines, over one session."""

    def __init__(self, session: Connection[Any], target: Target) -> None:
        self._session, self._target = session, target
        self._set_for: tuple[bool, str] | None = None
        self._database = ""
        self.definers: set[tuple[str, str]] = set()
        """Accounts that views and programs are to run as."""
        self.made: list[Thing] = []
        """What was not there before, and is now. A statement whose answer is lost is not among them."""

    def before_rows(self, content: Content) -> None:
        """Placement policies, databases, sequences, tables.

        Raises:
            StepFailed: a statement has failed.
        """
        self._prepare("", strict=True)
        for policy in content.policies:
            self._carry_out(policy, f"placement policy ({policy.file.name})")
        for name, definition in content.databases:
            if definition:
                self._carry_out(definition, f"database `{name}`")
            else:
                fetch(self._session, f"CREATE DATABASE IF NOT EXISTS {quoted(name)}")
        self._in_rounds(content.sequences)
        self._in_rounds(content.tables)

    def after_rows(self, content: Content, *, cached: bool = True) -> None:
        """Routines and events, views in the order of their dependencies, triggers, cached tables.

        Args:
            content: what is restored.
            cached: whether tables are cached again; TiDB drops none that is.

        Raises:
            StepFailed: a statement has failed.
        """
        for database, definition, things in content.programs:
            self._prepare(database, strict=False)
            self._carry_out(definition, f"routines and events of `{database}`")
            self.made += things
        self._in_rounds(content.views)
        for database, definition in content.triggers:
            self._prepare(database, strict=False)
            self._carry_out(definition, f"triggers ({definition.file.name})")
        for item in content.tables if cached else ():
            if any(_CACHED in statement for statement in item.definition.statements()):
                fetch(self._session, f"ALTER TABLE {item.thing.sql} CACHE")

    def _in_rounds(self, items: Sequence[Item]) -> None:
        """Create all; those that fail again, as long as a round brings any: they may need each other."""
        while items:
            failed: list[Item] = []
            error: Exception | None = None
            for item in items:
                try:
                    self._prepare(item.thing.database, strict=item.thing.kind != "VIEW")
                    self._carry_out(item.definition, f"{item.thing.kind.lower()} {item.thing.sql}")
                    self.made.append(item.thing)
                except Exception as raised:
                    cause = raised.__cause__
                    if not isinstance(cause, pymysql.Error) or error_code(cause) in LOST:
                        raise
                    failed.append(item)
                    error = error or raised
            if error and len(failed) == len(items):
                raise error
            items = failed

    def _prepare(self, database: str, *, strict: bool) -> None:
        if self._set_for != (strict, database):
            zone = UTC if strict else self._target.zone
            self._session.query(self._target.settings(utf8=True, zone=zone, strict=strict))
            if database and database != self._database:
                self._session.select_db(database)
                self._database = database
            self._set_for = (strict, database)

    def _carry_out(self, definition: Definition, what: str) -> None:
        for statement in _wanted(definition.statements(), what):
            try:
                self._session.query(statement)
            except pymysql.Error as error:
                if error_code(error) not in _EXISTS:
                    raise explained(error, what, self._target.login.where) from error
            if verb(statement) == "SET":
                # For the rest of this file alone.
                self._set_for = None
            if found := definer(statement):
                self.definers.add(found)


def _wanted(statements: Iterable[bytes], what: str) -> Iterable[bytes]:
    """Those to be carried out."""
    for statement in statements:
        said = verb(statement)
        if said == "CREATE":
            yield strictly_new(statement)
        elif said == "SET":
            if not is_head(statement):
                yield statement
        elif sets_next_value(statement) or carries_out_text(statement):
            yield statement
        elif said not in ("DROP", "USE"):
            raise left_out(statement, what)
