"""The node under test, as its tests see it: an API server and the name of an image."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import define, field

from tests.cluster.api import JSON, Api, ApiRefused

NAMESPACE = "contract"

_CORE = f"/api/v1/namespaces/{NAMESPACE}"
_POLL_SECONDS = 0.1
_TERMINAL = ("Succeeded", "Failed")
_OF_CONTAINER = (
    *("args", "env", "envFrom", "image", "imagePullPolicy", "resources", "volumeMounts", "workingDir"),
    *("terminationMessagePath", "terminationMessagePolicy"),
)


@define(eq=False)
class NodeUnderTest:
    """`image` has sh and python3; `missing_image` cannot be pulled."""

    api: Api
    node: str
    image: str
    missing_image: str = "missing.invalid/contract:1"
    _numbers: Iterator[int] = field(factory=itertools.count)

    def name(self, what: str) -> str:
        """A name nobody has used yet."""
        return f"{what}-{next(self._numbers)}"

    def pod(self, what: str, *command: str, **spec: Any) -> JSON:
        """A pod of one container, `main`. What `spec` says of the container goes to the container."""
        container = {"name": "main", "image": self.image, "command": list(command)}
        container |= {key: spec.pop(key) for key in _OF_CONTAINER if key in spec}
        metadata = {"name": self.name(what), **spec.pop("metadata", {})}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": self.template(container, **spec),
        }

    def template(self, container: JSON, **spec: Any) -> JSON:
        """The spec of a pod that runs on this node, once."""
        container = {"imagePullPolicy": "IfNotPresent", **container}
        on_node = {"kubernetes.io/hostname": self.node}
        return {"restartPolicy": "Never", "nodeSelector": on_node, "containers": [container], **spec}

    async def create(self, plural: str, body: JSON) -> str:
        """Create an object of the core group in the namespace of the contract; its name."""
        created = await self.api.create(f"{_CORE}/{plural}", body)
        return str(created["metadata"]["name"])

    async def start(self, pod: JSON) -> str:
        """Create a pod; its name."""
        return await self.create("pods", pod)

    async def until(self, pod: str, rule: Callable[[JSON], bool], timeout: float = 30.0) -> JSON:
        """The status of a pod as soon as it fits. Raises AssertionError with the last one seen."""
        deadline = time.monotonic() + timeout
        while True:
            found = await self.api.get(f"{_CORE}/pods/{pod}")
            status: JSON = found.get("status", {})
            if rule(status):
                return status
            assert time.monotonic() < deadline, f"{pod} after {timeout:g} s: {status}"
            await asyncio.sleep(_POLL_SECONDS)

    async def end(self, pod: str, timeout: float = 30.0) -> JSON:
        """The status of a pod in its final phase."""
        return await self.until(pod, lambda status: status.get("phase") in _TERMINAL, timeout)

    async def running(self, pod: str) -> JSON:
        """The status of a pod once its main container is ready."""
        return await self.until(pod, lambda status: any(each["ready"] for each in containers(status)))

    async def waiting(self, pod: str, reason: str) -> JSON:
        """The waiting state of the first container, once it has this reason."""
        status = await self.until(pod, lambda status: waiting_for(status) == reason)
        state: JSON = containers(status)[0]["state"]["waiting"]
        return state

    async def event(self, pod: str, reason: str, message: str, kind: str = "Warning") -> JSON:
        """The event of a pod with this reason and a message that contains `message`."""
        selector = f"involvedObject.name={pod},reason={reason},type={kind}"
        deadline = time.monotonic() + 15
        while True:
            found = (await self.api.get(f"{_CORE}/events", fieldSelector=selector))["items"]
            for event in found:
                if message in event["message"]:
                    return dict(event)
            assert time.monotonic() < deadline, f"{pod}: no {reason} with {message!r}, but {found}"
            await asyncio.sleep(_POLL_SECONDS)

    async def delete(self, pod: str, grace: int) -> None:
        """Ask for the deletion of a pod."""
        await self.api.delete(f"{_CORE}/pods/{pod}", {"gracePeriodSeconds": grace})

    async def let_go(self, pod: str) -> None:
        """Take the finalizers from a deleted pod."""
        await self.api.patch(f"{_CORE}/pods/{pod}", {"metadata": {"finalizers": None}})

    async def gone(self, pod: str, timeout: float = 15.0) -> None:
        """Wait until the API server has the pod no more."""
        deadline = time.monotonic() + timeout
        while await self._exists(pod):
            assert time.monotonic() < deadline, f"{pod} is still there after {timeout:g} s"
            await asyncio.sleep(_POLL_SECONDS)

    async def _exists(self, pod: str) -> bool:
        try:
            await self.api.get(f"{_CORE}/pods/{pod}")
        except ApiRefused as error:
            if error.status != 404:
                raise
            return False
        return True

    async def job(self, name: str, container: JSON, **spec: Any) -> None:
        """Create a Job of one attempt."""
        template = {"spec": self.template({"name": "main", "image": self.image, **container})}
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "template": template, **spec},
        }
        await self.api.create(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", body)

    async def job_condition(self, name: str, kind: str, timeout: float = 30.0) -> JSON:
        """The condition of a Job once it is True."""
        deadline = time.monotonic() + timeout
        while True:
            job = await self.api.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{name}")
            for each in job["status"].get("conditions", ()):
                if each["type"] == kind and each["status"] == "True":
                    return dict(each)
            assert time.monotonic() < deadline, f"job {name}: {job['status']}"
            await asyncio.sleep(_POLL_SECONDS)


def containers(status: JSON) -> list[JSON]:
    """The statuses of the main containers."""
    return list(status.get("containerStatuses", ()))


def terminated(status: JSON, index: int = 0) -> JSON:
    """How a main container ended."""
    ended: JSON = containers(status)[index]["state"]["terminated"]
    return ended


def waiting_for(status: JSON) -> str:
    """The reason why the first container does not run yet; empty when it does, or has."""
    return str(next(iter(containers(status)), {}).get("state", {}).get("waiting", {}).get("reason", ""))


def conditions(status: JSON, kinds: Iterable[str] = ()) -> dict[str, tuple[str, str]]:
    """Condition → status and reason."""
    found = {
        each["type"]: (each["status"], each.get("reason") or "") for each in status.get("conditions", ())
    }
    return {kind: found[kind] for kind in kinds} if kinds else found
