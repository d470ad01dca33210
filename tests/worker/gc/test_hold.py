"""Holding the GC life time over a run: its signs of life, and its end. On a virtual clock."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import define, evolve, field

from tests.worker.test_main import environ
from tidbbackup.worker.environment import read_environment
from tidbbackup.worker.failure import Journal
from tidbbackup.worker.gc import hold
from tidbbackup.worker.gc.ledger import Event, Renew, Row, ledger
from tidbbackup.worker.run import Limits, Run, read_login

pytestmark = pytest.mark.looptime

BEFORE = Row("10m0s", "as it was")


@define
class Server:
    """The row, and a server that may fall silent."""

    row: Row = BEFORE
    silent_for: type[Event] | None = None
    heard: list[tuple[float, str]] = field(factory=list)
    """When which event came."""

    async def aside(self, _: object, __: object, event_at: Callable[[datetime], Event]) -> Row:
        seconds = asyncio.get_running_loop().time()
        now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        event = event_at(now)
        self.heard.append((seconds, type(event).__name__))
        if self.silent_for and isinstance(event, self.silent_for):
            await asyncio.Event().wait()
        self.row = ledger(self.row, now, event)
        return self.row


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(hold, "aside", found.aside)
    return found


@pytest.fixture
def run(tmp_path: Path) -> Run:
    env = read_environment(environ(tmp_path, {"DB_PASSWORD": "x"}))
    return Run(env, Journal(), Limits(renewal=60), read_login(env))


async def test_it_is_held_for_as_long_as_the_block_lasts(server: Server, run: Run) -> None:
    # Not each minute: a week has ten thousand of them.
    run = evolve(run, limits=Limits(renewal=3600))
    async with hold.held(run):
        await asyncio.sleep(7 * 24 * 3600)
        assert server.row.value == "72h0m0s"
    assert server.row == BEFORE
    assert not run.journal.life_time_held


async def test_a_sign_of_life_without_an_answer_is_not_waited_for_longer_than_the_next_is_away(
    server: Server, run: Run
) -> None:
    began = asyncio.get_running_loop().time()
    async with hold.held(run):
        server.silent_for = Renew
        await asyncio.sleep(600)
    signs = [round(at - began) for at, name in server.heard if name == "Renew"]
    assert signs == [60, 180, 300, 420, 540]
    assert server.row == BEFORE
