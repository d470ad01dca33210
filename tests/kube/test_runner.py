"""Workers around a queue, on a virtual clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define

from tests.kube.things import THINGS, Thing, thing
from tidbbackup.kube.errors import Conflict, Status, TooManyRequests
from tidbbackup.kube.queue import WorkQueue
from tidbbackup.kube.runner import Runner, Wake, seconds_until
from tidbbackup.kube.store import Store
from tidbbackup.kube.updates import Bookmark, Relisted
from tidbbackup.kube.writes import WriteGate

pytestmark = pytest.mark.looptime

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Script = Callable[[str], Awaitable[Wake]]


@define
class Bench:
    """A runner at work, and when it was called."""

    queue: WorkQueue[str]
    runner: Runner[str]
    calls: list[tuple[float, str]]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _clock() -> datetime:
    return NOON + timedelta(seconds=_now())


async def _ready() -> None:
    return None


@asynccontextmanager
async def _running(
    script: Script, *, gate: WriteGate | None = None, timeout: float = 60.0, workers: int = 2
) -> AsyncIterator[Bench]:
    queue: WorkQueue[str] = WorkQueue("test", jitter=lambda: 0.0)
    calls: list[tuple[float, str]] = []

    async def reconcile(key: str) -> Wake:
        calls.append((_now(), key))
        return await script(key)

    runner = Runner("test", queue, reconcile, gate=gate, workers=workers, timeout=timeout, now=_clock)
    running = asyncio.create_task(runner.run(_ready()))
    try:
        yield Bench(queue, runner, calls)
    finally:
        await runner.stop(within=0)
        await running


async def test_awaits_change_when_nothing_else_is_said() -> None:
    async def script(key: str) -> Wake:
        return None

    async with _running(script) as bench:
        bench.queue.add("a")
        await asyncio.sleep(1e5)
        assert bench.calls == [(0, "a")]


async def test_looks_again_when_asked_to() -> None:
    answers: list[Wake] = [NOON + timedelta(seconds=30), None]

    async def script(key: str) -> Wake:
        return answers.pop(0)

    async with _running(script) as bench:
        bench.queue.add("a")
        await asyncio.sleep(1000)
        assert bench.calls == [(0, "a"), (30, "a")]


@pytest.mark.parametrize(
    ("wake", "seconds"),
    [
        (NOON - timedelta(days=1), 0),
        (NOON + timedelta(seconds=7), 7),
        (NOON + timedelta(days=400), 3600),
    ],
)
def test_no_sleep_is_negative_or_longer_than_an_hour(wake: datetime, seconds: float) -> None:
    assert seconds_until(wake, NOON) == seconds


async def test_nothing_is_taken_before_all_is_ready() -> None:
    gate_opens = asyncio.Event()
    calls: list[float] = []

    async def reconcile(key: str) -> Wake:
        calls.append(_now())
        return None

    queue: WorkQueue[str] = WorkQueue("test")
    runner = Runner("test", queue, reconcile)
    running = asyncio.create_task(runner.run(gate_opens.wait()))
    queue.add("a")
    await asyncio.sleep(50)
    assert calls == []
    gate_opens.set()
    await asyncio.sleep(1)
    assert calls == [50]
    assert await runner.stop(within=1)
    await running


async def test_a_refused_request_backs_off_and_success_forgets() -> None:
    errors = [Conflict("PUT /x", 409, Status()), TooManyRequests("PUT /x", 429, Status(), retry_after=9)]

    async def script(key: str) -> Wake:
        if errors:
            raise errors.pop(0)
        return None

    async with _running(script) as bench:
        bench.queue.add("a")
        await asyncio.sleep(60)
        assert [at for at, _ in bench.calls] == pytest.approx([0, 0.005, 9.005])
        errors.append(Conflict("PUT /x", 409, Status()))
        bench.queue.add("a")
        await asyncio.sleep(1)
        assert bench.calls[-1][0] - bench.calls[-2][0] == pytest.approx(0.005)


async def test_a_bug_in_one_key_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def script(key: str) -> Wake:
        if key == "bad":
            raise KeyError("bug")
        return None

    async with _running(script, workers=1) as bench:
        bench.queue.add("bad")
        bench.queue.add("good")
        await asyncio.sleep(0.001)
        assert bench.calls == [(0, "bad"), (0, "good")]
        assert "KeyError: 'bug'" in caplog.text
        await asyncio.sleep(1e4)
        # Doubling from 5 ms to 5 min: they do not stop, and are few.
        assert 40 < len(bench.calls) < 60


async def test_a_reconcile_that_hangs_is_ended_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def script(key: str) -> Wake:
        await asyncio.sleep(1e9 if len(bench.calls) == 1 else 0)
        return None

    async with _running(script, timeout=60) as bench:
        bench.queue.add("a")
        await asyncio.sleep(100)
        assert bench.calls == [(0, "a"), (60.005, "a")]
        assert "a did not end within 60 s" in caplog.text


async def test_a_key_is_never_worked_on_twice_at_once() -> None:
    active: set[str] = set()

    async def script(key: str) -> Wake:
        assert key not in active
        active.add(key)
        await asyncio.sleep(1)
        active.discard(key)
        return None

    async with _running(script, workers=4) as bench:
        for _ in range(50):
            bench.queue.add("a")
            bench.queue.add("b")
            await asyncio.sleep(0.3)
        await asyncio.sleep(5)
        assert len(bench.calls) == 32


async def test_stopping_finishes_what_is_active_and_takes_no_more() -> None:
    ended: list[str] = []

    async def script(key: str) -> Wake:
        await asyncio.sleep(5)
        ended.append(key)
        return None

    async with _running(script, workers=1) as bench:
        bench.queue.add("a")
        bench.queue.add("b")
        await asyncio.sleep(1)
        assert await bench.runner.stop(within=10)
        assert (ended, _now()) == (["a"], 5)


async def test_stopping_cancels_what_takes_too_long(caplog: pytest.LogCaptureFixture) -> None:
    async def script(key: str) -> Wake:
        await asyncio.sleep(1e9)
        return None

    caplog.set_level(logging.WARNING)
    async with _running(script, timeout=1e8) as bench:
        bench.queue.add("a")
        await asyncio.sleep(1)
        assert not await bench.runner.stop(within=10)
        assert _now() == 11
        assert "1 reconciles did not end" in caplog.text


async def test_an_own_write_is_waited_for_and_the_cache_wakes() -> None:
    gate = WriteGate(patience=30)
    store: Store[Thing] = Store(THINGS)
    store.apply(Relisted((), "10"))
    gate.follow(THINGS, store.cache, lambda: None)

    async def script(key: str) -> Wake:
        gate.note(key, THINGS, "11")
        return None

    async with _running(script, gate=gate) as bench:
        bench.queue.add("a")
        await asyncio.sleep(1)
        for _ in range(100):
            bench.queue.add("a")
            await asyncio.sleep(0.1)
        assert bench.calls == [(0, "a")]
        store.apply(Bookmark("11"))
        gate.observed()
        await asyncio.sleep(0.1)
        assert [at for at, _ in bench.calls] == pytest.approx([0, 11])


async def test_a_cache_that_does_not_catch_up_is_listed_anew() -> None:
    gate = WriteGate(patience=30)
    store: Store[Thing] = Store(THINGS)
    store.apply(Relisted((), "10"))
    demanded: list[float] = []
    gate.follow(THINGS, store.cache, lambda: demanded.append(_now()))
    gate.note("a", THINGS, "900")

    async def script(key: str) -> Wake:
        return None

    async with _running(script, gate=gate) as bench:
        bench.queue.add("a")
        await asyncio.sleep(29)
        bench.queue.add("a")
        await asyncio.sleep(40)
        assert (demanded, bench.calls) == ([30, 60], [])
        # etcd was restored: the version that we wrote does not exist any more.
        store.apply(Relisted((thing("b", 5),), "20"))
        gate.relisted(THINGS)
        gate.observed()
        await asyncio.sleep(0.1)
        assert bench.calls == [(69, "a")]


async def test_rounds_that_never_wait_let_other_tasks_run_between_them() -> None:
    seen: list[int] = []

    async def script(key: str) -> Wake:
        return None

    async def other() -> None:
        while len(bench.calls) < 1000:
            seen.append(len(bench.calls))
            await asyncio.sleep(0)

    async with _running(script, workers=4) as bench:
        for number in range(1000):
            bench.queue.add(str(number))
        await other()
        assert len(seen) > 200
