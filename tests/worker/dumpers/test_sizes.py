"""Connections and files where the task says nothing."""

import pytest

from tidbbackup.worker.dumpers.sizes import file_bytes, threads


@pytest.mark.parametrize(
    ("cpus", "tables", "by_rows", "expected"),
    [
        (0.5, 100, False, 2),
        (2, 100, False, 2),
        (2.5, 100, False, 3),
        (64, 100, False, 8),
        (8, 3, False, 3),
        (8, 1, False, 1),
        (8, 1, True, 8),
        (8, 0, False, 1),
    ],
)
def test_threads(cpus: float, tables: int, by_rows: bool, expected: int) -> None:
    assert threads(cpus, tables, by_rows=by_rows) == expected


def test_files_are_so_small_that_some_find_room() -> None:
    assert [file_bytes(volume << 20) >> 20 for volume in (0, 64, 512, 1024, 100_000)] == [64, 4, 32, 64, 64]
