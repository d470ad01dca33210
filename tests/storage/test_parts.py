"""Sizes of parts: archives of several TB fit, within what memory and provider take and the user asks for."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidbbackup.model.providers import LARGEST_PART, MIB, PROVIDERS, ObjectTarget, Transfer
from tidbbackup.storage.parts import MAX_PARTS, PartSizes, sent_at_once

TIB = 1 << 40
GIB = 1 << 30
GROWING = sorted(name for name, row in PROVIDERS.items() if row.unequal_parts)
EQUAL = sorted(PROVIDERS.keys() - GROWING)


def sizes_for(estimate: int, provider: str = "aws", asked: int | None = None) -> PartSizes:
    return PartSizes(ObjectTarget(provider, "b", "k", transfer=Transfer(partBytes=asked)), estimate)


def parts_of(total: int, sizes: PartSizes) -> list[int]:
    """The parts of an archive of so many bytes, or one more than may be."""
    found, left = list[int](), total
    while left > 0 and len(found) <= MAX_PARTS:
        found.append(min(sizes.size, left))
        left -= found[-1]
        sizes.took(found[-1])
    return found


@pytest.mark.parametrize(
    ("estimate", "size"),
    [(0, 16 * MIB), (90 * GIB, 16 * MIB), (100 * GIB, 18 * MIB), (TIB, 175 * MIB), (4 * TIB, LARGEST_PART)],
)
def test_the_first_part(estimate: int, size: int) -> None:
    assert sizes_for(estimate).size == size


@pytest.mark.parametrize("provider", PROVIDERS)
@given(estimate=st.integers(0, 2 * TIB))
def test_an_archive_half_as_large_again_fits_without_growing(provider: str, estimate: int) -> None:
    size = sizes_for(estimate, provider).size
    assert size % MIB == 0
    assert 5 * MIB <= size <= LARGEST_PART
    assert estimate * 1.5 <= size * MAX_PARTS


@pytest.mark.parametrize("provider", PROVIDERS)
def test_more_than_four_tebibytes_fit_where_they_are_expected(provider: str) -> None:
    assert len(parts_of(int(4.8 * TIB), sizes_for(int(4.8 * TIB), provider))) <= MAX_PARTS


def test_what_the_user_asks_for() -> None:
    assert sizes_for(0, asked=5 * MIB).size == 5 * MIB
    assert sizes_for(0, asked=5 * MIB + 1).size == 5 * MIB + 1
    assert sizes_for(0, asked=300 * MIB).size == 300 * MIB
    # Never more than memory has room for, and as in rclone more where the archive would not fit.
    assert sizes_for(0, asked=5 * GIB).size == LARGEST_PART
    assert sizes_for(TIB, asked=5 * MIB).size == 175 * MIB


@settings(max_examples=20)
@given(st.integers(0, int(1.4 * TIB)), st.floats(0, 8), st.sampled_from(GROWING))
@example(int(1.4 * TIB), 0.0, "aws")
@example(int(1.4 * TIB), 0.08, "aws")
def test_parts_that_may_differ_grow_however_wrong_the_estimate_is(
    total: int, wrong: float, provider: str
) -> None:
    parts = parts_of(total, sizes_for(int(total * wrong), provider))
    assert len(parts) <= MAX_PARTS
    assert sum(parts) == total
    assert parts[:-1] == sorted(parts[:-1])
    assert max(parts, default=0) <= LARGEST_PART


def test_twice_and_more_of_a_tebibyte_that_was_estimated_fits() -> None:
    assert len(parts_of(int(2.8 * TIB), sizes_for(TIB))) <= MAX_PARTS


@pytest.mark.parametrize("provider", EQUAL)
def test_parts_that_may_not_differ_do_not(provider: str) -> None:
    assert set(parts_of(16 * MIB * MAX_PARTS, sizes_for(0, provider))) == {16 * MIB}


def test_a_good_estimate_lets_no_part_grow() -> None:
    sizes = sizes_for(200 * GIB)
    first = sizes.size
    assert set(parts_of(200 * GIB, sizes)[:-1]) == {first}


@pytest.mark.parametrize(
    ("size", "wanted", "count"),
    [
        (16 * MIB, None, 4),
        (5 * MIB, None, 4),
        (5 * MIB, 8, 8),
        (5 * MIB, 64, 12),
        (16 * MIB, 64, 4),
        (17 * MIB, None, 3),
        (LARGEST_PART, 64, 1),
        (0, None, 4),
        (1, 1, 1),
    ],
)
def test_as_many_travel_as_memory_has_room_for(size: int, wanted: int | None, count: int) -> None:
    assert sent_at_once(size, wanted) == count
