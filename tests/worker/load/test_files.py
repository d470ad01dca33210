"""File names of all dumpers."""

import pytest

from tidbbackup.worker.load.files import Kind, definitions_come_first, dump_file


@pytest.mark.parametrize(
    ("name", "kind", "stem"),
    [
        ("d-schema-create.sql", Kind.DATABASE, "d"),
        ("p-placement-policy-create.sql", Kind.POLICY, "p"),
        ("d.t-schema.sql", Kind.TABLE, "d.t"),
        ("d.v-schema-view.sql", Kind.VIEW, "d.v"),
        ("d.s-schema-sequence.sql", Kind.SEQUENCE, "d.s"),
        ("d.t-schema-triggers.sql", Kind.TRIGGERS, "d.t"),
        ("d-schema-post.sql", Kind.PROGRAMS, "d"),
        ("d.t.sql", Kind.ROWS, "d.t"),
        ("d.t.00001.sql", Kind.ROWS, "d.t.00001"),
        ("metadata", Kind.NOTHING, "metadata"),
        ("d.t-checksum", Kind.NOTHING, "d.t-checksum"),
        ("d.t.sql.gz", Kind.UNKNOWN, "d.t.sql.gz"),
        ("d.t.00000.csv", Kind.UNKNOWN, "d.t.00000.csv"),
    ],
)
def test_what_a_file_is(name: str, kind: Kind, stem: str) -> None:
    file = dump_file(name)
    assert (file.kind, file.stem) == (kind, stem)


@pytest.mark.parametrize(
    ("name", "table", "dumpling"),
    [
        ("d.t.sql", "d.t", False),
        ("d.t.00001.sql", "d.t", False),
        ("d.t.00001.00002.sql", "d.t", False),
        ("d.t.000000000.sql", "d.t", True),
        ("d.t.0000000010000.sql", "d.t", True),
    ],
)
def test_rows_lead_to_their_table(name: str, table: str, dumpling: bool) -> None:
    file = dump_file(name)
    assert table in file.tables()
    assert file.tables()[0] == file.stem, "a table may have a name that ends with digits"
    assert file.by_dumpling is dumpling


@pytest.mark.parametrize(
    ("names", "first"),
    [
        ((), True),
        (("d-schema-create.sql", "d.t-schema.sql", "d.t.sql", "d.u.sql", "metadata"), True),
        (("d-schema-create.sql", "d.t-schema.sql"), True),
        (("d-schema-create.sql", "d.t.sql", "d.t-schema.sql"), False),
        (("d.t-schema.sql", "d.t.sql", "d.v-schema-view.sql"), False),
    ],
)
def test_whether_one_pass_is_enough(names: tuple[str, ...], first: bool) -> None:
    assert definitions_come_first(names) is first
