"""The nodes that the contract is checked on, each with a cluster of its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from tests.cluster.real.required import require_whole_node
from tests.side_by_side import marked, side_by_side

from .on_kubelet import on_kubelet
from .on_process_node import on_process_node
from .subject import NodeUnderTest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs on the real kubelet."""
    for item in items:
        # Every test here is parametrized by its node, and only such tests have a callspec.
        callspec = getattr(item, "callspec", None)
        if callspec is not None and callspec.params.get("node_under_test") == "kubelet":
            item.add_marker("e2e")


@pytest_asyncio.fixture(scope="package", loop_scope="session", params=["process", "kubelet"])
async def node_under_test(request: pytest.FixtureRequest) -> AsyncIterator[NodeUnderTest]:
    """A ready node with volumes of StorageClass local-storage, and the namespace of the contract."""
    async with _NODES[request.param]() as subject:

        async def given(_: pytest.Function) -> Mapping[str, NodeUnderTest]:
            return {"node_under_test": subject}

        # A pod takes seconds and little work; with more of them each would take longer than its test allows.
        async with side_by_side(marked(request), given, at_once=8):
            yield subject


@asynccontextmanager
async def _process() -> AsyncIterator[NodeUnderTest]:
    async with on_process_node() as found:
        yield found.subject


@asynccontextmanager
async def _kubelet() -> AsyncIterator[NodeUnderTest]:
    require_whole_node()
    async with on_kubelet() as subject:
        yield subject


_NODES = {"process": _process, "kubelet": _kubelet}
