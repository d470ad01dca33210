"""An own write that the cache has not seen yet never leads to a second one.

Every write is noted for its key; until the caches have the write, that key is not reconciled, because it
would see older objects. The cache wakes the key, there is no polling. A cache that does not get the write
in time is listed again.
Must not know what is written, nor why. Like the store it never awaits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from attrs import define, frozen

from tidbbackup.kube.client import Body, Client, Propagation
from tidbbackup.kube.decode import read_meta
from tidbbackup.kube.errors import BadAnswer, NotFound
from tidbbackup.kube.resources import Resource
from tidbbackup.kube.store import Cache
from tidbbackup.kube.versions import at_least
from tidbbackup.model.meta import ObjectKey


@frozen
class _Followed:
    cache: Cache[Any]
    relist: Callable[[], None]


@define
class _Note:
    followed: _Followed
    shown_in: Callable[[Cache[Any]], bool]
    """Whether a cache shows the write."""
    demanded: bool = False

    @property
    def seen(self) -> bool:
        return self.shown_in(self.followed.cache)


class WriteGate:
    """Which keys have writes that a cache has not seen yet.

    `patience` is how many seconds a key waits before a new list is requested.
    """

    def __init__(self, patience: float = 30.0) -> None:
        self.patience = patience
        self._followed: dict[tuple[Resource, str], _Followed] = {}
        self._notes: dict[Hashable, list[_Note]] = {}
        self._deferred: dict[Hashable, tuple[float, Callable[[], None]]] = {}

    def follow(
        self, resource: Resource, cache: Cache[Any], relist: Callable[[], None], namespace: str = ""
    ) -> None:
        """Writes to `resource` in `namespace` ("": any) are seen in `cache`; `relist` asks for a new list."""
        self._followed[resource, namespace] = _Followed(cache, relist)

    def note(self, key: Hashable, resource: Resource, version: str, namespace: str = "") -> None:
        """A write for `key` made `version`; a resource without a cache is not waited for."""
        self._add(key, resource, namespace, lambda cache: at_least(cache.version, version))

    def note_deleted(self, key: Hashable, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """A deletion for `key` was accepted; the API's answer to one need not tell a version."""

        def gone(cache: Cache[Any]) -> bool:
            found = cache.get(ObjectKey(resource.kind, namespace, name))
            return found is None or found.metadata.uid != uid or found.metadata.deletionTimestamp is not None

        self._add(key, resource, namespace, gone)

    def settled(self, key: Hashable) -> bool:
        """Whether every write for `key` is in its cache."""
        left = [note for note in self._notes.get(key, ()) if not note.seen]
        if left:
            self._notes[key] = left
        else:
            self._notes.pop(key, None)
            self._deferred.pop(key, None)
        return not left

    def defer(self, key: Hashable, now: float, wake: Callable[[], None]) -> float:
        """Delays a key that is not settled; `wake` is called once it is.

        Returns the seconds after which to ask again if it is not. For a key that has waited for
        `patience`, new lists are requested. `now` is monotonic seconds.
        """
        since, _ = self._deferred.get(key, (now, wake))
        if now - since >= self.patience:
            self._demand(key)
            since = now
        self._deferred[key] = since, wake
        return since + self.patience - now

    def observed(self) -> None:
        """A cache has changed: wakes the keys that are settled now."""
        for key in tuple(self._notes):
            deferred = self._deferred.get(key)
            if self.settled(key) and deferred:
                _, wake = deferred
                wake()

    def relisted(self, resource: Resource, namespace: str = "") -> None:
        """A whole list was received: it has every write made before it was requested.

        A version that it does not reach was lost by a restore of etcd.
        """
        listed = self._followed.get((resource, namespace))
        for notes in self._notes.values():
            notes[:] = [note for note in notes if note.followed is not listed or not note.demanded]

    def _add(
        self, key: Hashable, resource: Resource, namespace: str, shown_in: Callable[[Cache[Any]], bool]
    ) -> None:
        followed = self._followed.get((resource, namespace)) or self._followed.get((resource, ""))
        if followed is not None and not shown_in(followed.cache):
            self._notes.setdefault(key, []).append(_Note(followed, shown_in))

    def _demand(self, key: Hashable) -> None:
        for note in self._notes.get(key, ()):
            note.demanded = True
        for followed in {note.followed for note in self._notes.get(key, ())}:
            followed.relist()


@frozen
class Writer:
    """The writing half of the Client, for one key: each write is noted as soon as it is answered.

    A write whose answer is lost is not noted, because it may not have been carried out. Repeating it is
    safe, because of computed names and resourceVersions.
    """

    client: Client
    gate: WriteGate
    key: Hashable

    async def create(self, resource: Resource, namespace: str, body: Body) -> bytes:
        """See Client.create."""
        return self._noted(resource, namespace, await self.client.create(resource, namespace, body))

    async def patch(
        self, resource: Resource, namespace: str, name: str, patch: Body, *, subresource: str = ""
    ) -> bytes:
        """See Client.patch."""
        answer = await self.client.patch(resource, namespace, name, patch, subresource=subresource)
        return self._noted(resource, namespace, answer)

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, propagation: Propagation
    ) -> bytes:
        """See Client.delete. NotFound is noted too, and raised: the cache is late."""
        try:
            answer = await self.client.delete(resource, namespace, name, uid=uid, propagation=propagation)
        except NotFound:
            self.gate.note_deleted(self.key, resource, namespace, name, uid)
            raise
        self.gate.note_deleted(self.key, resource, namespace, name, uid)
        return answer

    def _noted(self, resource: Resource, namespace: str, answer: bytes) -> bytes:
        version = read_meta(answer).resourceVersion
        if not version:
            raise BadAnswer(f"the answer to a write of {resource} has no resourceVersion")
        self.gate.note(self.key, resource, version, namespace)
        return answer
