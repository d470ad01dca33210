"""The objects of one kind, as last seen: Store is the half that writes, Cache the half that reads.

Everything here is synchronous: no method awaits, so a reader sees all objects at one instant.
Must not know where updates come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from attrs import frozen

from tidbbackup.kube.decode import HasMeta, Malformed
from tidbbackup.kube.resources import Resource
from tidbbackup.kube.updates import Applied, Bookmark, Deleted, Relisted, Update
from tidbbackup.kube.versions import age_order, at_least, newer_of
from tidbbackup.model.meta import Meta, ObjectKey

T = TypeVar("T", bound=HasMeta)

Index = Callable[[T | Malformed], Iterable[str]]
"""The values of an object in an index; it reads metadata only, if it must find Malformed ones."""


@frozen
class Change(Generic[T]):
    """One difference: `old` is None for a new object, `new` is None for a deleted one.

    An object that was deleted and created again under its name makes two changes.
    """

    key: ObjectKey
    old: T | Malformed | None
    new: T | Malformed | None


class Store(Generic[T]):
    """Receives updates; the only writer.

    Invariants, whenever another task can run: each index has exactly the keys of the objects with its
    value; `version` only goes back by a Relisted.
    """

    def __init__(self, resource: Resource, indexes: Mapping[str, Index[T]] | None = None) -> None:
        self._resource = resource
        self._objects: dict[ObjectKey, T | Malformed] = {}
        self._indexes = dict(indexes or {})
        self._found: dict[str, dict[str, set[ObjectKey]]] = {name: {} for name in self._indexes}
        self._version = ""
        self._synced = False
        self.cache = Cache(self)

    def apply(self, update: Update[T]) -> tuple[Change[T], ...]:
        """Applies one update and returns its changes; repeated and older frames change nothing."""
        match update:
            case Relisted(objects=objects, version=version):
                changes = self._relist(objects)
                # The one place where the version may go back: after etcd was restored.
                self._version, self._synced = version, True
                return changes
            case Bookmark(version=version):
                self._version = newer_of(self._version, version)
                return ()
            case Applied(object=found):
                self._version = newer_of(self._version, found.metadata.resourceVersion)
                return self._put(found)
            case Deleted(object=found):
                self._version = newer_of(self._version, found.metadata.resourceVersion)
                return self._remove(found)

    def _relist(self, objects: Iterable[T | Malformed]) -> tuple[Change[T], ...]:
        listed = {self._key(found): found for found in objects}
        gone = [key for key in self._objects if key not in listed]
        changes = [Change(key, self._swap(key, None), None) for key in gone]
        for key, found in listed.items():
            changes += self._changes(key, self._objects.get(key), found)
        return tuple(changes)

    def _put(self, found: T | Malformed) -> tuple[Change[T], ...]:
        key = self._key(found)
        old = self._objects.get(key)
        if old is not None and at_least(old.metadata.resourceVersion, found.metadata.resourceVersion):
            return ()
        return self._changes(key, old, found)

    def _changes(
        self, key: ObjectKey, old: T | Malformed | None, new: T | Malformed
    ) -> tuple[Change[T], ...]:
        if old is not None and _same(old, new):
            return ()
        self._swap(key, new)
        if old is None or old.metadata.uid == new.metadata.uid:
            return (Change(key, old, new),)
        # Its deletion was missed, but it happened: the old object's keys must be reconciled too.
        return Change(key, old, None), Change(key, None, new)

    def _remove(self, found: T | Malformed) -> tuple[Change[T], ...]:
        key = self._key(found)
        old = self._objects.get(key)
        if old is None or old.metadata.uid != found.metadata.uid:
            return ()
        self._swap(key, None)
        return (Change(key, old, None),)

    def _swap(self, key: ObjectKey, new: T | Malformed | None) -> T | Malformed | None:
        old = self._objects.get(key)
        # Indexes are computed before any change: if one raises, nothing has changed.
        left, entered = self._values(old), self._values(new)
        for name, value in left:
            keys = self._found[name][value]
            keys.discard(key)
            if not keys:
                del self._found[name][value]
        for name, value in entered:
            self._found[name].setdefault(value, set()).add(key)
        if new is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = new
        return old

    def _values(self, found: T | Malformed | None) -> set[tuple[str, str]]:
        if found is None:
            return set()
        return {(name, value) for name, index in self._indexes.items() for value in index(found)}

    def _key(self, found: T | Malformed) -> ObjectKey:
        return ObjectKey(self._resource.kind, found.metadata.namespace, found.metadata.name)


class Cache(Generic[T]):
    """The objects of a Store, to read; or of several Stores, one for each namespace.

    An object that is not in it may still exist: a cache is later than the API server.
    """

    def __init__(self, first: Store[T], *others: Store[T]) -> None:
        self._stores = (first, *others)

    def __len__(self) -> int:
        return sum(len(store._objects) for store in self._stores)

    @property
    def resource(self) -> Resource:
        """Which kind of object this is."""
        return self._stores[0]._resource

    @property
    def synced(self) -> bool:
        """Whether each store has received a whole list."""
        return all(store._synced for store in self._stores)

    @property
    def version(self) -> str:
        """The newest resourceVersion that all of it has reached, bookmarks included; "" before a list."""
        return min((store._version for store in self._stores), key=age_order)

    def get(self, key: ObjectKey) -> T | Malformed | None:
        """One object, if the cache has it."""
        for store in self._stores:
            if key in store._objects:
                return store._objects[key]
        return None

    def unchanged(self, meta: Meta) -> T | Malformed | None:
        """The object with that metadata, if the cache has it in this very version."""
        found = self.get(ObjectKey(self.resource.kind, meta.namespace, meta.name))
        if found is None or found.metadata.uid != meta.uid:
            return None
        return found if found.metadata.resourceVersion == meta.resourceVersion else None

    def all(self) -> tuple[T | Malformed, ...]:
        """Every object, in no particular order."""
        return tuple(found for store in self._stores for found in store._objects.values())

    def by(self, index: str, value: str) -> tuple[T | Malformed, ...]:
        """The objects with that value in that index, in the order of their keys."""
        found = {
            key: store._objects[key] for store in self._stores for key in store._found[index].get(value, ())
        }
        # By tuples: comparing the keys themselves makes two tuples each time.
        return tuple(found[key] for key in sorted(found, key=lambda key: (key.namespace, key.name)))


def _same(old: HasMeta, new: HasMeta) -> bool:
    a, b = old.metadata, new.metadata
    return a.uid == b.uid and a.resourceVersion == b.resourceVersion
