"""Many lives of the controllers, each decided by a seed: see the package for what a seed decides."""

from __future__ import annotations

import pytest

from tests.simulation.simulation import simulate

SEEDS = 400
"""Each takes about a sixth of a second of CPU."""
AT_ONCE = 20


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_whatever_happens_all_invariants_hold(first: int) -> None:
    broken = [
        f".venv/bin/python -m tests.simulation {seed}: {outcome.broken}"
        for seed in range(first, first + AT_ONCE)
        if (outcome := simulate(seed)).broken
    ]
    assert not broken, "\n".join(broken)


def test_a_seed_plays_the_same_again() -> None:
    first = [simulate(seed).digest for seed in range(3)]
    assert [simulate(seed).digest for seed in range(3)] == first
