"""Tasks that work until they are told to stop: whoever ends before is named, and the others end too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tidbbackup.kube.tasks import TaskEnded, supervise


async def for_ever() -> None:
    """Works."""
    await asyncio.Event().wait()


async def returns() -> None:
    """Is done with it."""


async def raises() -> None:
    """Breaks."""
    raise ValueError("broken")


async def is_cancelled() -> None:
    """Somebody else has cancelled it."""
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("work", "how"),
    [
        (returns, "task it has ended unexpectedly: it returned"),
        (raises, "task it has ended unexpectedly: it raised ValueError: broken"),
        (is_cancelled, "task it has ended unexpectedly: it was cancelled"),
    ],
)
async def test_one_that_ends_ends_all(work: Callable[[], Coroutine[Any, Any, None]], how: str) -> None:
    others = [asyncio.create_task(for_ever()), asyncio.create_task(for_ever())]
    ending = asyncio.create_task(work(), name="it")

    with pytest.raises(TaskEnded) as ended:
        await supervise([*others, ending], lambda: False)

    assert str(ended.value) == how
    assert all(task.cancelled() for task in others)


async def test_the_name_of_the_first_is_not_lost_on_the_way_up() -> None:
    async def inner() -> None:
        await supervise([asyncio.create_task(returns(), name="inner")], lambda: False)

    with pytest.raises(TaskEnded, match="task inner has ended"):
        await supervise([asyncio.create_task(inner(), name="outer")], lambda: False)


async def test_all_may_end_once_they_are_told_to_stop() -> None:
    await supervise([asyncio.create_task(returns()), asyncio.create_task(raises())], lambda: True)


async def test_whoever_is_cancelled_takes_them_along() -> None:
    working = asyncio.create_task(for_ever())
    supervising = asyncio.create_task(supervise([working], lambda: False))
    await asyncio.sleep(0)
    supervising.cancel()
    with pytest.raises(asyncio.CancelledError):
        await supervising
    assert working.cancelled()
