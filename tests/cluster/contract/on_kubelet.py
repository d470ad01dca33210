"""A cluster with one whole node, real kubelet and containerd, ready for the pods of the contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.cluster.real import image
from tests.cluster.real.node import whole_node

from .subject import NAMESPACE, NodeUnderTest

NODE = "contract-kubelet"


@asynccontextmanager
async def on_kubelet() -> AsyncIterator[NodeUnderTest]:
    """A cluster of its own, a few volumes, the namespace of the contract."""
    async with whole_node(NODE, volumes=4) as node:
        await node.plane.kubectl_run("create", "namespace", NAMESPACE)
        # No pod can be created before the namespace has its account.
        account = ("serviceaccount/default", "--namespace", NAMESPACE)
        await node.plane.kubectl_run("wait", "--for=create", *account, "--timeout=15s")
        yield NodeUnderTest(node.plane.api, NODE, image=image.AS_ROOT.name)
