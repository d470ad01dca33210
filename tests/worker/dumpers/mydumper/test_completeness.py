"""Whose rows a folder lacks."""

import pytest

from tidbbackup.worker.database.catalog import Database, Table
from tidbbackup.worker.dumpers.mydumper.completeness import lacks_column_list, missing_rows, spoilt_files
from tidbbackup.worker.dumpers.mydumper.options import Flags

DATABASES = (Database("d", (Table("t", triggers=True), Table("e"), Table("v", "VIEW", None)), ("r",)),)
PLAIN = Flags()
WHOLE = {"metadata": 70, "d.t.sql": 60}


def missing(sizes: dict[str, int], flags: Flags = PLAIN, empty: tuple[str, ...] = ("d.e",)) -> list[str]:
    return missing_rows(DATABASES, flags, sizes, empty)


def test_a_whole_dump_lacks_nothing() -> None:
    assert missing(WHOLE) == []


def test_of_a_remote_table_no_rows_have_to_be_there() -> None:
    assert missing_rows((Database("d", (Table("far", engine="FEDERATED"),)),), PLAIN, {}, ()) == []


def test_a_file_that_is_not_there_or_empty_is_named() -> None:
    assert missing({"metadata": 100}) == ["rows of `d`.`t`"]
    assert missing(WHOLE | {"d.t.sql": 0}) == ["rows of `d`.`t`"]


def test_metadata_proves_nothing() -> None:
    assert missing({"d.t.sql": 60}) == []


def test_rows_may_be_in_numbered_files() -> None:
    assert missing({"d.t.00000.sql": 5, "d.t.00001.sql": 5}, Flags(chunked=True)) == []
    assert missing({"d.t.1.sql": 5}) == ["rows of `d`.`t`"]


def test_a_table_without_rows_has_to_be_called_empty() -> None:
    assert missing(WHOLE, empty=()) == ["rows of `d`.`e`"]
    assert missing(WHOLE, Flags(verbose=False), empty=()) == [], "the log does not tell"


@pytest.mark.parametrize(
    ("tail", "verdict"),
    [
        (b"...\n(1,2);\nINSERT INTO `t` VALUES\n(3,4);\n", True),
        (b"...\nINSERT INTO `t` VALUES\n(1);\nINSERT INTO `t` (`a`) VALUES\n(2);\n", False),
        (b"\nINSERT IGNORE INTO `t` VALUES\n(1);\n", True),
        (b'1,"INSERT INTO `t` VALUES"),\n(2);\n', None),
    ],
)
def test_the_last_insert_of_a_table_with_generated_columns(tail: bytes, verdict: bool | None) -> None:
    assert lacks_column_list(tail) is verdict


def test_data_files_to_look_at() -> None:
    sizes = {"d.t.sql": 1, "d.t.00001.sql": 1, "d.t-schema.sql": 1, "d.u.sql": 1}
    assert spoilt_files([("d", "t")], sizes) == {"d.t.sql": ("d", "t"), "d.t.00001.sql": ("d", "t")}
