"""How long to wait after failures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.kube.backoff import Backoff


@given(st.integers(1, 100_000), st.floats(0, 1, exclude_max=True))
def test_backoff_stays_in_its_bounds(failures: int, jitter: float) -> None:
    assert 0.005 <= Backoff(0.005, 300, spread=0.2).wait(failures, jitter) <= 360


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_backoff_never_shrinks(failures: int, jitter: float) -> None:
    backoff = Backoff(0.005, 300)
    assert backoff.wait(failures, jitter) <= backoff.wait(failures + 1, jitter)
