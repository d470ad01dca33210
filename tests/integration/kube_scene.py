"""A namespace of a real API server, with a fault proxy between it and the reflector under test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import msgspec
from attrs import define, field

from tests.cluster.control_plane import ControlPlane
from tests.cluster.fault_proxy import FaultProxy, fault_proxy
from tests.kube.scripted import Recorded
from tests.kube.things import THINGS, Thing, by_namespace, decode_thing
from tidbbackup.kube.backoff import Backoff
from tidbbackup.kube.client import Client
from tidbbackup.kube.connection import Connection, Credentials, Tls
from tidbbackup.kube.decode import Malformed
from tidbbackup.kube.pace import Timing
from tidbbackup.kube.reflector import Feed, Reflector
from tidbbackup.kube.store import Change, Store
from tidbbackup.kube.transport import Deadlines
from tidbbackup.kube.writes import WriteGate

QUICK = Timing(idle=2.0, backoff=Backoff(first=0.02, longest=0.2))
"""As in the product, but for a machine without patience; bookmarks come each minute all the same."""

_numbers = count()


@define
class Scene:
    """What a test has at hand."""

    plane: ControlPlane
    proxy: FaultProxy
    namespace: str
    direct: Client
    """Past the proxy."""
    client: Client
    """Through the proxy."""
    store: Store[Thing]
    reflector: Reflector[Thing]
    gate: WriteGate
    recorded: Recorded
    changes: list[Change[Thing]] = field(factory=list)

    def object(self, name: str, **data: str) -> dict[str, Any]:
        """A ConfigMap to create."""
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}

    async def create(self, name: str, **data: str) -> None:
        """Creates a ConfigMap past the proxy."""
        await self.direct.create(THINGS, self.namespace, self.object(name, **data))

    async def change(self, name: str, **data: str) -> None:
        """Changes one."""
        await self.direct.patch(THINGS, self.namespace, name, {"data": data})

    async def delete(self, name: str) -> None:
        """Deletes one."""
        found = await self.listed()
        await self.direct.delete(THINGS, self.namespace, name, uid=found[name].metadata.uid)

    def cached(self) -> dict[str, Thing]:
        """What the store holds."""
        return _by_name(self.store.cache.by("namespace", self.namespace))

    async def listed(self) -> dict[str, Thing]:
        """What the server holds, asked past the proxy and past our own list code."""
        found = await self.plane.api.get(f"/api/v1/namespaces/{self.namespace}/configmaps")
        return _by_name(msgspec.convert(found["items"], tuple[Thing, ...]))

    async def converged(self, within: float = 30.0) -> None:
        """Waits until the store is what the server has."""
        last = await self.listed()
        await until(
            lambda: self.cached() == last, within, lambda: f"{sorted(self.cached())} != {sorted(last)}"
        )


class NotWithin(AssertionError):
    """Something did not become true in time."""


async def until(
    true: Callable[[], bool], within: float = 30.0, what: Callable[[], str] = lambda: "it did not become true"
) -> None:
    """Looks again and again, as there is nobody to tell."""
    try:
        async with asyncio.timeout(within):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise NotWithin(f"within {within} s: {what()}") from None


def _by_name(found: tuple[Thing | Malformed, ...]) -> dict[str, Thing]:
    return {thing.metadata.name: thing for thing in found if isinstance(thing, Thing)}


def through(proxy: FaultProxy, plane: ControlPlane) -> Connection:
    """The way to the API server that leads through the proxy."""
    return Connection(f"http://{proxy.host}:{proxy.port}", None, _admin(plane))


def _admin(plane: ControlPlane) -> Credentials:
    async def read() -> str:
        return f"Bearer {plane.token}"

    return Credentials(read, f"Bearer {plane.token}")


@asynccontextmanager
async def kube_scene(
    plane: ControlPlane,
    *,
    timing: Timing = QUICK,
    deadlines: Deadlines = Deadlines(idle=2.0, total=10.0),  # noqa: B008
) -> AsyncIterator[Scene]:
    """A namespace of its own; the reflector is not running yet, see `reflecting`."""
    namespace = f"kube-{next(_numbers)}"
    await plane.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    at = urlsplit(plane.url)
    tls = ssl.create_default_context(cafile=plane.ca)
    async with (
        fault_proxy(str(at.hostname), int(at.port or 443), upstream_tls=tls) as proxy,
        Client(Connection(plane.url, Tls(str(plane.ca)), _admin(plane))) as direct,
        Client(through(proxy, plane), deadlines=deadlines) as client,
    ):
        store: Store[Thing] = Store(THINGS, {"namespace": by_namespace})
        gate, recorded, changes = WriteGate(), Recorded(), list[Change[Thing]]()
        feed: Feed[Thing] = Feed(lambda change: (change,), changes.append)
        reflector = Reflector(
            client,
            store,
            decode_thing,
            [feed],
            gate=gate,
            namespace=namespace,
            timing=timing,
            metrics=recorded.metrics,
        )
        gate.follow(THINGS, store.cache, reflector.relist)
        scene = Scene(plane, proxy, namespace, direct, client, store, reflector, gate, recorded, changes)
        # Every namespace gets this one, sooner or later.
        while "kube-root-ca.crt" not in await scene.listed():  # noqa: ASYNC110  there is nobody to tell
            await asyncio.sleep(0.01)
        yield scene


@asynccontextmanager
async def reflecting(scene: Scene) -> AsyncIterator[None]:
    """The reflector runs, and has listed once."""
    running = asyncio.create_task(scene.reflector.run())
    try:
        async with asyncio.timeout(30):
            await scene.reflector.wait_synced()
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
