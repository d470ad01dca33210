"""Where mydumper does not find what it is told to take."""

import pytest

from tidbbackup.model.filter.table_filter import SYSTEM_DATABASES
from tidbbackup.worker.database.catalog import Database, Survey, Table
from tidbbackup.worker.dumpers.mydumper.search import left_out, misread, seen
from tidbbackup.worker.dumpers.selection import selection


def survey(*databases: Database) -> Survey:
    return Survey("10.11-MariaDB", is_tidb=False, databases=databases)


@pytest.mark.parametrize("rules", [(), ("*.*",)])
def test_what_mydumper_takes_for_the_servers_own_is_named(rules: tuple[str, ...]) -> None:
    rule = selection("", rules, SYSTEM_DATABASES)
    users = Database("MySQL", (Table("General_log"), Table("t")))
    own = Database("mysql", (Table("general_log"),))
    assert left_out(rule, survey(users, own)) == ["`MySQL`.`General_log`"]
    assert left_out(rule, survey(Database("Data_Dictionary", (Table("t"),)))) == [
        "database `Data_Dictionary`",
        "`Data_Dictionary`.`t`",
    ]
    assert left_out(selection("^shop"), survey(users)) == []


@pytest.mark.parametrize("rules", [(), ("*.*",)])
@pytest.mark.parametrize("name", ["Sys", "METRICS_SCHEMA", "MySQL"])
def test_nothing_is_wrong_with_other_names_in_capitals(name: str, rules: tuple[str, ...]) -> None:
    found = survey(Database(name, (Table("t"),)))
    assert left_out(selection("", rules, SYSTEM_DATABASES), found) == []
    assert misread(selection("", rules, SYSTEM_DATABASES), found) == []


def test_what_it_never_takes_is_not_expected() -> None:
    databases = (
        Database("information_schema", (Table("tables"),)),
        Database("mysql", (Table("slow_log"), Table("user"))),
    )
    assert seen(databases) == (Database("mysql", (Table("user"),)),)


def test_names_with_a_dot_in_which_the_expression_is_wrong() -> None:
    found = survey(Database("a", (Table("b.c"),)), Database("a.b", (Table("c"),)))
    assert misread(selection("", ('"a.b".c',)), found) == ["`a`.`b.c`"]
    assert misread(selection("", ("shop.*",)), found) == []
    assert misread(selection(r"^a\.b"), found) == []
