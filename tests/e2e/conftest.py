"""One installation for all end-to-end tests; each takes a site of its own."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.real.required import require_whole_node
from tests.e2e.installation import Installation, Site, installation


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def installed() -> AsyncIterator[Installation]:
    """The product, installed on a whole node."""
    require_whole_node()
    async with installation() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def site(installed: Installation, request: pytest.FixtureRequest) -> Site:
    """A namespace and a bucket named after the test."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).removeprefix("test-")
    return await installed.site(words[:50].strip("-"))
