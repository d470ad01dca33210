"""The part plan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.storage.parts import MAX_PART, MIB, MIN_PART, in_flight, part_size

TIB = 1 << 40


@pytest.mark.parametrize(
    ("estimate", "size"),
    [(0, 16 * MIB), (90 << 30, 16 * MIB), (100 << 30, 18 * MIB), (TIB, 175 * MIB), (100 * TIB, MAX_PART)],
)
def test_sizes(estimate: int, size: int) -> None:
    assert part_size(estimate) == size


@given(st.integers(0, 25 * TIB))
def test_an_archive_half_as_large_again_still_fits(estimate: int) -> None:
    size = part_size(estimate)
    assert size % MIB == 0
    assert MIN_PART <= size <= MAX_PART
    assert estimate * 1.5 / size <= 10_000


@given(st.integers(1, MAX_PART))
def test_parts_in_flight_stay_within_the_budget(size: int) -> None:
    count = in_flight(size)
    assert 1 <= count <= 4
    assert count == 1 or count * size <= 64 * MIB
