"""Table filters: TiDB's rules, and that the one expression made of them says the same.

Here is also what model/filter/pattern.py, model/filter/regex.py and model/filter/text.py promise.
"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import filter_oracle
from tidbbackup.model.filter.table_filter import SYSTEM_DATABASES, expression, read_filter


def found(text: str, subject: str) -> bool:
    """As mydumper asks."""
    pattern = re.compile(text.encode("ascii"), re.IGNORECASE | re.MULTILINE)
    return pattern.search(subject.encode()) is not None


def taken(rules: list[str], *tables: str) -> list[str]:
    """Those of the tables, each `database.table`, that the rules take; the expression says so too."""
    rule = read_filter(tuple(rules))
    chosen = [table for table in tables if rule.takes(*table.split("."))]
    assert [table for table in tables if found(expression(rule), table)] == chosen
    return chosen


@settings(max_examples=150)
@given(st.data())
def test_the_expression_says_what_the_rules_say(data: st.DataObject) -> None:
    lines = data.draw(filter_oracle.lines())
    rule = read_filter(tuple(line.text for line in lines))
    text = expression(rule)
    assert text.isascii()
    assert re.compile(text).groups == 0
    for database, table in data.draw(st.lists(filter_oracle.names(lines), min_size=1, max_size=5)):
        expected = filter_oracle.takes(lines, database, table)
        assert rule.takes(database, table) == expected
        assert found(text, f"{database}.{table}") == expected
        database_too = filter_oracle.takes_database(lines, database)
        assert rule.takes_database(database) == database_too
        assert found(text, f"{database}.(null)") == database_too


def test_the_last_rule_that_matches_decides() -> None:
    """The example in the rules' own description."""
    rules = ["employees.*", "!*.dep*", "*.departments"]
    tables = (
        "irrelevant.table",
        "employees.employees",
        "employees.dept_emp",
        "employees.departments",
        "else.departments",
    )
    assert taken(rules, *tables) == ["employees.employees", "employees.departments", "else.departments"]


@pytest.mark.parametrize(
    ("rules", "tables", "expected"),
    [
        (["db1.tbl1"], ("db1.tbl1", "db1.tbl10", "xdb1.tbl1"), ["db1.tbl1"]),
        (["DB1.Tbl1"], ("db1.TBL1",), ["db1.TBL1"]),
        (["db[0-9].tbl[0-9][0-9]"], ("db1.tbl22", "db11.tbl22", "db1.tbl2"), ["db1.tbl22"]),
        (["data.*"], ("data.x", "data2.x"), ["data.x"]),
        (["*.backup_*"], ("a.backup_1", "a.backup", "b.backup_"), ["a.backup_1", "b.backup_"]),
        (["?.[!a-c]"], ("漢.é", "é.A", "ab.d", "a.d"), ["漢.é", "a.d"]),
        (['"a\'b".`c"d`'], ("a'b.c\"d",), ["a'b.c\"d"]),
        (["a\\-b.*"], ("a-b.x", "ab.x"), ["a-b.x"]),
        (["é漢.*"], ("É漢.x", "é.x"), ["É漢.x"]),
        ([r"/^db\d{2,}$/./^tbl\d{2,}$/"], ("db22.tbl01", "db2.tbl01", "xdb22.tbl01"), ["db22.tbl01"]),
        (["/b/./x/"], ("abc.axa", "abc.y"), ["abc.axa"]),
        (["/^a$|^b$/.*"], ("a.t", "b.t", "ab.t"), ["a.t", "b.t"]),
        (["", "  # all of them", " *.* ", "!a.*"], ("a.t", "b.t"), ["b.t"]),
        (["a.*", "b.*"], ("a.t", "b.t", "c.t"), ["a.t", "b.t"]),
        (["[^a].*"], ("^.t", "a.t", "b.t"), ["^.t", "a.t"]),
        (["a.\\(null\\)"], ("a.x",), []),
    ],
)
def test_rules(rules: list[str], tables: tuple[str, ...], expected: list[str]) -> None:
    assert taken(rules, *tables) == expected


def test_system_databases_have_to_be_named() -> None:
    tables = ("mysql.user", "sys.x", "METRICS_SCHEMA.x", "mysql2.user", "test.t")
    assert taken(["*.*"], *tables) == ["mysql2.user", "test.t"]
    assert taken(["/^mysql$/.*", "m*.*"], *tables) == ["mysql2.user"]
    assert taken(["*.*", "MySQL.user"], *tables) == ["mysql.user", "mysql2.user", "test.t"]
    assert taken(["`SYS`.*"], *tables) == ["sys.x"]
    assert taken(["metrics_schema.*"], *tables) == ["METRICS_SCHEMA.x"]
    assert taken(["mysql.*", "!*.user"], *tables) == []


def test_databases_with_almost_the_name_of_a_system_database_are_users() -> None:
    tables = ("Sys.x", "MySQL.x", "metrics_schema.x", "INSPECTION_SCHEMA.x", "sys.x")
    rule = read_filter(("*.*",), SYSTEM_DATABASES)
    assert [table for table in tables if found(expression(rule), table)] == list(tables[:-1])
    assert [name.partition(".")[0] for name in tables if rule.takes(*name.split("."))] == [
        *("Sys", "MySQL", "metrics_schema", "INSPECTION_SCHEMA")
    ]


def test_a_database_is_made_where_a_table_of_it_could_be_taken() -> None:
    rule = read_filter(("a.t", "b.*", "!b.*", "*.x", "!c.x", "!d.*"))
    assert {name for name in "abcde" if rule.takes_database(name)} == {"a", "b", "c", "e"}


def test_a_dot_in_a_name_can_be_told_by_the_rules_only() -> None:
    rule = read_filter(("a.*",))
    assert not rule.takes("a.b", "c")
    assert found(expression(rule), "a.b.c")
    quoted = read_filter(('"a.b".c',))
    assert quoted.takes("a.b", "c")


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (["db"], "no dot after the database"),
        (["db."], "a pattern is missing"),
        ([".t"], "a pattern is missing"),
        (["a.b.c"], "follows the table"),
        (["a b.c"], "has to be escaped"),
        (['"a"b.c'], "no dot after"),
        (['"a.c'], "has no end"),
        (["@rules.txt"], "files of rules are not read"),
        (["!*.*"], "takes no table"),
        (["# all", ""], "takes no table"),
        ([], "takes no table"),
        (["a\n.*"], "control character"),
        (["a\\n.*"], "backslash has to stand before a special character"),
        (["a\\"], "backslash has to stand before"),
        (["[a.*"], "not closed"),
        (["[].*"], "empty"),
        (["[!].*"], "empty"),
        (["[b-a].*"], "is empty"),
        (["[é-ö].*"], "goes beyond ASCII"),
        (["/a.*"], "has no end"),
        (["/(/.*"], "not closed"),
        (["/a)/.*"], "no counterpart"),
        (["/a^b/.*"], "cannot stand here"),
        (["/(^a|b)/.*"], "cannot stand here"),
        (["/(a$)/.*"], "only be at the ends"),
        (["/a$b/.*"], "no counterpart"),
        (["/(?=a)/.*"], r"only \(\?:…\)"),
        (["/(?P<n>a)/.*"], r"only \(\?:…\)"),
        (["/\\1/.*"], "is not supported"),
        (["/\\pL/.*"], "is not supported"),
        (["/*/.*"], "cannot stand here"),
        (["/a**/.*"], "repeats a repetition"),
        (["/(a|b*)*/.*"], "take very long"),
        (["/a{3,1}/.*"], "no more than 64"),
        (["/a{1000}/.*"], "no more than 64"),
        (["/((a{64}){64}){64}/.*"], "repeats too much"),
        (["/" + "(" * 30 + ")" * 30 + "/.*"], "too many groups"),
        (["/[[:alpha:]]/.*"], "write"),
        (["x" * 900 + str(n) + ".*" for n in range(100)], "too long for mydumper"),
    ],
)
def test_what_cannot_be_read_says_why(rules: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_filter(tuple(rules))


def test_as_many_rules_as_the_schema_allows_can_take_turns() -> None:
    rules = [f"{'!' * (n % 2)}shop{n}.orders{n}" for n in range(256)]
    assert taken(rules, "shop2.orders2", "shop3.orders3", "shop2.orders3") == ["shop2.orders2"]


@given(st.lists(st.text(alphabet='ab.*?[]!-\\"`/()|{}2,^$é #@', max_size=12), max_size=4))
def test_any_text_is_read_or_refused(rules: list[str]) -> None:
    try:
        rule = read_filter(tuple(rules))
    except ValueError:
        return
    re.compile(expression(rule).encode("ascii"), re.IGNORECASE | re.MULTILINE)


def test_many_stars_take_no_time() -> None:
    assert taken(["*a" * 30 + "b.*"], "a" * 64 + ".t") == []
