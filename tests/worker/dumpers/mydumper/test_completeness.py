"""Which objects a folder lacks."""

import pytest

from tidbbackup.worker.database.catalog import Database, Table
from tidbbackup.worker.dumpers.mydumper.completeness import lacks_column_list, missing_objects, spoilt_files
from tidbbackup.worker.dumpers.mydumper.options import Flags

DATABASES = (Database("d", (Table("t", triggers=True), Table("e"), Table("v", "VIEW", None)), ("r",)),)
PLAIN = Flags()
WHOLE = {
    "metadata": 70,
    "d-schema-create.sql": 60,
    "d-schema-post.sql": 60,
    "d.t-schema.sql": 60,
    "d.t-schema-triggers.sql": 60,
    "d.t.sql": 60,
    "d.e-schema.sql": 60,
    "d.v-schema.sql": 60,
    "d.v-schema-view.sql": 60,
}


def missing(sizes: dict[str, int], flags: Flags = PLAIN, empty: tuple[str, ...] = ("d.e",)) -> list[str]:
    return missing_objects(DATABASES, flags, sizes, empty, ["d"])


def test_a_whole_dump_lacks_nothing() -> None:
    assert missing(WHOLE) == []


def test_of_a_remote_table_the_definition_has_to_be_there_and_no_rows() -> None:
    remote = (Database("d", (Table("far", engine="FEDERATED"),)),)
    assert missing_objects(remote, PLAIN, {"d.far-schema.sql": 60}, (), []) == []
    assert missing_objects(remote, PLAIN, {"d.far.sql": 60}, (), []) == ["table `d`.`far`"]


@pytest.mark.parametrize(
    ("file", "thing"),
    [
        ("d-schema-create.sql", "database `d`"),
        ("d-schema-post.sql", "routines and events of `d`"),
        ("d.t-schema.sql", "table `d`.`t`"),
        ("d.t-schema-triggers.sql", "triggers of `d`.`t`"),
        ("d.t.sql", "rows of `d`.`t`"),
        ("d.v-schema-view.sql", "view `d`.`v`"),
    ],
)
def test_a_file_that_is_not_there_or_empty_is_named(file: str, thing: str) -> None:
    assert missing({name: size for name, size in WHOLE.items() if name != file}) == [thing]
    assert missing(WHOLE | {file: 0}) == [thing]


def test_metadata_proves_nothing() -> None:
    assert len(missing({"metadata": 100})) == 7
    assert missing({name: size for name, size in WHOLE.items() if name != "metadata"}) == []


def test_rows_may_be_in_numbered_files() -> None:
    sizes = {name: size for name, size in WHOLE.items() if name != "d.t.sql"}
    assert missing(sizes | {"d.t.00000.sql": 5, "d.t.00001.sql": 5}, Flags(chunked=True)) == []
    assert missing(sizes | {"d.t.1.sql": 5}) == ["rows of `d`.`t`"]


def test_a_table_without_rows_has_to_be_called_empty() -> None:
    assert missing(WHOLE, empty=()) == ["rows of `d`.`e`"]
    assert missing(WHOLE, Flags(verbose=False), empty=()) == [], "the log does not tell"


def test_options_that_leave_things_out() -> None:
    assert missing({"d.t.sql": 5}, Flags(no_schemas=True)) == []
    assert missing({}, Flags(selecting=True)) == []


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
