"""Tables that mydumper would lose or spoil."""

import pytest

from tidbbackup.worker.database.catalog import Column, Database, Table
from tidbbackup.worker.dumpers.mydumper.hazards import (
    Quirks,
    backticked_columns,
    generated_tables,
    quirks,
    unloadable_tables,
    unsupported_tables,
)

STORED = Column("g", "STORED GENERATED")
OLD = Quirks(omits_defaults=True)


def problems(*tables: Table) -> str:
    return "; ".join(unsupported_tables((Database("d", tables),), is_tidb=False, known=OLD))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (Table("t", columns=(Column("at", "DEFAULT_GENERATED ON UPDATE CURRENT_TIMESTAMP"),)), "`at`"),
        (Table("t", columns=(Column("hidden", "INVISIBLE"),)), "invisible column `hidden`"),
        (Table("t", columns=(STORED, Column("a`b"))), "has a backtick"),
        (Table("it's", columns=(STORED,)), "quote or backslash"),
        (Table("t", comment="VIEW"), "taken for a view"),
    ],
)
def test_tables_that_cannot_be_dumped_whole(table: Table, words: str) -> None:
    assert words in problems(table)


@pytest.mark.parametrize(
    "table",
    [
        Table("t", columns=(STORED,)),
        Table("t", columns=(Column("a`b"),)),
        Table("t", columns=(STORED, Column("h", "INVISIBLE"))),
        Table("t", columns=(Column("my_row_id", "AUTO_INCREMENT INVISIBLE"),)),
        Table("it's"),
        Table("v", "VIEW", None, comment="VIEW"),
        Table("it's", triggers=True),
    ],
)
def test_tables_that_can(table: Table) -> None:
    assert problems(table) == ""


def test_lists_in_gbk_are_not_read_back_by_tidb() -> None:
    databases = (Database("d", (Table("t", columns=(Column("e", kind="enum"),)),)),)
    (problem,) = unsupported_tables(databases, is_tidb=True, known=OLD)
    assert "`d`.`t`: TiDB does not read back the members of `e`" in problem
    assert unsupported_tables(databases, is_tidb=False, known=OLD) == []


def test_column_lists() -> None:
    databases = [Database("d", (Table("t", columns=(STORED,)), Table("u", columns=(Column("a`b"),))))]
    assert generated_tables(databases) == [("d", "t")]
    assert backticked_columns(databases)
    assert not Column("c", "DEFAULT_GENERATED").generated


def test_types_that_do_not_load() -> None:
    table = Table("t", columns=(Column("ip", kind="inet6"), Column("id", kind="uuid")))
    assert unloadable_tables([Database("d", (table,))]) == ["`d`.`t`: column `ip`, `id`"]


def test_a_mydumper_that_tells_default_from_computed_may_dump_such_tables() -> None:
    table = Table("t", columns=(Column("at", "DEFAULT_GENERATED ON UPDATE CURRENT_TIMESTAMP"),))
    databases = (Database("d", (table,)),)

    assert unsupported_tables(databases, is_tidb=True, known=Quirks(omits_defaults=False)) == []


@pytest.mark.parametrize(
    ("query", "omits"),
    [
        (b"TABLE_NAME='%s' and extra like '%%GENERATED%%'", True),
        (b"extra like '%%GENERATED%%' and extra not like '%%DEFAULT_GENERATED%%'", False),
        # The image's own, see docs/decisions/0009.
        (b"TABLE_NAME='%s' and extra like'%% GENERATED%%'", False),
    ],
)
def test_quirks_are_read_off_the_program(query: bytes, omits: bool) -> None:
    assert quirks(b"\x7fELF..." + query + b"...").omits_defaults is omits
