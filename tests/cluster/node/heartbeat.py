"""The Node object and its Lease: registers, and keeps both fresh. Knows no pod."""

import asyncio
import contextlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime

from attrs import define, field

from tests.cluster.api import JSON, Api, ApiRefused

from .calls import get_if_there, merge_lists, persist
from .status import rfc3339

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_BEAT_SECONDS = 3.0
_LEASE_SECONDS = 40
_TAINT_POLL_SECONDS = 0.1
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def node_document(name: str) -> JSON:
    """The Node to create."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/os": "linux",
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}}


def node_status(
    name: str, host_ip: str, allocatable: Mapping[str, str], *, ready: bool, before: JSON, now: datetime
) -> JSON:
    """The status of the Node; conditions keep their times unless they change."""
    conditions = [
        _condition("Ready", ready, "KubeletReady" if ready else "KubeletNotReady", before, now),
        *(
            _condition(f"{what}Pressure", False, f"KubeletHasSufficient{what}", before, now)
            for what in ("Memory", "Disk", "PID")
        ),
    ]
    return {
        "capacity": dict(allocatable),
        "allocatable": dict(allocatable),
        "conditions": conditions,
        "addresses": [
            {"type": "InternalIP", "address": host_ip},
            {"type": "Hostname", "address": name},
        ],
        "nodeInfo": {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "operatingSystem": "linux",
            "osImage": "process node",
            "kernelVersion": platform.release(),
            "containerRuntimeVersion": "process://1",
            "kubeletVersion": "v1.34.4-process-node",
            "kubeProxyVersion": "",
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
        },
    }


def _condition(kind: str, value: bool, reason: str, before: JSON, now: datetime) -> JSON:
    status = "True" if value else "False"
    old = next((each for each in before.get("conditions", ()) if each["type"] == kind), None)
    since = old["lastTransitionTime"] if old and old["status"] == status else rfc3339(now)
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "",
        "lastHeartbeatTime": rfc3339(now),
        "lastTransitionTime": since,
    }


def lease_document(name: str, uid: str, now: datetime) -> JSON:
    """The Lease that says the node lives."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


@define(eq=False)
class Heartbeat:
    """Keeps one Node registered. `set_ready(False)` makes it NotReady and silent."""

    api: Api
    name: str
    host_ip: str
    allocatable: Mapping[str, str]
    _ready: bool = True
    _changed: asyncio.Event = field(factory=asyncio.Event)

    @property
    def _path(self) -> str:
        return f"/api/v1/nodes/{self.name}"

    def set_ready(self, ready: bool) -> None:
        """Say now what the node is; while it is not ready its Lease is not renewed."""
        self._ready = ready
        self._changed.set()

    async def register(self, timeout: float = 30.0) -> None:
        """Create the Node and wait until it is ready and without taints. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            with contextlib.suppress(ApiRefused):  # 409: a node of this name was here before
                await persist("Node", lambda: self.api.create("/api/v1/nodes", node_document(self.name)))
            await persist("Node status", self._beat)
            await self._untainted()

    async def run(self) -> None:
        """Beat for ever; cancel it to stop."""
        silent = False
        while True:
            if self._ready or not silent:
                await persist("heartbeat", self._beat)
            silent = not self._ready
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _BEAT_SECONDS)

    async def _untainted(self) -> None:
        while True:
            if not (await self._node())["spec"].get("taints"):
                return
            await asyncio.sleep(_TAINT_POLL_SECONDS)

    async def _node(self) -> JSON:
        node = await get_if_there(self.api, self._path)
        # Deleted by somebody: a kubelet does not come back from that either, but a test should know why.
        assert node is not None, f"node {self.name} is gone from the API"
        return node

    async def _beat(self) -> None:
        node, ready, now = await self._node(), self._ready, datetime.now(UTC)
        if ready:
            await self._renew_lease(node["metadata"]["uid"], now)
        status = node_status(
            self.name, self.host_ip, self.allocatable, ready=ready, before=node.get("status", {}), now=now
        )
        await merge_lists(self.api, f"{self._path}/status", {"status": status})

    async def _renew_lease(self, uid: str, now: datetime) -> None:
        lease = lease_document(self.name, uid, now)
        try:
            await self.api.patch(f"{_LEASES}/{self.name}", lease)
        except ApiRefused as error:
            if error.status != 404:
                raise
            # The namespace may not be there yet when the API server is young: the next beat tries again.
            with contextlib.suppress(ApiRefused):
                await self.api.create(_LEASES, lease)
