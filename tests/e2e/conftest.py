"""One installation for all end-to-end tests; each takes a site of its own."""

import inspect
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.real.required import require_whole_node
from tests.e2e.installation import Installation, Site, installation
from tests.side_by_side import marked, side_by_side


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that have the installation for themselves come after those that run side by side."""
    here = [number for number, item in enumerate(items) if item.path.is_relative_to(Path(__file__).parent)]
    ordered = sorted((items[number] for number in here), key=_alone)
    for number, item in zip(here, ordered, strict=True):
        items[number] = item


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("side_by_side") is None


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def installed(request: pytest.FixtureRequest) -> AsyncIterator[Installation]:
    """The product, installed on a whole node."""
    require_whole_node()
    async with installation() as found:

        async def given(item: pytest.Function) -> Mapping[str, Any]:
            arguments: dict[str, Any] = {"installed": found}
            if "site" in inspect.signature(item.obj).parameters:
                arguments["site"] = await found.site(name_after(item))
            return {
                name: arguments[name] for name in inspect.signature(item.obj).parameters if name in arguments
            }

        async with side_by_side(marked(request), given, at_once=8):
            yield found


@pytest_asyncio.fixture(loop_scope="session")
async def site(installed: Installation, request: pytest.FixtureRequest) -> Site:
    """A namespace, and an S3 server with a bucket, named after the test."""
    return await installed.site(name_after(request.node))


def name_after(test: pytest.Item) -> str:
    """The test's name as a namespace and a bucket may be called."""
    words = re.sub(r"[^a-z0-9]+", "-", test.name.lower()).removeprefix("test-")
    return words[:50].strip("-")
