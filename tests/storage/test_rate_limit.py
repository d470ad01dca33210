"""Bytes per second."""

from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.storage.rate_limit import RateLimit


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 30)), min_size=2, max_size=30),
)
def test_between_two_bodies_their_time_has_passed(rate: int, bodies: list[tuple[int, float]]) -> None:
    pace, now, gone = RateLimit(rate), 0.0, list[tuple[float, int]]()
    for count, pause in bodies:
        now += pause
        gone.append((now + pace.take(count, now), count))
    for earlier in range(len(gone)):
        for later in range(earlier + 1, len(gone)):
            sent = sum(count for _, count in gone[earlier:later])
            assert gone[later][0] - gone[earlier][0] >= sent / rate - 1e-6


def test_the_first_goes_at_once_and_without_a_rate_all_do() -> None:
    assert RateLimit(10).take(1000, 5.0) == 0
    free = RateLimit(None)
    assert [free.take(1 << 30, 0.0) for _ in range(3)] == [0, 0, 0]
