"""By what a server is known again, and what each session says first."""

from __future__ import annotations

from typing import Any, cast

import pymysql
import pytest
from pymysql.connections import Connection

from tidbbackup.worker.database.identity import MARK, first_statement, known_by


class Session:
    """A session that answers what a server would; `fails` at a statement that begins so."""

    def __init__(self, version: str, fails: str = "") -> None:
        self.version, self.fails = version, fails
        self.asked: list[str] = []

    def cursor(self) -> Session:
        return self

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, statement: str) -> None:
        self.asked.append(statement)
        if self.fails and statement.startswith(self.fails):
            raise pymysql.err.OperationalError(1227, "denied")

    def fetchall(self) -> list[tuple[str, ...]]:
        if self.asked[-1].startswith("SHOW VARIABLES"):
            return [("hostname", "db-0"), ("server_id", "1")]
        if "VERSION" in self.asked[-1].upper():
            return [(self.version,)]
        return [("C0FFEE",)]


def known(session: Session) -> str:
    """What is found of it."""
    return known_by(cast("Connection[Any]", session))


def test_a_server_is_known_by_the_variables_that_it_has() -> None:
    session = Session("10.11.6-MariaDB")
    assert known(session) == "HEX(CONCAT_WS(',', @@hostname, @@server_id)) = 'C0FFEE'"
    assert session.asked[-1] == first_statement(known(session)), "tried, before mydumper says it"


def test_of_a_tidb_the_cluster_is_known_and_not_the_server() -> None:
    found = known(Session("5.7.25-TiDB-v7.1.0"))
    assert "table_schema = 'mysql' AND table_name = 'tidb'" in found
    assert "@@" not in found


@pytest.mark.parametrize("statement", ["SHOW VARIABLES", "SELECT HEX", "SET SESSION"])
def test_where_it_cannot_be_told_nothing_is_demanded(statement: str) -> None:
    assert known(Session("8.0.36", fails=statement)) == ""


def test_another_server_gets_a_mode_that_is_none() -> None:
    """The statement fails there, and with it the session."""
    assert f"sql_mode=IF(x = 'y', '', '{MARK}')" in first_statement("x = 'y'")
    assert "sql_mode=''," in first_statement("")
