"""The objects of the simulated API server: versions, and the log from which watches are served.

An object is a value: a write puts another one into its place. Must not know requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from attrs import define, field, frozen

JSON = dict[str, Any]
Name = tuple[str, str]
"""Namespace and name."""

encode = msgspec.json.Encoder().encode


@frozen
class Item:
    """One object in one version; `raw` is its JSON."""

    json: JSON
    raw: bytes

    @property
    def meta(self) -> JSON:
        """Its metadata."""
        found: JSON = self.json["metadata"]
        return found

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.meta["uid"])

    @property
    def owner(self) -> JSON:
        """Its first owner; empty if it has none."""
        found: JSON = (self.meta.get("ownerReferences") or ({},))[0]
        return found

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations."""
        return dict(self.meta.get("annotations") or {})

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self.meta.get("labels") or {})

    @property
    def finalizers(self) -> list[str]:
        """Its finalizers."""
        return list(self.meta.get("finalizers") or ())

    @property
    def status(self) -> JSON:
        """Its status; empty if it has none yet."""
        return dict(self.json.get("status") or {})

    @property
    def phase(self) -> str:
        """The phase in its status."""
        return str(self.status.get("phase", ""))

    @property
    def going(self) -> bool:
        """Whether it is being deleted."""
        return "deletionTimestamp" in self.meta


@frozen
class Change:
    """One write. `old` is None for a new object, `new` is None for one that is gone, whose last state
    `last` is."""

    plural: str
    version: int
    old: Item | None
    new: Item | None
    last: Item

    @property
    def type(self) -> str:
        """As a watch calls it."""
        if self.new is None:
            return "DELETED"
        return "MODIFIED" if self.old else "ADDED"

    @property
    def line(self) -> bytes:
        """As a watch sends it."""
        return b'{"type":"%s","object":%s}\n' % (self.type.encode(), self.last.raw)


@define
class Objects:
    """All objects. `changed` are told of each write, in order."""

    version: int = 100
    items: dict[str, dict[Name, Item]] = field(factory=dict)
    log: list[Change] = field(factory=list)
    forgotten: int = 0
    """Watches from before this version are refused."""
    changed: list[Callable[[Change], None]] = field(factory=list)

    def of(self, plural: str) -> dict[Name, Item]:
        """The objects of one kind, as they are now."""
        return self.items.setdefault(plural, {})

    def get(self, plural: str, namespace: str, name: str) -> Item | None:
        """One object."""
        return self.of(plural).get((namespace, name))

    def put(self, plural: str, json: JSON) -> Item:
        """Stores an object in a new version; one that has not changed stays as it is."""
        # Go leaves out what is empty.
        meta = {name: value for name, value in json["metadata"].items() if value not in ({}, [])}
        json = {**json, "metadata": meta}
        key = meta.get("namespace", ""), meta["name"]
        old = self.of(plural).get(key)
        if old is not None and old.json == json:
            return old
        self.version += 1
        json = {**json, "metadata": {**meta, "resourceVersion": str(self.version)}}
        new = Item(json, encode(json))
        self.of(plural)[key] = new
        self._tell(Change(plural, self.version, old, new, new))
        return new

    def remove(self, plural: str, item: Item) -> None:
        """An object is gone; its last state has a version of its own."""
        self.version += 1
        del self.of(plural)[item.meta.get("namespace", ""), item.meta["name"]]
        json = {**item.json, "metadata": {**item.meta, "resourceVersion": str(self.version)}}
        self._tell(Change(plural, self.version, item, None, Item(json, encode(json))))

    def forget(self) -> None:
        """The log so far is compacted."""
        self.forgotten = self.version
        self.log.clear()

    def _tell(self, change: Change) -> None:
        self.log.append(change)
        for tell in self.changed:
            tell(change)
