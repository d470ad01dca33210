"""The ledger of GC life times: single steps, then a machine of holders that die and users that edit."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidbbackup.model.contract.task import LONGEST_GC_LIFE_TIME as LONGEST
from tidbbackup.model.units import parse_duration
from tidbbackup.worker.gc.ledger import (
    COMMENT_LIMIT,
    MARK,
    Acquire,
    CannotHold,
    Event,
    Release,
    Renew,
    Row,
    holder_name,
    is_held,
    ledger,
    suffices,
)

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TIDBS_OWN = "All versions within life time will not be collected by GC, at least 10m, in Go format."
DEFAULT = Row("10m0s", TIDBS_OWN)


def acquire(row: Row, holder: str = "a", hours: float = 72, at: datetime = NOW) -> Row:
    return ledger(row, at, Acquire(holder, timedelta(hours=hours), at + 10 * MINUTE))


def test_one_run_raises_it_and_puts_it_back_to_the_letter() -> None:
    held = acquire(DEFAULT)
    assert held.value == "72h0m0s"
    assert held.comment == MARK + (
        '{"comment":"' + TIDBS_OWN + '",'
        '"holders":{"a":{"until":"2026-11-23T03:10:00Z","wish":"72h0m0s"}},"now":"72h0m0s","was":"10m0s"}'
    )
    assert ledger(held, NOW + MINUTE, Release("a")) == DEFAULT


def test_a_longer_value_is_left_alone() -> None:
    row = Row("100h", "mine")
    assert acquire(row) == row
    assert suffices(row, timedelta(hours=72))
    assert acquire(Row("72h", None)) == Row("72h", None)


def test_the_second_of_two_does_not_take_the_raised_value_for_the_old_one() -> None:
    both = acquire(acquire(DEFAULT, "a"), "b")
    assert ledger(both, NOW, Release("a")).value == "72h0m0s"
    assert ledger(ledger(both, NOW, Release("a")), NOW, Release("b")) == DEFAULT
    assert ledger(ledger(both, NOW, Release("b")), NOW, Release("a")) == DEFAULT


def test_the_longest_of_the_wishes_holds() -> None:
    both = acquire(acquire(DEFAULT, "a", hours=24), "b", hours=12)
    assert both.value == "24h0m0s"
    left = ledger(both, NOW, Release("a"))
    assert left.value == "12h0m0s"
    assert is_held(left, "b")


def test_the_next_run_puts_back_what_a_dead_one_left() -> None:
    held = acquire(DEFAULT, "dead", hours=72)
    later = NOW + 11 * MINUTE
    assert ledger(held, later, Release("nobody")) == DEFAULT
    next_run = acquire(held, "b", hours=24, at=later)
    assert next_run.value == "24h0m0s"
    assert not is_held(next_run, "dead")
    assert ledger(next_run, later, Release("b")) == DEFAULT


def test_who_lives_is_not_swept() -> None:
    held = acquire(DEFAULT)
    renewed = ledger(held, NOW + 9 * MINUTE, Renew("a", NOW + 19 * MINUTE))
    assert is_held(ledger(renewed, NOW + 18 * MINUTE, Release("nobody")), "a")


@pytest.mark.parametrize("event", [Renew("a", NOW + 10 * MINUTE), Release("a"), Release("nobody")])
def test_a_value_that_the_user_has_set_meanwhile_stays(event: Event) -> None:
    edited = Row("30m", acquire(DEFAULT).comment)
    assert ledger(edited, NOW, event) == Row("30m", TIDBS_OWN)


@pytest.mark.parametrize("event", [Renew("a", NOW + 10 * MINUTE), Release("a"), Release("nobody")])
def test_a_comment_that_is_not_ours_means_that_the_user_took_over(event: Event) -> None:
    # So does SET GLOBAL tidb_gc_life_time: it writes both columns.
    edited = Row("72h0m0s", TIDBS_OWN)
    assert ledger(edited, NOW, event) == edited


def test_a_run_that_begins_after_the_users_change_puts_that_back() -> None:
    held = acquire(Row("30m", acquire(DEFAULT).comment), "b")
    assert (held.value, is_held(held, "a")) == ("72h0m0s", False)
    assert ledger(held, NOW, Release("b")) == Row("30m", TIDBS_OWN)


def test_a_spoilt_ledger_is_nobodys() -> None:
    row = Row("72h0m0s", MARK + '{"was":')
    assert ledger(row, NOW, Release("nobody")) == row
    assert not is_held(row, "a")


def test_no_comment_at_all_is_put_back_too() -> None:
    assert ledger(acquire(Row("10m", None)), NOW, Release("a")) == Row("10m", None)


def test_a_value_that_tidb_cannot_read_either_is_not_touched() -> None:
    with pytest.raises(CannotHold, match="'soon' is not a duration"):
        acquire(Row("soon", None))


def test_a_full_comment_takes_no_more() -> None:
    row, names = DEFAULT, [f"0123456789{number:03}" for number in range(12)]
    for name in names:
        row = acquire(row, name)
    with pytest.raises(CannotHold, match="no room for one more beside 12 running"):
        acquire(row, "b" * 13)
    for name in names:
        row = ledger(row, NOW, Release(name))
    assert row == DEFAULT


def test_no_wish_is_longer_than_tidb_can_read() -> None:
    assert acquire(DEFAULT, hours=1e6).value == "8760h0m0s"


def test_a_run_is_called_by_its_backups_uid() -> None:
    assert holder_name("0a1b2c3d-4e5f-6789-abcd-ef0123456789") == "0a1b2c3d-4e5f"


HOLDERS = st.sampled_from("abcd")
VALUES = ("10m0s", "10m", "1h", "24h0m0s", "72h0m0s", "100h")
COMMENTS = (None, "", TIDBS_OWN, "mine", "tidbbackup", MARK, "Ä" * 400)


class Holders(RuleBasedStateMachine):
    """Some runs and a user at one row; the model knows what the user wants and who is alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.row = self.original = DEFAULT
        self.written = DEFAULT.value
        self.holds: dict[str, tuple[timedelta, datetime]] = {}

    def happen(self, event: Event) -> None:
        self.holds = {name: hold for name, hold in self.holds.items() if hold[1] > self.now}
        self.row = ledger(self.row, self.now, event)
        self.written = self.row.value

    @rule(holder=HOLDERS, hours=st.sampled_from([0.1, 1, 24, 72, 200, 1e6]), minutes=st.integers(1, 20))
    def acquires(self, holder: str, hours: float, minutes: int) -> None:
        wish, expires = timedelta(hours=hours), self.now + minutes * MINUTE
        self.happen(Acquire(holder, wish, expires))
        if self.holds or not suffices(self.original, wish):
            self.holds[holder] = min(wish, LONGEST), expires

    @rule(holder=HOLDERS, minutes=st.integers(1, 20))
    def renews(self, holder: str, minutes: int) -> None:
        expires = self.now + minutes * MINUTE
        self.happen(Renew(holder, expires))
        if holder in self.holds:
            self.holds[holder] = self.holds[holder][0], expires

    @rule(holder=HOLDERS)
    def releases(self, holder: str) -> None:
        self.happen(Release(holder))
        self.holds.pop(holder, None)

    @rule()
    def sweeps(self) -> None:
        self.happen(Release("nobody"))

    @rule(minutes=st.integers(1, 30))
    def time_goes_by(self, minutes: int) -> None:
        """Whoever does not renew meanwhile has died."""
        self.now += minutes * MINUTE

    @rule(value=st.sampled_from(VALUES))
    def the_user_sets_the_value(self, value: str) -> None:
        # The very value that we have written, set once more, nobody can tell from ours.
        assume(value != self.written)
        self.original = Row(value, self.original.comment)
        self.row = Row(value, self.row.comment)
        self.holds = {}

    @rule(comment=st.sampled_from(COMMENTS))
    def the_user_writes_a_comment(self, comment: str | None) -> None:
        self.row = self.original = Row(self.row.value, comment)
        self.holds = {}

    @rule(value=st.sampled_from(VALUES))
    def the_user_sets_the_variable(self, value: str) -> None:
        self.row = self.original = Row(value, TIDBS_OWN)
        self.holds = {}

    @precondition(lambda self: not any(until > self.now for _, until in self.holds.values()))
    @rule()
    def nothing_is_left_of_the_dead(self) -> None:
        assert ledger(self.row, self.now, Release("nobody")) == self.original

    @invariant()
    def the_longest_wish_of_the_living_holds(self) -> None:
        row = ledger(self.row, self.now, Release("nobody"))
        living = [wish for wish, until in self.holds.values() if until > self.now]
        assert parse_duration(row.value) == max([parse_duration(self.original.value), *living])
        # Nobody's hold is cut short, not even for as long as the dead have not been swept.
        assert parse_duration(self.row.value) >= parse_duration(row.value)

    @invariant()
    def it_can_be_put_back_to_the_letter(self) -> None:
        row = self.row
        for holder in "abcd":
            row = ledger(row, self.now, Release(holder))
        assert row == self.original

    @invariant()
    def the_comment_fits(self) -> None:
        assert len(self.row.comment or "") <= COMMENT_LIMIT


TestHolders = Holders.TestCase
