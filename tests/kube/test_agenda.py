"""The agenda against a naive model: earliest wins, no key is lost, none is taken twice at once."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidbbackup.kube.agenda import Agenda

KEYS = st.sampled_from("abcde")
SECONDS = st.integers(0, 20)


class AgendaAgainstModel(RuleBasedStateMachine):
    """The model is two plain maps and a set, searched from end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.agenda: Agenda[str] = Agenda()
        self.now = 0.0
        self.wanted: dict[str, float] = {}
        self.held: dict[str, float] = {}
        self.active: dict[str, float] = {}
        self.lined_up: set[str] = set()

    @rule(key=KEYS, after=SECONDS)
    def put(self, key: str, after: int) -> None:
        """A key is wanted; while it is active the wish is kept apart."""
        at = self.now + after
        self.agenda.put(key, at)
        wishes = self.held if key in self.active else self.wanted
        wishes[key] = min(at, wishes.get(key, at))

    @rule(after=SECONDS)
    def wait(self, after: int) -> None:
        """Time passes."""
        self.now += after

    @rule()
    def take(self) -> None:
        """What is taken was due, was due the longest, and was not active."""
        taken = self.agenda.take(self.now)
        due = {key: at for key, at in self.wanted.items() if at <= self.now}
        if not due:
            assert taken is None
            return
        assert taken is not None
        key, at = taken
        assert key not in self.active
        assert at == due[key] == min(due.values())
        del self.wanted[key]
        self.active[key] = self.now
        self.lined_up = set(due) - {key}

    @precondition(lambda self: self.active)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        """A held wish counts from now on, and not from before."""
        key = data.draw(st.sampled_from(sorted(self.active)))
        assert self.agenda.done(key, self.now) == self.active.pop(key)
        if key in self.held:
            self.wanted[key] = max(self.held.pop(key), self.now)

    @invariant()
    def agrees(self) -> None:
        """What can be seen from outside is what the model says."""
        later = [at for key, at in self.wanted.items() if key not in self.lined_up]
        assert self.agenda.next_at() == min(later, default=None)
        assert self.agenda.ready(self.now) == sum(at <= self.now for at in self.wanted.values())
        assert sorted(self.agenda.active()) == sorted(self.active.values())

    def teardown(self) -> None:
        """Left alone, the agenda gives every key that is wanted, once."""
        for key in tuple(self.active):
            self.done_all(key)
        left = []
        while taken := self.agenda.take(1e9):
            left.append(taken[0])
        assert sorted(left) == sorted(self.wanted)

    def done_all(self, key: str) -> None:
        """Ends the work on one key."""
        self.agenda.done(key, self.now)
        del self.active[key]
        if key in self.held:
            self.wanted[key] = self.held.pop(key)


TestAgenda = AgendaAgainstModel.TestCase


def test_keys_due_at_the_same_time_come_in_the_order_of_their_wishes() -> None:
    agenda: Agenda[str] = Agenda()
    for key in "cab":
        agenda.put(key, 1.0)
    taken = [agenda.take(1.0) for _ in range(3)]
    assert [pair[0] for pair in taken if pair] == ["c", "a", "b"]


def test_a_busy_key_waits_behind_the_others() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("busy", 0)
    agenda.take(0)
    agenda.put("busy", 0)
    agenda.put("other", 5)
    agenda.done("busy", 6)
    assert agenda.take(6) == ("other", 5)


def test_only_what_is_active_can_be_done() -> None:
    with pytest.raises(KeyError):
        Agenda[str]().done("a", 0)


def _agenda_of_lines(share: float = 100) -> Agenda[str]:
    """Of each key the first letter is the owner, the second the owner's line."""
    return Agenda(line=lambda key: (key[0], key[1]), share=share)


def test_lines_take_turns_however_long_one_of_them_is() -> None:
    agenda = _agenda_of_lines()
    for number in range(1000):
        agenda.put(f"ax{number}", 0)
    for key in ("bx0", "ay0", "bx1"):
        agenda.put(key, 1)
    taken = [agenda.take(1) for _ in range(6)]
    assert [pair[0] for pair in taken if pair] == ["ax0", "bx0", "ay0", "ax1", "bx1", "ax2"]


def test_no_owner_has_more_than_its_share_of_what_is_active() -> None:
    agenda = _agenda_of_lines(share=2)
    for key in ("ax0", "ax1", "ay0", "bx0"):
        agenda.put(key, 0)
    taken = [agenda.take(0) for _ in range(4)]
    assert [pair and pair[0] for pair in taken] == ["ax0", "ay0", "bx0", None]
    assert agenda.ready(0) == 1
    agenda.done("ay0", 1)
    assert agenda.take(1) == ("ax1", 0)
