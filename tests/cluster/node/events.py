"""Events about pods, as the kubelet words and counts them."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from attrs import define, field, frozen

from tests.cluster.api import JSON, Api, ApiRefused

from .calls import persist
from .status import rfc3339


@frozen
class Occurrence:
    """One thing that happened. Container is empty when it concerns the whole pod."""

    reason: str
    message: str
    container: str = ""
    warning: bool = False
    init: bool = False


def event(pod: JSON, node: str, occurrence: Occurrence, name: str, now: datetime) -> JSON:
    """The first event of an occurrence."""
    involved = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": pod["metadata"]["namespace"],
        "name": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
        "resourceVersion": pod["metadata"]["resourceVersion"],
    }
    if occurrence.container:
        family = "initContainers" if occurrence.init else "containers"
        involved["fieldPath"] = f"spec.{family}{{{occurrence.container}}}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": pod["metadata"]["namespace"], "name": name},
        "involvedObject": involved,
        "type": "Warning" if occurrence.warning else "Normal",
        "reason": occurrence.reason,
        "message": occurrence.message[:1024],
        "source": {"component": "kubelet", "host": node},
        "reportingComponent": "kubelet",
        "reportingInstance": node,
        "firstTimestamp": rfc3339(now),
        "lastTimestamp": rfc3339(now),
        "count": 1,
    }


@define(eq=False)
class Recorder:
    """Records the events of one pod; the same again counts up, as with the kubelet.

    They are written by a task of their own: a pod never waits for an API server that is away.
    """

    api: Api
    node: str
    latest: Callable[[], JSON]
    _waiting: asyncio.Queue[Occurrence] = field(factory=asyncio.Queue)
    _counts: dict[Occurrence, tuple[str, int]] = field(factory=dict)

    def record(self, occurrence: Occurrence) -> None:
        """This has happened now."""
        self._waiting.put_nowait(occurrence)

    async def written(self) -> None:
        """Return when all that has been recorded is written, or refused."""
        await self._waiting.join()

    async def run(self) -> None:
        """Write for ever; cancel it to stop."""
        while True:
            occurrence = await self._waiting.get()
            # An API server that refuses an event (the namespace is ending) is not asked again.
            with contextlib.suppress(ApiRefused):
                await self._write(occurrence)
            self._waiting.task_done()

    async def _write(self, occurrence: Occurrence) -> None:
        pod, now = self.latest(), datetime.now(UTC)
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/events"
        if occurrence in self._counts:
            name, count = self._counts[occurrence]
            again = {"count": count + 1, "lastTimestamp": rfc3339(now)}
            await persist(occurrence.reason, lambda: self.api.patch(f"{path}/{name}", again))
        else:
            name, count = f"{pod['metadata']['name']}.{uuid.uuid4().hex[:16]}", 0
            first = event(pod, self.node, occurrence, name, now)
            await persist(occurrence.reason, lambda: self.api.create(path, first))
        self._counts[occurrence] = (name, count + 1)
