"""The process node for the tests of what only it can do."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.cluster.contract.on_process_node import OnProcessNode, on_process_node


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def on_node() -> AsyncIterator[OnProcessNode]:
    """A cluster of its own with one process node."""
    async with on_process_node() as found:
        yield found
