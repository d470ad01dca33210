"""Rows of tables from those of files."""

from tidbbackup.worker.archive.tar import PackedFile
from tidbbackup.worker.database.catalog import Database, Table
from tidbbackup.worker.load.row_counts import rows_of_tables


def table(name: str, kind: str = "BASE TABLE") -> Table:
    return Table(name, kind, "InnoDB", "", False, (), 0, 0)


def test_all_files_of_a_table_count() -> None:
    tables = (table("t"), table("t.00007"), table("a.b"), table("none"), table("v", "VIEW"))
    files = [
        *(PackedFile("d.t.00001.sql", 9, 5), PackedFile("d.t.00002.sql", 9, 2)),
        *(PackedFile("d.t.00007.sql", 9, 1), PackedFile("d.a%2Eb.000000000.sql", 9, 4)),
        *(PackedFile("d.t-schema.sql", 9, 3), PackedFile("metadata", 9), PackedFile("x.y.sql", 9, 9)),
    ]
    assert rows_of_tables(files, [Database("d", tables, (), ())]) == {
        ("d", "t"): 7,
        ("d", "t.00007"): 1,
        ("d", "a.b"): 4,
        ("d", "none"): 0,
    }
