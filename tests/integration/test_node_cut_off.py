"""A node that is cut off in mid-run and stays in the list: its worker works on, and nobody waits for it."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from tests.cluster.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.cluster.lab import Lab, worker_node
from tests.cluster.node.node import ProcessNode
from tests.integration.faults import before_store, gone, other_controller, within
from tests.integration.hold_proxy import DELETION, PART
from tests.integration.scene import JSON, Scene, why

pytestmark = pytest.mark.integration

LEAVES_AT_ONCE = [
    {
        "key": "node.kubernetes.io/unreachable",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 0,
    }
]
"""Else a pod stays for five minutes on a node of which nothing is heard."""

IMPATIENT = (
    *(sys.executable, "-c"),
    "from datetime import timedelta\n"
    "from tidbbackup.decide.run import diagnosis\n"
    "diagnosis._LOST_AFTER = timedelta(seconds=-25)\n"
    "from tidbbackup.cli import main\n"
    "main()",
)
"""The program, for which a pod is out of reach in the middle of its grace of 30 s, not five minutes after."""


@asynccontextmanager
async def second_node(lab: Lab, name: str) -> AsyncIterator[tuple[ProcessNode, FaultProxy]]:
    """Another node, of a name not used yet, and its way to the API server. It alone takes pods."""
    at, tls = urlsplit(lab.plane.url), ssl.create_default_context(cafile=lab.plane.ca)
    async with (
        fault_proxy(str(at.hostname), int(at.port or 443), upstream_tls=tls) as proxy,
        worker_node(lab.plane, name, f"http://{proxy.host}:{proxy.port}") as node,
    ):
        await lab.plane.kubectl_run("cordon", "node-1")
        try:
            yield node, proxy
        finally:
            await lab.plane.kubectl_run("uncordon", "node-1")
    await lab.plane.api.delete(f"/api/v1/nodes/{name}")


async def cut_off(lab: Lab, way: FaultProxy, name: str) -> None:
    """Nothing is heard of the node any more. The control plane would see that within the better part of a
    minute; what it writes then is written at once."""
    way.faults.append(Fault(status=503, times=None))
    way.reset_open()
    await lab.plane.kubectl_run("uncordon", "node-1")
    path = f"/api/v1/nodes/{name}"
    told = (await lab.plane.api.get(path))["status"]["conditions"]
    unknown = [each | {"status": "Unknown", "reason": "NodeStatusUnknown"} for each in told]
    await lab.plane.api.patch(f"{path}/status", {"status": {"conditions": unknown}})


async def until_it_is_to_go(scene: Scene, name: str, seconds: float = 30) -> JSON:
    """Wait until the pod is being deleted."""
    async with asyncio.timeout(seconds):
        while True:
            (pod,) = [each for each in await scene.pods() if each["metadata"]["name"] == name]
            if "deletionTimestamp" in pod["metadata"]:
                return pod
            await asyncio.sleep(0.1)


async def test_the_backup_fails_and_goes_and_what_its_worker_still_does_comes_to_nothing(
    scene: Scene,
) -> None:
    lab = scene.lab
    async with (
        other_controller(lab, program=IMPATIENT),
        before_store(lab, PART) as proxy,
        second_node(lab, "node-a") as (node, way),
    ):
        await scene.apply(
            scene.backup(s3={"endpoint": proxy.url}, tolerations=LEAVES_AT_ONCE, cleanPolicy="Delete")
        )
        await within(proxy.reached)
        name = await scene.running_pod()
        await cut_off(lab, way, "node-a")
        await until_it_is_to_go(scene, name)

        reason, message = why(await scene.until_phase("Failed"))
        assert reason == "NodeLost"
        assert f"nothing is heard of pod {name}" in message
        assert "kubectl delete node node-a" in message
        assert len(await lab.store.uploads(scene.bucket)) == 1

        # As the controller itself deletes it: until the node is back, it keeps its name.
        await scene.kubectl("delete", "job", "backup-bk", "--cascade=foreground", "--wait=false")
        await scene.kubectl("delete", "backup", "bk", "--timeout=60s")
        assert "node node-a is lost" in await scene.until_said("NodeLost")
        assert await lab.store.uploads(scene.bucket) == []
        (pod,) = await scene.pods()
        assert (pod["metadata"]["name"], pod["status"]["phase"]) == (name, "Running")

        # It lives, and goes on.
        worker, *_ = node.pids(scene.namespace, name)
        proxy.release()
        await gone(worker, seconds=60)
        log = node.log(scene.namespace, name, "backup")
        assert "NoSuchUpload" in log, log
        assert await scene.objects() == {}
        assert await lab.store.uploads(scene.bucket) == []

        # Nor does it wait for the node, made again under its old name.
        (job,) = [each for each in await scene.jobs() if each["metadata"]["name"] == "backup-bk"]
        assert job["metadata"]["finalizers"] == ["foregroundDeletion"]
        await scene.apply(scene.backup())
        await scene.until_phase("Complete")
        await scene.delete()
        await scene.until_gone()
        way.faults.clear()
        await scene.until_no_job()


async def test_a_cleaning_there_is_let_go_of(scene: Scene) -> None:
    """Deleted with its pods, its Job would hold its name, and the Backup, for as long as the node is away."""
    lab = scene.lab
    async with other_controller(lab, program=IMPATIENT), before_store(lab, DELETION) as proxy:
        spec: JSON = {"tolerations": LEAVES_AT_ONCE, "cleanPolicy": "Delete"}
        await scene.apply(scene.backup(s3={"endpoint": proxy.url}, **spec))
        await scene.until_phase("Complete")
        async with second_node(lab, "node-b") as (node, way):
            await scene.delete()
            await within(proxy.reached)
            await cut_off(lab, way, "node-b")
            retain = '-p={"spec":{"cleanPolicy":"Retain"}}'
            await scene.kubectl("patch", "backup", "bk", "--type=merge", retain)
            await scene.until_gone()

            (pod,) = await scene.pods("aftermath")
            assert pod["spec"]["nodeName"] == "node-b"
            assert len(await scene.objects()) == 2
            node.kill(scene.namespace, pod["metadata"]["name"])
            way.faults.clear()
            await scene.until_no_job()
