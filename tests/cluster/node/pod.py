"""The life of one pod on the node, from its binding until the API server has forgotten it."""

import asyncio
import contextlib
import shutil
import signal
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from tests.cluster.api import JSON, Api, ApiRefused
from tests.cluster.processes import Processes

from .calls import persist
from .container import Container, Surroundings
from .downward import PodFacts
from .events import Occurrence, Recorder
from .files import MountError
from .images import Images
from .reporter import Reporter
from .sources import PodSources
from .status import PodState, State, Terminated, Verdict, Waiting, pod_status, settled
from .stop import Stop, deadline, stop_wanted, unsupported
from .volumes import Volumes

_MOUNT_RETRY_SECONDS = 1.0
_TERMINAL = ("Succeeded", "Failed")


@frozen(eq=False)
class NodeParts:
    """What the node lends to its pods."""

    api: Api
    processes: Processes
    images: Images
    node: str
    host_ip: str
    folder: Path
    search_path: str
    allocatable: Mapping[str, str]


def pod_path(pod: JSON) -> str:
    """The pod's path in the API."""
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


@define(eq=False)
class PodLife:
    """One pod (by uid). `update` and `gone` bring what the watch says, `run` is its whole life."""

    parts: NodeParts
    pod: JSON
    ip: str
    containers: list[Container] = field(factory=list)
    _state: PodState = field(init=False)
    _reporter: Reporter = field(init=False)
    _recorder: Recorder = field(init=False)
    _news: asyncio.Event = field(factory=asyncio.Event)
    _gone: bool = False
    _halting: bool = False
    _evicted: Verdict | None = None
    _started: datetime = field(factory=lambda: datetime.now(UTC))

    def __attrs_post_init__(self) -> None:
        inits, main = self.pod["spec"].get("initContainers", ()), self.pod["spec"]["containers"]
        reason = "PodInitializing" if inits else "ContainerCreating"
        first: dict[str, State] = {each["name"]: Waiting(reason) for each in (*inits, *main)}
        self._state = PodState(first, self.ip, self.parts.host_ip, self._started)
        self._recorder = Recorder(self.parts.api, self.parts.node, lambda: self.pod)
        uid = self.pod["metadata"]["uid"]
        self._reporter = Reporter(self.parts.api, pod_path(self.pod), uid, self._status)

    @property
    def folder(self) -> Path:
        """The pod's own folder, gone with the pod; its logs stay, see `logs`."""
        return self.parts.folder / "pods" / str(self.pod["metadata"]["uid"])

    @property
    def logs(self) -> Path:
        """What the containers print, kept for `ProcessNode.log` when the pod is gone."""
        return self.parts.folder / "logs" / str(self.pod["metadata"]["uid"])

    def update(self, pod: JSON) -> None:
        """The API server has a newer version of the pod."""
        self.pod = pod
        self._news.set()

    def gone(self) -> None:
        """The API server has the pod no more."""
        self._gone = True
        self._news.set()

    def evict(self, message: str) -> None:
        """End the pod as the kubelet does when the node runs short of something."""
        self._evicted = Verdict("Evicted", message, disruption=True)
        self._news.set()

    async def run(self) -> None:
        """Run the pod, report how it ended, and remove it once it is deleted."""
        writers = [asyncio.create_task(each.run()) for each in (self._reporter, self._recorder)]
        try:
            await self._run_to_end()
            # As the kubelet unmounts: what the pod had of its own goes when nothing runs any more.
            shutil.rmtree(self.folder, ignore_errors=True)
            await self._recorder.written()
            await self._remove_when_deleted()
        finally:
            for task in writers:
                task.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _run_to_end(self) -> None:
        before = self.pod.get("status", {})
        if before.get("phase") in _TERMINAL:
            return
        if verdict := unsupported(self.pod):
            self._state = evolve(self._state, verdict=verdict)
        elif "startTime" not in before:
            await self._live_or_stop()
        # With a startTime an earlier node of this name ran it, and its processes died with that node.
        self._state = settled(self.pod, self._state)
        self._reporter.changed()

    async def _live_or_stop(self) -> None:
        """Live until the end, or until an order to stop is carried out."""
        self._reporter.changed()
        life = asyncio.create_task(self._life())
        order = asyncio.create_task(self._order())
        try:
            await asyncio.wait({life, order}, return_when=asyncio.FIRST_COMPLETED)
            if life.done():
                life.result()
                return
            # Before the first signal: once nothing runs, the next report may be the final one.
            self._state = evolve(self._state, verdict=order.result().verdict)
            await self._halt(life)
        finally:
            for task in (life, order):
                task.cancel()
            for ended in await asyncio.gather(life, order, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended  # a fault of the node's, not of the pod: see ProcessNode.close

    async def _life(self) -> None:
        facts = PodFacts(self.pod, self.ip, self.parts.host_ip, self.parts.allocatable)
        sources = PodSources(self.parts.api, self.pod)
        folders = await self._set_up(Volumes(self.folder / "volumes", sources, facts))
        around = Surroundings(
            processes=self.parts.processes,
            images=self.parts.images,
            recorder=self._recorder,
            sources=sources,
            facts=facts,
            volumes=folders,
            folder=self.folder / "containers",
            logs=self.logs,
            search_path=self.parts.search_path,
            changed=self._container_changed,
        )
        self._state = evolve(self._state, has_sandbox=True)
        self._reporter.changed()
        for spec in self.pod["spec"].get("initContainers", ()):
            container = self._add(spec, around, init=True)
            await self._unless_halting(container.live())
            if not isinstance(container.state, Terminated) or container.state.exit_code:
                return
        main = [self._add(spec, around) for spec in self.pod["spec"]["containers"]]
        await asyncio.gather(*(self._unless_halting(each.live()) for each in main))

    def _add(self, spec: JSON, around: Surroundings, *, init: bool = False) -> Container:
        container = Container(spec, around, self._state.containers[spec["name"]], init=init)
        self.containers.append(container)
        return container

    async def _unless_halting(self, life: Coroutine[Any, Any, None]) -> None:
        if self._halting:
            life.close()
        else:
            await life

    async def _set_up(self, volumes: Volumes) -> dict[str, Path]:
        folders: dict[str, Path] = {}
        for volume in self.pod["spec"].get("volumes", ()):
            while volume["name"] not in folders:
                try:
                    folders[volume["name"]] = await volumes.set_up(volume)
                except (MountError, OSError) as error:
                    message = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
                    self._recorder.record(Occurrence("FailedMount", message, warning=True))
                    await asyncio.sleep(_MOUNT_RETRY_SECONDS)
        return folders

    async def _order(self) -> Stop:
        while (stop := self._stop_wanted()) is None:
            limit = deadline(self.pod, self._started)
            await self._wait_for_news(None if limit is None else (limit - datetime.now(UTC)).total_seconds())
        return stop

    def _stop_wanted(self) -> Stop | None:
        gone = self._gone or self._reporter.gone
        now = datetime.now(UTC)
        return stop_wanted(self.pod, gone=gone, evicted=self._evicted, started=self._started, now=now)

    async def _wait_for_news(self, timeout: float | None) -> None:
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout)

    async def _halt(self, life: asyncio.Task[None]) -> None:
        """SIGTERM, the grace of the newest order, SIGKILL; returns when no process is left."""
        self._halting = True
        began = asyncio.get_running_loop().time()
        signalled: set[str] = set()
        while alive := [each for each in self.containers if each.alive]:
            stop = self._stop_wanted() or Stop(0)
            left = began + stop.grace - asyncio.get_running_loop().time()
            for container in alive:
                if left <= 0:
                    container.kill()
                elif container.name not in signalled and not container.starting:
                    signalled.add(container.name)
                    container.signal_main(signal.SIGTERM)
                    self._recorder.record(
                        Occurrence("Killing", f"Stopping container {container.name}", container.name)
                    )
            await self._wait_for_news(left if left > 0 else 0.2)
        # Whatever still waits (for a Secret, an image) waits no more.
        life.cancel()

    def _container_changed(self) -> None:
        states = {each.name: each.state for each in self.containers}
        self._state = evolve(self._state, containers={**self._state.containers, **states})
        self._reporter.changed()
        self._news.set()

    def _status(self) -> JSON:
        return pod_status(self.pod, self._state, datetime.now(UTC))

    async def _remove_when_deleted(self) -> None:
        await self._reporter.flushed()
        while not (self._gone or self._reporter.gone):
            if self.pod["metadata"].get("deletionTimestamp"):
                await self._delete()
                return
            await self._wait_for_news(None)

    async def _delete(self) -> None:
        # Only now: once the object is gone nobody could read how it ended. Dying before this line leaves
        # a deleted pod in a final phase, which the next node of this name deletes.
        uid = self.pod["metadata"]["uid"]
        options: JSON = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        path = pod_path(self.pod)
        with contextlib.suppress(ApiRefused):
            await persist(f"DELETE {path}", lambda: self.parts.api.delete(path, options))
