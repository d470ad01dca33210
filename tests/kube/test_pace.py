"""How long following rests."""

from __future__ import annotations

import pytest

from tidbbackup.kube.errors import ServerError, Silence, Status, TransportError
from tidbbackup.kube.pace import TIMING, Pace, Round

CUT = TransportError("cut")


def _wishing(seconds: float) -> ServerError:
    return ServerError("GET /x", 503, Status(), retry_after=seconds)


def test_waits_double_up_to_thirty_seconds() -> None:
    pace = Pace(TIMING)
    waits = [pace.after(Round(0.1, moved=False, error=CUT), jitter=0) for _ in range(8)]
    assert waits == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]


def test_jitter_stretches_to_the_double() -> None:
    assert Pace(TIMING).after(Round(0.1, moved=False, error=CUT), jitter=0.5) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("past", "wait"),
    [
        (Round(290, moved=True), 0),
        (Round(290, moved=False), 0),
        (Round(0.1, moved=True), 0),
        (Round(0.1, moved=False), 0.8),
        (Round(0.1, moved=False, expired=True), 0.8),
        (Round(200, moved=True, expired=True), 0.8),
        (Round(200, moved=True, error=CUT), 0.8),
        (Round(70, moved=False, error=Silence("idle")), 0),
        (Round(30, moved=False, error=Silence("not even opened")), 0.8),
        (Round(0.1, moved=False, error=_wishing(20)), 20),
        (Round(0.1, moved=False, error=_wishing(3600)), 60),
        (Round(0.1, moved=False, error=_wishing(0)), 0.8),
    ],
)
def test_the_wait_after_one_round(past: Round, wait: float) -> None:
    assert Pace(TIMING).after(past, jitter=0) == wait


@pytest.mark.parametrize(
    "past", [Round(290, moved=False), Round(0.1, moved=True), Round(61, False, error=CUT)]
)
def test_calm_forgets_failures(past: Round) -> None:
    pace = Pace(TIMING, failures=5)
    pace.after(past, jitter=0)
    assert pace.failures <= 1
