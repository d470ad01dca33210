"""A write may begin only while the fence is open, and time alone closes it."""

from __future__ import annotations

import pytest
from attrs import define

from tidbbackup.kube.errors import ApiError, NotLeader
from tidbbackup.kube.fence import Fence, boot_seconds


@define
class Clock:
    """Stands where the test has set it."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_is_closed_until_the_lease_is_held() -> None:
    fence = Fence(Clock())
    assert not fence.opened.is_set()
    with pytest.raises(NotLeader, match="not sent: this process does not hold the Lease"):
        fence.check()


def test_time_alone_closes_it() -> None:
    """Nobody has to run for that: a process that was stopped finds it closed."""
    clock = Clock()
    fence = Fence(clock)
    fence.extend(110.0)
    clock.now = 109.9
    fence.check()
    clock.now = 110.0
    with pytest.raises(NotLeader):
        fence.check()
    assert fence.left == 0


def test_without_an_end_it_stays_open_and_a_close_closes_it() -> None:
    clock = Clock()
    fence = Fence(clock)
    fence.extend()
    clock.now = 1e12
    fence.check()
    fence.close()
    with pytest.raises(NotLeader):
        fence.check()


def test_it_is_an_error_like_those_of_other_requests() -> None:
    assert issubclass(NotLeader, ApiError)


def test_its_clock_counts_suspension(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {7: 42.0}
    monkeypatch.setattr("time.clock_gettime", clocks.__getitem__)
    assert boot_seconds() == 42.0, "CLOCK_BOOTTIME is 7 on Linux"
