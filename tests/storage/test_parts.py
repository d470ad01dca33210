"""The part plan: any size fits, within what the provider takes and the user asks for."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidbbackup.model.providers import MIB, PROVIDERS, ObjectTarget, Transfer
from tidbbackup.storage.parts import PartLimits, next_size, part_limits, part_size

TIB = 1 << 40
TB = 10**12
GIB = 1 << 30


def limits_of(provider: str, **asked: int) -> PartLimits:
    return part_limits(ObjectTarget(provider, "b", "k", transfer=Transfer(**asked)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("estimate", "size"),
    [(0, 16 * MIB), (90 * GIB, 16 * MIB), (100 * GIB, 18 * MIB), (TIB, 175 * MIB), (100 * TIB, 5 * GIB)],
)
def test_sizes(estimate: int, size: int) -> None:
    assert part_size(estimate) == size


@pytest.mark.parametrize("provider", PROVIDERS)
@given(estimate=st.integers(0, 30 * TIB))
def test_an_archive_half_as_large_again_still_fits(provider: str, estimate: int) -> None:
    limits, row = limits_of(provider), PROVIDERS[provider]
    size = part_size(estimate, limits)
    assert size % MIB == 0
    assert row.min_part <= size <= row.max_part
    assert estimate * 1.5 <= size * row.max_parts


@pytest.mark.parametrize("provider", PROVIDERS)
def test_fifty_terabytes_are_ten_thousand_parts(provider: str) -> None:
    limits = limits_of(provider)
    assert limits.most * limits.count >= 50 * TB
    assert -(-50 * TB // part_size(50 * TB, limits)) <= limits.count


def test_what_the_user_asks_for() -> None:
    assert part_size(0, limits_of("aws", partBytes=5 * MIB)) == 5 * MIB
    assert part_size(0, limits_of("aws", partBytes=5 * MIB + 1)) == 5 * MIB + 1
    # As in rclone it grows where the archive would not fit.
    assert part_size(TIB, limits_of("aws", partBytes=5 * MIB)) == 175 * MIB
    assert part_size(TIB, limits_of("aws", partBytes=GIB)) == GIB
    assert part_size(GIB, limits_of("aws", maxParts=10)) == 171 * MIB
    assert limits_of("aws", maxParts=1).count == 1


@settings(max_examples=30)
@given(st.integers(0, 5 * TIB), st.floats(0.1, 8), st.sampled_from(["aws", "ceph", "wasabi"]))
@example(5 * TIB, 0.1, "aws")
def test_parts_that_may_differ_grow_until_any_archive_fits(total: int, wrong: float, provider: str) -> None:
    """However wrong the estimate (here up to ten times too small), up to 5 TiB fit."""
    limits, estimate = limits_of(provider), int(total * wrong)
    size, sent, parts = part_size(estimate, limits), 0, 0
    while sent < total:
        grown = next_size(size, parts, sent, estimate, limits)
        assert size <= grown <= limits.most
        size, sent, parts = grown, sent + grown, parts + 1
    assert parts <= limits.count


@pytest.mark.parametrize("provider", ["other", "netease", "ibmcos"])
def test_parts_that_may_not_differ_do_not(provider: str) -> None:
    limits = limits_of(provider)
    assert next_size(16 * MIB, 9_999, 9_999 * 16 * MIB, TIB, limits) == 16 * MIB


def test_a_good_estimate_lets_no_part_grow() -> None:
    limits, estimate = limits_of("aws"), 200 * GIB
    size = part_size(estimate, limits)
    parts = -(-estimate // size)
    assert {next_size(size, n, n * size, estimate, limits) for n in range(parts)} == {size}


def test_no_larger_than_there_is_room_for() -> None:
    limits = limits_of("aws", partBytes=GIB).at_most(100 * MIB)
    assert part_size(0, limits) == 100 * MIB
    assert part_size(5 * TIB, limits) == 100 * MIB
    assert next_size(100 * MIB, 9_999, 9_999 * 100 * MIB, TIB, limits) == 100 * MIB
    assert limits_of("aws").at_most(TIB) == limits_of("aws")
