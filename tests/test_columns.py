"""Tables for people on a terminal."""

from tidbbackup.columns import columns


def test_cells_stand_below_each_other_and_lines_end_with_their_text() -> None:
    assert columns([("A", "LONG", "C"), ("aaa", "b", "")]) == "A     LONG   C\naaa   b\n"
