"""The nodes that the contract is checked on, each with a cluster of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.real.required import require_whole_node

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
    if request.param == "kubelet":
        require_whole_node()
        async with on_kubelet() as subject:
            yield subject
        return
    assert request.param == "process", request.param
    async with on_process_node() as found:
        yield found.subject
