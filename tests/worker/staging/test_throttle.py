"""When mydumper is suspended: whatever the volume looks like, nobody is frozen and nothing stands still."""

from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.worker.staging.throttle import (
    AHEAD_BYTES,
    MAX_SUSPENDED_SECONDS,
    MIN_BUDGET,
    MIN_RUN_SECONDS,
    Decision,
    VolumeFacts,
    budget,
    decide,
)

MIB = 1 << 20
sizes = st.integers(0, 1 << 42)


@st.composite
def facts(draw: st.DrawFn) -> VolumeFacts:
    waiting = draw(sizes)
    return VolumeFacts(
        staged=waiting + draw(sizes),
        waiting=waiting,
        budget=draw(st.integers(MIN_BUDGET, 1 << 42)),
        harmless=draw(st.booleans()),
        suspended=draw(st.booleans()),
        since=0.0,
    )


@given(facts(), st.floats(0, 1e6))
def test_what_is_never_done(found: VolumeFacts, now: float) -> None:
    decision = decide(found, now)
    if not found.harmless:
        assert decision is Decision.RUN, "locks are suspended that others wait for"
    if decision is Decision.SUSPEND:
        assert found.waiting, "nothing would ever end it"
        assert not found.suspended or now < MAX_SUSPENDED_SECONDS
        assert found.suspended or now >= MIN_RUN_SECONDS
    if decision is Decision.TOO_SMALL:
        assert found.staged > found.budget
        assert not found.waiting
    if decision is Decision.RUN and not found.suspended and found.harmless and now >= MIN_RUN_SECONDS:
        assert found.staged <= found.budget or not found.waiting


@given(sizes, sizes)
def test_the_budget_is_below_both(storage: int, free: int) -> None:
    found = budget(storage, free)
    assert found <= 0.9 * free
    assert storage == 0 or found <= 0.9 * storage


def _now(staged: int, *, waiting: int = 1, room: int = 1 << 40, suspended: bool = False) -> VolumeFacts:
    return VolumeFacts(staged, waiting, room, harmless=True, suspended=suspended, since=0.0)


def test_open_files_that_fill_the_volume_are_too_much() -> None:
    assert decide(_now(100 * MIB, waiting=0, room=100 * MIB), 1) is Decision.RUN
    assert decide(_now(101 * MIB, waiting=0, room=100 * MIB), 1) is Decision.TOO_SMALL


def test_it_goes_on_only_when_a_quarter_is_free_again() -> None:
    room = 100 * MIB
    assert decide(_now(room, room=room), 1) is Decision.RUN
    assert decide(_now(room + 1, room=room), 1) is Decision.SUSPEND
    assert decide(_now(80 * MIB, room=room, suspended=True), 1) is Decision.SUSPEND
    assert decide(_now(75 * MIB, room=room, suspended=True), 1) is Decision.RUN


def test_a_tiny_volume_is_left_to_mydumper() -> None:
    room = MIN_BUDGET - 1
    assert decide(_now(2 * room, room=room), 1) is Decision.RUN
    assert decide(_now(2 * room, room=room, waiting=0), 1) is Decision.RUN


def test_far_ahead_is_enough_to_be_held() -> None:
    assert decide(_now(AHEAD_BYTES), 1) is Decision.RUN
    assert decide(_now(AHEAD_BYTES + 1), 1) is Decision.SUSPEND
    # A single table in a file of its own may be as large as the volume.
    assert decide(_now(AHEAD_BYTES + 1, waiting=0), 1) is Decision.RUN


def test_after_a_minute_it_runs_for_a_moment() -> None:
    assert decide(_now(10 * AHEAD_BYTES, suspended=True), MAX_SUSPENDED_SECONDS) is Decision.RUN
    assert decide(_now(10 * AHEAD_BYTES), MIN_RUN_SECONDS / 2) is Decision.RUN
    assert decide(_now(10 * AHEAD_BYTES), MIN_RUN_SECONDS) is Decision.SUSPEND
