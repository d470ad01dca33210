"""Which objects a filter or a regex takes, the latter told as mydumper tells it."""

import re

import pytest

from tidbbackup.model import reasons
from tidbbackup.model.filter.table_filter import SYSTEM_DATABASES, TIDB_SYSTEM_DATABASES
from tidbbackup.worker.database.catalog import Database, Table
from tidbbackup.worker.dumpers.selection import ascii_regex, default_regex, selection
from tidbbackup.worker.failure import StepFailed


@pytest.mark.parametrize("system", [SYSTEM_DATABASES, TIDB_SYSTEM_DATABASES])
def test_system_databases_are_left_out(system: tuple[str, ...]) -> None:
    rule = selection("", system=system)
    assert not [name for name in system if rule.database(name) or rule.member(name, "t")]


@pytest.mark.parametrize("rules", [(), ("*.*",)])
@pytest.mark.parametrize(
    "name", ["MySQL", "Sys", "SYS", "metrics_schema", "METRICS_SCHEMA", "inspection_schema"]
)
def test_databases_that_are_not_the_servers_own_are_taken(name: str, rules: tuple[str, ...]) -> None:
    rule = selection("", rules, SYSTEM_DATABASES)
    assert rule.database(name)
    assert rule.member(name, "t")


@pytest.mark.parametrize(
    "name", ["test", "test1", "mysql_app", "mysql2", "sys_", "my", "xmysql", "a\nmysql", "漢"]
)
def test_users_databases_are_taken_by_whole_name(name: str) -> None:
    rule = selection("")
    assert rule.database(name)
    assert rule.member(name, "t")


def test_our_own_regex_has_no_group_and_no_odd_character() -> None:
    text = default_regex(TIDB_SYSTEM_DATABASES)
    assert re.compile(text).groups == 0
    assert text.isascii()


def test_a_regex_of_the_task_decides_alone() -> None:
    rule = selection(r"^(shop|SALES)\.")
    databases = (
        Database("shop", (Table("t"),), ("r",), ("e",)),
        Database("sales", (Table("x"), Table("y"))),
        Database("mysql", (Table("user"),)),
        Database("other", (Table("t"),)),
    )
    assert [d.name for d in rule.apply(databases)] == ["shop", "sales"]
    assert rule.apply(databases)[0] == databases[0]
    one = selection(r"\.t$").apply(databases)
    assert [(d.name, [t.name for t in d.tables], d.routines) for d in one] == [
        ("shop", ["t"], ()),
        ("other", ["t"], ()),
    ]
    assert not selection(r"\.t$").database("shop")


def test_a_filter_of_the_task_decides_by_its_rules() -> None:
    rule = selection("", ("shop.*", "!shop.big", "é.t"))
    databases = (
        Database("shop", (Table("big"), Table("t")), ("r",)),
        Database("É", (Table("t"), Table("u"))),
    )
    assert [(d.name, [t.name for t in d.tables]) for d in rule.apply(databases)] == [
        ("shop", ["t"]),
        ("É", ["t"]),
    ]
    assert rule.database("shop")
    with pytest.raises(StepFailed, match="takes no table") as caught:
        selection("", ("!a.*",))
    assert caught.value.reason == reasons.INVALID_SPEC


def test_a_filter_is_right_about_names_with_a_dot() -> None:
    rule = selection("", ('"a.b".c',))
    assert rule.member("a.b", "c")
    assert not rule.member("a", "b.c")


@pytest.mark.parametrize(
    ("regex", "words"),
    [("(a)(b)(c)", "3 groups"), ("(", "is no regex"), ("[漢]x", "brackets")],
)
def test_a_regex_that_mydumper_would_misread_is_refused(regex: str, words: str) -> None:
    with pytest.raises(StepFailed, match=words) as caught:
        selection(regex)
    assert caught.value.reason == reasons.INVALID_SPEC


def test_other_letters_become_bytes() -> None:
    argument = ascii_regex(r"^漢+\.é$")
    assert argument == r"^(?:\xE6\xBC\xA2)+\.(?:\xC3\xA9)$"
    assert selection("^漢+$|^漢+\\.").database("漢漢")
    assert not selection("^漢+\\.").database("é")
    assert ascii_regex(r"\漢[ab\]]漢") == r"(?:\xE6\xBC\xA2)[ab\]](?:\xE6\xBC\xA2)"
