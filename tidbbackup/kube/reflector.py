"""Keeps one store equal to the API server, and adds the keys that a change concerns to queues.

Must not know what the objects mean: the routes, pure functions, compute the keys.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import msgspec
from attrs import frozen

from tidbbackup.kube.client import EVERYTHING, Selector
from tidbbackup.kube.decode import Decode, HasMeta, Malformed, read_meta
from tidbbackup.kube.metrics import UNREAD, ReflectorMetrics
from tidbbackup.kube.pace import TIMING, Timing
from tidbbackup.kube.resources import Resource
from tidbbackup.kube.store import Change, Store
from tidbbackup.kube.updates import Relisted, Update
from tidbbackup.kube.watch import Source, Target, updates
from tidbbackup.kube.writes import WriteGate
from tidbbackup.model.meta import ObjectKey

log = logging.getLogger(__name__)

SLICE = 256
"""Changes of a list that are passed on before other tasks run."""

T = TypeVar("T", bound=HasMeta)


@frozen
class Feed(Generic[T]):
    """Which keys a change concerns, and where they go: e.g. Feed(owner_of_job, queue.add)."""

    route: Callable[[Change[T]], Iterable[Any]]
    add: Callable[[Any], object]


@frozen
class Health:
    """The health of a reflector."""

    resource: Resource
    synced: bool
    age_seconds: float
    """Seconds since the server's last answer; after a minute without one it is asked again."""
    namespace: str = ""
    """The namespace that is watched; "" for all."""

    def __str__(self) -> str:
        return f"{self.resource} in {self.namespace}" if self.namespace else str(self.resource)


class Reflector(Generic[T]):
    """One kind of object: from the API server into its store."""

    def __init__(
        self,
        source: Source,
        store: Store[T],
        decode: Decode[T],
        feeds: Sequence[Feed[T]] = (),
        *,
        gate: WriteGate | None = None,
        namespace: str = "",
        selector: Selector = EVERYTHING,
        timing: Timing = TIMING,
        metrics: ReflectorMetrics | None = None,
    ) -> None:
        self._source = source
        self._store = store
        self._target = Target(store.cache.resource, decode, namespace, selector, self._known)
        self._feeds = feeds
        self._gate = gate or WriteGate()
        self._timing = timing
        self._metrics = metrics or UNREAD.reflector(store.cache.resource)
        self._synced = asyncio.Event()
        self._heard_at: float | None = None
        self._following: asyncio.Task[None] | None = None
        self._demanded = False

    async def run(self) -> None:
        """Lists and watches without end; cancel it to stop."""
        while True:
            self._demanded = False
            self._following = asyncio.create_task(self._follow(), name=f"following {self._target}")
            regular = False
            try:
                age = self._timing.relist * random.uniform(0.9, 1.1)  # noqa: S311  no secret
                await asyncio.wait({self._following}, timeout=age)
                regular = not self._following.done()
            finally:
                self._following.cancel()
                await asyncio.gather(self._following, return_exceptions=True)
            if self._following.cancelled() and not regular:
                log.info("%s: a new list was asked for", self._target)
                self._metrics.restarted("demanded")
            elif not self._following.cancelled():
                await self._rest_after(self._following.exception())

    def relist(self) -> None:
        """Requests a new list that begins after this call."""
        self._demanded = True
        if self._following is not None:
            self._following.cancel()

    async def resend(self) -> None:
        """Sends every object to the feeds again, as if it were new: they take keys only now."""
        kind, found = self._target.resource.kind, self._store.cache.all()
        metas = ((each.metadata, each) for each in found)
        await self._send_all(Change(ObjectKey(kind, of.namespace, of.name), None, each) for of, each in metas)

    def health(self) -> Health:
        """Its health now."""
        now = asyncio.get_running_loop().time()
        age = float("inf") if self._heard_at is None else now - self._heard_at
        target = self._target
        return Health(target.resource, self._store.cache.synced, age, target.namespace)

    async def wait_synced(self) -> None:
        """Returns once a whole list is in the store."""
        await self._synced.wait()

    async def _follow(self) -> None:
        followed = updates(
            self._source, self._target, timing=self._timing, metrics=self._metrics, heard=self._hear
        )
        async with aclosing(followed):
            async for update in followed:
                await self._take_in(update)

    def _known(self, raw: msgspec.Raw) -> T | Malformed | None:
        cache = self._store.cache
        return cache.unchanged(read_meta(raw)) if len(cache) else None

    def _hear(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()

    async def _take_in(self, update: Update[T]) -> None:
        if self._demanded:
            # A list that began before the request does not fulfil it.
            return
        changes = self._store.apply(update)
        if isinstance(update, Relisted):
            self._gate.relisted(self._target.resource, self._target.namespace)
        self._gate.observed()
        await self._send_all(iter(changes))
        if isinstance(update, Relisted):
            # After the feeds: a task that waits for this finds the first keys in the queues.
            self._synced.set()

    async def _send_all(self, changes: Iterator[Change[T]]) -> None:
        try:
            for number, change in enumerate(changes, 1):
                self._send(change)
                if number % SLICE == 0:
                    await asyncio.sleep(0)
        finally:
            # If a new list is asked for meanwhile: the store has these changes, so no list shows them again.
            for change in changes:
                self._send(change)

    def _send(self, change: Change[T]) -> None:
        for feed in self._feeds:
            self._send_to(feed, change)

    def _send_to(self, feed: Feed[T], change: Change[T]) -> None:
        try:
            keys = tuple(feed.route(change))
        except Exception:
            # A bug in a route loses the keys of this change, not the cache.
            log.exception("%s: no route for a change of %s", self._target, change.key)
            return
        for key in keys:
            feed.add(key)

    async def _rest_after(self, bug: BaseException | None) -> None:
        # updates() never ends by itself, and its failures are not exceptions: this is a bug of ours.
        log.error("%s: following broke", self._target, exc_info=bug)
        self._metrics.restarted("bug")
        await asyncio.sleep(self._timing.backoff.longest)
