"""A cluster with one process node, ready for the pods of the contract."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import frozen

from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.node.node import ProcessNode, process_node

from .subject import NAMESPACE, NodeUnderTest

NODE = "contract-node"


@frozen(eq=False)
class OnProcessNode:
    """The node as the contract sees it, and the parts behind it."""

    subject: NodeUnderTest
    node: ProcessNode
    plane: ControlPlane


@asynccontextmanager
async def on_process_node() -> AsyncIterator[OnProcessNode]:
    """A control plane of its own, a process node, a few volumes, the namespace of the contract."""
    async with control_plane() as plane:
        await plane.add_local_volumes(NODE, count=4)
        async with process_node(
            url=plane.url,
            ca=plane.ca,
            token=plane.token,
            processes=plane.processes,
            search_path=os.environ["PATH"],
            name=NODE,
        ) as node:
            await plane.kubectl_run("create", "namespace", NAMESPACE)
            # No pod can be created before the namespace has its account.
            account = ("serviceaccount/default", "--namespace", NAMESPACE)
            await plane.kubectl_run("wait", "--for=create", *account, "--timeout=15s")
            subject = NodeUnderTest(plane.api, NODE, image="contract.test/python:1")
            yield OnProcessNode(subject, node, plane)
