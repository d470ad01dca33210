"""Time in a VirtualLoop passes only where all wait, and then at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.simulation.loop import Stuck, VirtualLoop


def play(work: object) -> None:
    """Runs it to its end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)  # type: ignore[arg-type]


def test_a_day_takes_no_time_and_tasks_wake_in_order() -> None:
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((name, round(asyncio.get_running_loop().time(), 6)))

    async def all_of_them() -> None:
        await asyncio.gather(sleep("b", 86400.0), sleep("a", 0.1 + 0.2), sleep("0", 0.0))

    began = time.process_time()
    play(all_of_them())
    assert woken == [("0", 0.0), ("a", 0.3), ("b", 86400.0)]
    assert time.process_time() - began < 10


@pytest.mark.parametrize("seconds", [None, 0.0])
def test_tasks_that_get_nowhere_are_told(seconds: float | None) -> None:
    async def get_nowhere() -> None:
        if seconds is None:
            await asyncio.get_running_loop().create_future()
        while True:  # noqa: ASYNC110  it is to go round
            await asyncio.sleep(0.0)

    with pytest.raises(Stuck):
        play(get_nowhere())
