"""The work queue on a virtual clock."""

from __future__ import annotations

import asyncio
import random
from typing import cast

import pytest
from attrs import define, field

from tidbbackup.kube.metrics import QueueMetrics
from tidbbackup.kube.queue import QueueStats, WorkQueue

pytestmark = pytest.mark.looptime


@define
class Counted:
    """Keeps what a queue says."""

    adds: int = 0
    retries: int = 0
    waits: list[float] = field(factory=list)
    works: list[float] = field(factory=list)

    def added(self) -> None:
        """See QueueMetrics."""
        self.adds += 1

    def retried(self) -> None:
        """See QueueMetrics."""
        self.retries += 1

    def waited(self, seconds: float) -> None:
        """See QueueMetrics."""
        self.waits.append(seconds)

    def worked(self, seconds: float) -> None:
        """See QueueMetrics."""
        self.works.append(seconds)


def _queue(metrics: Counted | None = None) -> WorkQueue[str]:
    return WorkQueue("test", metrics=cast(QueueMetrics, metrics or Counted()), jitter=lambda: 0.0)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_key_is_taken_when_it_is_due() -> None:
    queue = _queue()
    queue.add("later", after=10)
    queue.add("now")
    assert (await queue.take(), _now()) == ("now", 0)
    assert (await queue.take(), _now()) == ("later", 10)


async def test_the_earliest_wish_counts_also_while_someone_waits_for_the_later() -> None:
    queue = _queue()
    queue.add("a", after=100)
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(5)
    queue.add("a", after=1)
    assert (await taking, _now()) == ("a", 6)
    queue.done("a")
    assert queue.stats().depth == 0


async def test_a_key_added_during_its_work_comes_again_after_it() -> None:
    queue = _queue()
    queue.add("a")
    await queue.take()
    queue.add("a")
    other = asyncio.create_task(queue.take())
    await asyncio.sleep(3)
    assert not other.done()
    queue.done("a")
    assert (await other, _now()) == ("a", 3)


async def test_failures_wait_longer_and_longer_until_forgotten() -> None:
    queue = _queue()
    waits = [queue.retry("a") for _ in range(20)]
    assert waits[:4] == [0.005, 0.01, 0.02, 0.04]
    assert waits[-1] == 300
    queue.forget("a")
    assert queue.retry("a") == 0.005
    assert queue.retry("a", at_least=7) == 7


async def test_stopping_wakes_every_taker() -> None:
    queue = _queue()
    takers = [asyncio.create_task(queue.take()) for _ in range(3)]
    await asyncio.sleep(1)
    queue.add("late")
    queue.stop()
    assert await asyncio.gather(*takers) == [None, None, None]
    assert await queue.take() is None


async def test_a_taker_that_is_cancelled_takes_no_key_along() -> None:
    queue = _queue()
    taker = asyncio.create_task(queue.take())
    await asyncio.sleep(1)
    queue.add("a")
    taker.cancel()
    await asyncio.wait([taker])
    assert await queue.take() == "a"


async def test_what_is_measured() -> None:
    counted = Counted()
    queue = _queue(counted)
    queue.add("a")
    queue.add("b", after=2)
    queue.add("c", after=50)
    await asyncio.sleep(5)
    assert queue.stats() == QueueStats(depth=2, unfinished_seconds=0, longest_seconds=0)
    await queue.take()
    await asyncio.sleep(1)
    await queue.take()
    await asyncio.sleep(3)
    assert queue.stats() == QueueStats(depth=0, unfinished_seconds=7, longest_seconds=4)
    queue.done("a")
    queue.done("b")
    queue.retry("b")
    assert counted == Counted(adds=4, retries=1, waits=[5, 4], works=[4, 3])


async def test_many_workers_never_hold_one_key_twice_and_lose_none() -> None:
    chance = random.Random(7)
    queue = _queue()
    active: set[str] = set()
    wanted: dict[str, int] = {}
    seen: dict[str, int] = {}

    async def work() -> None:
        while (key := await queue.take()) is not None:
            assert key not in active
            active.add(key)
            # What is wanted up to now is served by this; what comes later is not.
            seen[key] = wanted[key]
            await asyncio.sleep(chance.random() * 3)
            active.discard(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(5)]
    for number in range(2000):
        key = chance.choice("abcdefgh")
        wanted[key] = number
        queue.add(key, after=0.0)
        await asyncio.sleep(chance.random())
    await asyncio.sleep(100)
    queue.stop()
    await asyncio.gather(*workers)
    assert seen == wanted
