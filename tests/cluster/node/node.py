"""The process node: a Node of a real control plane whose pods are local processes."""

import asyncio
import logging
import random
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

from attrs import define, field

from tests.cluster.api import JSON, connect
from tests.cluster.processes import Processes

from .binding import Bound, Forgotten, Listed, News, bound_pods
from .container import Container
from .heartbeat import Heartbeat
from .images import Images
from .pod import NodeParts, PodLife

HOST_IP = "127.0.0.1"
ALLOCATABLE = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "500Gi", "pods": "1000"}

_log = logging.getLogger(__name__)


def pod_addresses(start: int) -> Iterator[str]:
    """Addresses of 127.0.0.0/8 from a starting point on, never the host's own network 127.0.0.0/24."""
    network, size = int(IPv4Address("127.0.1.0")), 2**24 - 512
    offset = start
    while True:
        yield str(IPv4Address(network + offset % size))
        offset += 1


@define(eq=False)
class ProcessNode:
    """A running process node, and what a test may do to its pods. Names are namespace and pod name."""

    name: str
    _parts: NodeParts
    _heartbeat: Heartbeat
    # Drawn, so that the nodes of clusters side by side do not meet on the same address and port.
    _addresses: Iterator[str] = field(factory=lambda: pod_addresses(random.randrange(2**24)))
    _lives: dict[str, PodLife] = field(factory=dict)
    _tasks: dict[str, asyncio.Task[None]] = field(factory=dict)
    _seen: dict[tuple[str, str], PodLife] = field(factory=dict)
    _failures: list[BaseException] = field(factory=list)

    def pids(self, namespace: str, pod: str) -> list[int]:
        """The living processes of a pod; of each container the main process comes first."""
        return [pid for container in self._containers(namespace, pod) for pid in container.pids()]

    def log(self, namespace: str, pod: str, container: str) -> str:
        """What a container has printed so far, also after its pod is gone; empty if it never ran."""
        path = self._life(namespace, pod).logs / f"{container}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self, namespace: str, pod: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal the main process of each running container, behind the API server's back."""
        for container in self._containers(namespace, pod):
            container.signal_main(number)

    def oom_kill(self, namespace: str, pod: str) -> None:
        """End the running containers as the kernel does when memory is short: OOMKilled, 137."""
        for container in self._containers(namespace, pod):
            if container.pids():
                container.oom_killed = True
                container.kill()

    def evict(self, namespace: str, pod: str, message: str) -> None:
        """Evict a pod as the kubelet does: phase Failed, reason Evicted, this message."""
        self._life(namespace, pod).evict(message)

    def set_ready(self, ready: bool) -> None:
        """False: the node says NotReady and renews its Lease no more. Its pods run on."""
        self._heartbeat.set_ready(ready)

    def add_image(self, name: str, entrypoint: Sequence[str] = ()) -> None:
        """From now on the node has this image; `entrypoint` runs where a container has no command."""
        self._parts.images.add(name, entrypoint)

    def _life(self, namespace: str, pod: str) -> PodLife:
        if (namespace, pod) not in self._seen:
            raise LookupError(f"node {self.name} has not run a pod {namespace}/{pod}")
        return self._seen[namespace, pod]

    def _containers(self, namespace: str, pod: str) -> list[Container]:
        return self._life(namespace, pod).containers

    async def follow_bindings(self) -> None:
        """Take what is bound to the node and pass on what becomes of it, for ever."""
        async with aclosing(bound_pods(self._parts.api, self.name)) as stream:
            async for news in stream:
                self._hear(news)

    def _hear(self, news: News) -> None:
        match news:
            case Bound(pod):
                self._update(pod)
            case Forgotten(uid):
                self._forget(uid)
            case Listed(pods):
                for uid in set(self._lives) - {pod["metadata"]["uid"] for pod in pods}:
                    self._forget(uid)
                for pod in pods:
                    self._update(pod)

    def _update(self, pod: JSON) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._lives:
            self._lives[uid].update(pod)
            return
        # A pod that an earlier node of this name ran keeps its address: the API takes no second one.
        address = pod.get("status", {}).get("podIP") or next(self._addresses)
        life = PodLife(self._parts, pod, address)
        self._lives[uid] = life
        self._seen[pod["metadata"]["namespace"], pod["metadata"]["name"]] = life
        self._tasks[uid] = asyncio.create_task(life.run(), name=f"pod {uid}")
        self._tasks[uid].add_done_callback(lambda task: self._ended(uid, task))

    def _forget(self, uid: str) -> None:
        if uid in self._lives:
            self._lives.pop(uid).gone()

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(uid, None)
        if not task.cancelled() and (error := task.exception()):
            _log.error("pod %s: the process node failed", uid, exc_info=error)
            self._failures.append(error)

    async def close(self) -> None:
        """Kill all pods without a word to the API server, as a machine that loses its power.

        Raises what went wrong inside the node meanwhile: that is a fault of the node, not of a pod.
        """
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._failures:
            raise BaseExceptionGroup(f"process node {self.name}", self._failures)


@asynccontextmanager
async def process_node(
    *,
    url: str,
    ca: Path,
    token: str,
    processes: Processes,
    search_path: str,
    name: str = "node-1",
    allocatable: Mapping[str, str] = ALLOCATABLE,
) -> AsyncIterator[ProcessNode]:
    """A node, registered, ready and without taints, until the end of the block.

    `processes` owns what the pods run and gives the folder for their files; `search_path` is the PATH of
    containers that set none. Raises TimeoutError when the control plane does not accept the node.
    """
    async with connect(url, ca, token) as api:
        parts = NodeParts(
            api=api,
            processes=processes,
            images=Images(),
            node=name,
            host_ip=HOST_IP,
            folder=processes.folder / "nodes" / name,
            search_path=search_path,
            allocatable=allocatable,
        )
        heartbeat = Heartbeat(api, name, HOST_IP, allocatable)
        await heartbeat.register()
        node = ProcessNode(name, parts, heartbeat)
        duties = [asyncio.create_task(each) for each in (heartbeat.run(), node.follow_bindings())]
        try:
            yield node
        finally:
            crashed = [task for task in duties if task.done()]
            for task in duties:
                task.cancel()
            await asyncio.gather(*duties, return_exceptions=True)
            await node.close()
            for task in crashed:
                task.result()
