"""Tests that wait more than they work, begun together: each is then asked for its own end.

Whoever is marked `side_by_side` stays a test like any other, that passes or fails by itself. It must leave
alone what the others use. Knows no cluster.
"""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

Test = Callable[..., Coroutine[Any, Any, None]]
Given = Callable[[pytest.Function], Awaitable[Mapping[str, Any]]]


def marked(request: pytest.FixtureRequest) -> list[pytest.Function]:
    """The selected tests with the mark that use the fixture which is being made, with its parameter."""
    wanted = getattr(request, "param", None)
    return [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.get_closest_marker("side_by_side")
        and request.fixturename in item.fixturenames
        and _parameters(item).get(request.fixturename) == wanted
    ]


@asynccontextmanager
async def side_by_side(tests: Iterable[pytest.Function], given: Given, at_once: int) -> AsyncIterator[None]:
    """Begin async tests, never more than `at_once`, those that wait longest first.

    `given` makes a test's arguments but those it is parametrized with. What nobody has asked for is cancelled
    at the end. To be used by the fixture that the tests share, in the loop they run in.
    """
    room = asyncio.Semaphore(at_once)

    async def run(item: pytest.Function, test: Test) -> None:
        async with room:
            await test(**{**_own_parameters(item, test), **await given(item)})

    begun = []
    for item in sorted(tests, key=_waits, reverse=True):
        task = asyncio.create_task(run(item, item.obj), name=item.name)
        item.obj = _end_of(task, item.obj)
        begun.append(task)
    try:
        yield
    finally:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)


def _end_of(task: "asyncio.Task[None]", test: Test) -> Test:
    """In place of a test that has been begun: its end. What pytest has made for it meanwhile is not used."""

    @functools.wraps(test)
    async def end(**_: Any) -> None:
        await task

    return end


def _waits(item: pytest.Function) -> float:
    """About how many seconds a test waits, as it says itself: `side_by_side(waits=10)`."""
    marker = item.get_closest_marker("side_by_side")
    return float(marker.kwargs.get("waits", 0)) if marker else 0.0


def _parameters(item: pytest.Function) -> Mapping[str, Any]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec else {}


def _own_parameters(item: pytest.Function, test: Test) -> dict[str, Any]:
    names = inspect.signature(test).parameters
    return {name: value for name, value in _parameters(item).items() if name in names}
