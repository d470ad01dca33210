"""How many Backups run at a time, where the controller's flags bound it: the oldest first, none forgotten."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.decide.builders import *
from tidbbackup.decide.backup import decide
from tidbbackup.decide.facts import Caps, Refusal
from tidbbackup.decide.run.turn import have_their_turn, waits_for
from tidbbackup.model.resource.backup import Backup, BackupStatus

ONE = Caps(per_server=1)


def made(name: str, seconds: float, *phases: str, host: str = "tidb", **meta: Any) -> Backup:
    """A Backup created so many seconds after NOW, in these phases."""
    told = status(*phases) if phases else BackupStatus()
    return backup(
        status=told, from_={"host": host}, name=name, uid=name, creationTimestamp=later(seconds), **meta
    )


def names(found: list[Backup]) -> list[str]:
    """Their names."""
    return [each.metadata.name for each in found]


@pytest.mark.parametrize(
    ("caps", "expected"),
    [
        (Caps(), ["a", "b", "c", "d"]),
        (Caps(per_server=1), ["a", "c"]),
        (Caps(per_server=2), ["a", "b", "c"]),
        (Caps(per_namespace=1), ["a"]),
        (Caps(per_namespace=2), ["a", "b"]),
        (Caps(per_namespace=2, per_server=1), ["a", "c"]),
    ],
)
def test_the_oldest_first_each_server_apart(caps: Caps, expected: list[str]) -> None:
    found = [made("d", 4), made("b", 2), made("c", 3, host="other"), made("a", 1)]
    assert names(have_their_turn(found, caps)) == expected


def test_one_that_runs_keeps_its_turn_although_an_older_one_waits() -> None:
    """An Invalid one was corrected meanwhile."""
    found = [made("old", 1), made("runs", 2, "Scheduled", "Running")]
    assert names(have_their_turn(found, ONE)) == ["runs"]
    # As many as run when the flag is set go on.
    both = [made("one", 1, "Running"), made("two", 2, "Running")]
    assert names(have_their_turn(both, ONE)) == ["one", "two"]


def test_one_that_cannot_run_takes_no_turn() -> None:
    copy = made("copy", 1, annotations={"tidb.pingcap.com/begun-uid": "another"})
    found = [made("wrong", 1, "Invalid"), copy, made("goes", 1, deletionTimestamp=NOW), made("a", 9)]
    assert names(have_their_turn(found, ONE)) == ["a"]


def test_it_says_for_whom_it_waits_and_by_which_flag() -> None:
    runs = [made(name, 1, "Running") for name in ("a", "b", "c", "d")]
    me = made("me", 9)
    for caps, flag in [
        (ONE, "of tidb:4000 (--max-running-per-server=1)"),
        (Caps(4, 5), "of this namespace ("),
    ]:
        cause = waits_for(me, (*runs, me), caps)
        assert cause is not None
        assert flag in cause.message
        assert cause.message.endswith("come first: a, b, c and 1 more")


def test_a_wait_for_its_turn_never_fails_and_counts_for_no_deadline() -> None:
    me, first = made("me", 2), made("first", 1, "Running")
    waits = decide(facts(me, caps=ONE, not_over=(me, first)), later(10))
    assert (outline(waits), waits.wake_at) == (["Normal WaitsItsTurn", "status -"], None)
    waiting = written(me, waits)
    assert outline(decide(facts(waiting, caps=ONE, not_over=(waiting, first)), later(99_999))) == []

    begun = backup(status=waiting.status)
    refused = decide(facts(begun, refusal=Refusal(403, "no")), later(99_999))
    assert outline(refused) == ["Warning PodRefused", "status -"]
    (since,) = [each["lastTransitionTime"] for each in patch_of(refused)["conditions"]]
    assert since == "2026-11-24T06:46:39Z"


def test_one_that_was_corrected_has_its_turn_like_another() -> None:
    """Its phase stays Invalid until its Job is there, also while it waits."""
    me, first = made("me", 2, "Invalid"), made("first", 1, "Running")
    assert waits_for(me, (me,), ONE) is None
    waiting = written(me, decide(facts(me, caps=ONE, not_over=(me, first)), later(10)))
    assert waiting.status.phase == "Invalid"
    younger = made("younger", 3)
    assert names(have_their_turn([younger, waiting], ONE)) == ["me"]
    assert waits_for(younger, (younger, waiting), ONE) is not None


def test_a_further_attempt_keeps_the_turn_of_the_one_before() -> None:
    """The others are not even looked at."""
    assert waits_for(made("me", 2, "Running", "Scheduled"), (), ONE) is None


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 4)), min_size=1, max_size=12),
    st.builds(Caps, per_namespace=st.integers(0, 4), per_server=st.integers(0, 3)),
)
def test_never_more_than_the_caps_and_each_runs_in_the_end(wanted: list[tuple[str, int]], caps: Caps) -> None:
    left = [made(str(number), number, host=host) for number, (host, _) in enumerate(wanted)]
    rounds = {str(number): length for number, (_, length) in enumerate(wanted)}
    for _ in range(60):
        for number, each in enumerate(left):
            if not each.status.phase and waits_for(each, tuple(left), caps) is None:
                left[number] = attrs.evolve(each, status=status("Running"))
        running = [each for each in left if each.status.phase]
        assert len(running) <= (caps.per_namespace or 99)
        for host in "xyz":
            here = [each for each in running if each.spec.source and each.spec.source.host == host]
            assert len(here) <= (caps.per_server or 99)
        for each in running:
            rounds[each.metadata.name] -= 1
        left = [each for each in left if rounds[each.metadata.name]]
    assert left == []
