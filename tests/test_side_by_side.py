"""Tests that are begun together: what each of them is told, and what not."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.side_by_side import side_by_side

Test = Callable[..., Coroutine[Any, Any, None]]


def item(test: Test, seconds: float = 0, **parameters: object) -> pytest.Function:
    """What pytest has collected, as far as it is looked at."""
    marker = pytest.mark.side_by_side(waits=seconds).mark
    seen = SimpleNamespace(
        name=test.__name__,
        obj=test,
        callspec=SimpleNamespace(params=parameters),
        get_closest_marker=lambda _: marker,
    )
    return cast(pytest.Function, seen)


async def nothing(_: pytest.Function) -> Mapping[str, Any]:
    """No arguments."""
    return {}


async def test_they_run_together() -> None:
    met = asyncio.Barrier(2)

    async def meets() -> None:
        await met.wait()

    items = [item(meets), item(meets)]
    async with side_by_side(items, nothing, at_once=2):
        for each in items:
            await each.obj()


async def test_each_has_its_own_end() -> None:
    async def fails() -> None:
        raise AssertionError("on purpose")

    async def passes() -> None:
        pass

    failing, passing = item(fails), item(passes)
    async with side_by_side([failing, passing], nothing, at_once=1):
        await passing.obj()
        with pytest.raises(AssertionError, match="on purpose"):
            await failing.obj()


async def test_what_pytest_gives_is_replaced_and_parameters_stay() -> None:
    told: dict[str, object] = {}

    async def test(number: int, shared: str) -> None:
        told.update(number=number, shared=shared)

    async def given(_: pytest.Function) -> Mapping[str, Any]:
        return {"shared": "of all"}

    one = item(test, number=1, shared="a parameter of the fixture", other="not of this test")
    async with side_by_side([one], given, at_once=1):
        await one.obj(number=1, shared="pytest's")
    assert told == {"number": 1, "shared": "of all"}


async def test_no_more_than_so_many_and_the_slow_first() -> None:
    order: list[float] = []
    running = 0

    async def test(waits: float) -> None:
        nonlocal running
        running += 1
        assert running <= 2
        order.append(waits)
        await asyncio.sleep(0)
        running -= 1

    items = [item(test, waits, waits=waits) for waits in (0, 1, 3, 2)]
    async with side_by_side(items, nothing, at_once=2):
        for each in items:
            await each.obj()
    assert order == [3, 2, 1, 0]


async def test_nobody_asked_for_it_so_it_is_cancelled() -> None:
    cancelled = False

    async def test() -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    async with side_by_side([item(test)], nothing, at_once=1):
        await asyncio.sleep(0)
    assert cancelled
