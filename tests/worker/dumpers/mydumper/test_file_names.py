"""File names of a dump and their collisions: tables and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.worker.database.catalog import Database, Table
from tidbbackup.worker.dumpers.mydumper.file_names import (
    ambiguous_names,
    data_files,
    unsupported_names,
)
from tidbbackup.worker.dumpers.mydumper.options import Flags

VIEW = "VIEW"


def db(name: str, *tables: str | Table, routines: tuple[str, ...] = ()) -> Database:
    return Database(name, tuple(t if isinstance(t, Table) else Table(t) for t in tables), routines)


@pytest.mark.parametrize(
    ("databases", "named"),
    [
        ([db("a", "t", "t-schema")], ["`a`.`t`", "`a`.`t-schema`"]),
        ([db("a", Table("t", VIEW), "t-schema-view")], ["`a`.`t`", "`a`.`t-schema-view`"]),
        ([db("a", Table("t", triggers=True), "t-schema-triggers")], ["`a`.`t`", "`a`.`t-schema-triggers`"]),
        ([db("a", "b.c"), db("a.b", "c")], ["`a`.`b.c`", "`a.b`.`c`"]),
        ([db("a", "t", "t.00001")], ["`a`.`t`", "`a`.`t.00001`"]),
        ([db("a", "t", "t.123456")], ["`a`.`t.123456`"]),
        ([db("a.b", routines=("r",)), db("a", "b-schema-post")], ["`a.b`", "`a`.`b-schema-post`"]),
        ([db("a.b"), db("a", "b-schema-create")], ["database `a.b`", "`a`.`b-schema-create`"]),
        ([db("a", "sla/sh")], ["a slash"]),
        ([db("a", "back`tick")], ["a backtick"]),
        ([db("da`ta")], ["database `da`ta`: a backtick"]),
        ([db("漢" * 64, "字" * 20)], ["longer than 255 bytes"]),
    ],
)
def test_names_that_cannot_be_dumped(databases: list[Database], named: list[str]) -> None:
    problems = "; ".join(unsupported_names(tuple(databases), Flags()))
    for words in named:
        assert words in problems


@pytest.mark.parametrize(
    "databases",
    [
        [db("a", "t", "t2", "T", "t.1", "t.0001", "t_00001")],
        [db("a", "t-schema")],
        [db("a", Table("back`tick", VIEW), Table("b`t", "SEQUENCE"))],
        [db("a", Table("v", VIEW), "v2")],
        [db("a", "b c", "semi;colon", "qu'ote", "back\\slash", "漢字", "%s", ".", "..")],
        [db("漢" * 60, "t")],
        [db("a", "b-schema-triggers", "b")],
    ],
)
def test_names_that_can(databases: list[Database]) -> None:
    assert unsupported_names(tuple(databases), Flags()) == []


def test_chunked_files_need_six_bytes_more() -> None:
    databases = (db("d" * 124, "t" * 126),)
    assert unsupported_names(databases, Flags()) != [], "the -schema file is longer"
    short = (db("d" * 120, "t" * 120),)
    assert unsupported_names(short, Flags(chunked=True)) == []


suffixes = ["-schema", ".00001", "-view", "-triggers", "-post", "-create"]
pieces = st.sampled_from(["a", "b", ".", "-", "1", "é", *suffixes])
names = st.lists(pieces, min_size=1, max_size=5).map("".join)
tables = st.builds(Table, names, st.sampled_from(["BASE TABLE", VIEW]), triggers=st.booleans()).map(
    lambda table: Table(table.name, table.kind, triggers=table.triggers and not table.is_view)
)
databases_ = st.lists(
    st.builds(Database, names, st.lists(tables, unique_by=lambda t: t.name).map(tuple)),
    unique_by=lambda d: d.name,
).map(tuple)


@given(databases_)
def test_what_is_let_through_has_distinct_files(databases: tuple[Database, ...]) -> None:
    if unsupported_names(databases, Flags()):
        return
    files = [f"{database.name}-schema-create.sql" for database in databases]
    files += [f"{d.name}.{t.name}-schema.sql" for d in databases for t in d.tables]
    files += [f"{d.name}.{t.name}-schema-view.sql" for d in databases for t in d.tables if t.is_view]
    files += [f"{d.name}.{t.name}-schema-triggers.sql" for d in databases for t in d.tables if t.triggers]
    files += [f"{rows.stem}.sql" for rows in data_files(databases, Flags())]
    assert len(files) == len(set(files))
    assert all(len(file.encode()) <= 255 for file in files)


def test_rows_are_expected_of_tables_that_have_their_own() -> None:
    engines = {"i": "InnoDB", "m": "MyISAM", "g": "MRG_MyISAM", "broken": None, "b": "BLACKHOLE"}
    others = (Table("v", VIEW, None), Table("s", "SEQUENCE"), Table("far", engine="FEDERATED"))
    database = db("d", *(Table(n, engine=e) for n, e in engines.items()), *others)
    assert [rows.stem for rows in data_files([database], Flags())] == ["d.i", "d.m", "d.b"]
    assert list(data_files([database], Flags(verbose=False))) == []


def test_names_that_readers_take_for_something_else() -> None:
    assert ambiguous_names([db("a.b", "t"), db("c", "t-schema", "u", "x-schema.sql.y", "dots.are.fine")]) == [
        "database `a.b`",
        "table `c`.`t-schema`",
        "table `c`.`x-schema.sql.y`",
    ]
