"""The simulated API server: what it answers to each request of the product, and of the tests.

It is held to a real one by tests/simulation/test_contract.py and tests/decide/contract. It has no admission,
no rights and no schema, except that the address of an archive is fixed once its Backup has begun.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

import msgspec
from attrs import define, field, frozen

from tests.decide.world import FOREGROUND, merged
from tests.simulation.store import JSON, Item, Objects, encode

KINDS = {
    "namespaces": ("v1", "Namespace"),
    "pods": ("v1", "Pod"),
    "events": ("v1", "Event"),
    "serviceaccounts": ("v1", "ServiceAccount"),
    "jobs": ("batch/v1", "Job"),
    "leases": ("coordination.k8s.io/v1", "Lease"),
    "backups": ("pingcap.com/v1alpha1", "Backup"),
    "backupschedules": ("pingcap.com/v1alpha1", "BackupSchedule"),
    "restores": ("pingcap.com/v1alpha1", "Restore"),
    "customresourcedefinitions": ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
}
NAMESPACE_CONTROLLER = "kubernetes"
"""Keeps a namespace until what is in it is gone. (A real one has it in its spec.)"""
WITH_STATUS = {"pods", "jobs", "backups", "backupschedules", "restores"}
GRACE_SECONDS = 30
_FIXED = ("from", "s3", "tableFilter", "mydumper", "dumpling")


class Refusal(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, reason: str, message: str = "", cause: str = "") -> None:
        super().__init__(f"{status} {reason}")
        self.status, self.reason, self.message, self.cause = status, reason, message or reason, cause

    @property
    def body(self) -> bytes:
        """The Status object."""
        told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status}
        details = {"causes": [{"reason": self.cause}]} if self.cause else {}
        return encode({**told, "reason": self.reason, "message": self.message, "details": details})


class Path(NamedTuple):
    """What a path names; without a name a collection."""

    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@lru_cache(4096)
def read_path(path: str) -> Path:
    """Takes a path apart."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[0] == "namespaces" and len(parts) > 2:
        return Path(parts[2], parts[1], *parts[3:])
    return Path(parts[0], "", *parts[1:])


@frozen
class Selected:
    """Which objects of a kind are asked for."""

    namespace: str = ""
    labels: Mapping[str, str] = {}
    fields: Mapping[str, str] = {}

    def __contains__(self, item: Item) -> bool:
        meta = item.meta
        if self.namespace and meta.get("namespace") != self.namespace:
            return False
        told = meta.get("labels") or {}
        if any(told.get(name) != value for name, value in self.labels.items()):
            return False
        return all(_field(item.json, name) == value for name, value in self.fields.items())


def selected(path: Path, query: Mapping[str, str]) -> Selected:
    """Of a collection, by the selectors of a query."""
    return Selected(
        path.namespace, _pairs(query.get("labelSelector", "")), _pairs(query.get("fieldSelector", ""))
    )


@lru_cache(4096)
def _pairs(text: str) -> Mapping[str, str]:
    return dict(each.split("=", 1) for each in text.split(",") if each)


def _field(json: JSON, name: str) -> Any:
    for part in name.split("."):
        json = json.get(part, {})
    return json


@define
class ApiServer:
    """Answers requests at once. `clock` is its wall clock."""

    clock: Callable[[], datetime]
    objects: Objects = field(factory=Objects)
    actor: str = ""
    """The controller whose request is being answered; empty: nobody's."""
    pages: dict[str, tuple[int, list[bytes]]] = field(factory=dict)
    _uids: Any = field(factory=lambda: count(1))

    def answer(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body. Raises Refusal."""
        at = read_path(path)
        sent = msgspec.json.decode(body) if body else {}
        match method:
            case "GET" if at.name:
                return 200, self.found(at).raw
            case "GET":
                return 200, self.page(at, query)
            case "POST":
                return 201, self.create(at, sent, dry_run="dryRun" in query).raw
            case "PATCH":
                return 200, self.patch(at, sent).raw
            case "DELETE":
                return 200, self.delete(at, sent)
        raise AssertionError(method)

    def found(self, at: Path) -> Item:
        """One object. Raises Refusal."""
        item = self.objects.get(at.plural, at.namespace, at.name)
        if item is None:
            raise Refusal(404, "NotFound", f'{at.plural} "{at.name}" not found')
        return item

    def page(self, at: Path, query: Mapping[str, str]) -> bytes:
        """One page of a consistent list. Raises Refusal."""
        limit, token = int(query.get("limit", 0)), query.get("continue", "")
        if token:
            if token not in self.pages:
                raise Refusal(410, "Expired", "the provided continue parameter is too old")
            version, left = self.pages.pop(token)
        else:
            wanted = selected(at, query)
            version = self.objects.version
            # As etcd has them: by their keys.
            left = [item.raw for _, item in sorted(self.objects.of(at.plural).items()) if item in wanted]
        now, later = (left[:limit], left[limit:]) if limit else (left, [])
        meta = {"resourceVersion": str(version)}
        if later:
            meta["continue"] = f"{version}-{len(later)}-{next(self._uids)}"
            self.pages[meta["continue"]] = version, later
        api, kind = KINDS[at.plural]
        head = encode({"kind": f"{kind}List", "apiVersion": api, "metadata": meta})[:-1]
        return head + b',"items":[' + b",".join(now) + b"]}"

    def create(self, at: Path, sent: JSON, *, dry_run: bool = False) -> Item:
        """A new object. Raises Refusal."""
        meta = {name: value for name, value in sent["metadata"].items() if name != "resourceVersion"}
        if at.namespace:
            self._admit(at)
            meta["namespace"] = at.namespace
        if self.objects.get(at.plural, at.namespace, meta["name"]):
            raise Refusal(409, "AlreadyExists", f'{at.plural} "{meta["name"]}" already exists')
        uid = f"{next(self._uids):08x}-0000-4000-8000-000000000000"
        meta |= {"uid": uid, "creationTimestamp": self.now(), "generation": 1}
        meta.pop("deletionTimestamp", None)
        if at.plural == "namespaces":
            meta["finalizers"] = [NAMESPACE_CONTROLLER]
        api, kind = KINDS[at.plural]
        new = {**sent, "apiVersion": api, "kind": kind, "metadata": meta}
        if at.plural in WITH_STATUS:
            new.pop("status", None)
        if dry_run:
            return Item(new, encode(new))
        return self.objects.put(at.plural, new)

    def _admit(self, at: Path) -> None:
        space = self.objects.get("namespaces", "", at.namespace)
        if space is None:
            raise Refusal(404, "NotFound", f'namespaces "{at.namespace}" not found')
        if space.going:
            text = f"unable to create new content in namespace {at.namespace} because it is being terminated"
            raise Refusal(403, "Forbidden", text, "NamespaceTerminating")

    def patch(self, at: Path, sent: JSON) -> Item:
        """A merge patch. Raises Refusal."""
        old = self.found(at)
        wanted = (sent.get("metadata") or {}).get("resourceVersion")
        if wanted and wanted != old.meta["resourceVersion"]:
            raise Refusal(409, "Conflict", "the object has been modified")
        both = merged(old.json, sent)
        if at.subresource == "status":
            new = {**old.json, "status": both.get("status", {})}
        else:
            new = {**both, "metadata": self._meta(old, both)}
            if at.plural in WITH_STATUS:
                new.pop("status", None)
                new |= {"status": old.json["status"]} if "status" in old.json else {}
            _check_edit(at, old.json, new)
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            return self._removed(at.plural, old, new)
        return self.objects.put(at.plural, new)

    def _removed(self, plural: str, old: Item, new: JSON) -> Item:
        last = Item(new, encode(new))
        self.objects.remove(plural, Item({**new, "metadata": new["metadata"]}, old.raw))
        return last

    def _meta(self, old: Item, both: JSON) -> JSON:
        meta = dict(both["metadata"])
        for name in ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"):
            meta |= {name: old.meta[name]} if name in old.meta else {}
        added = set(meta.get("finalizers") or ()) - set(old.finalizers)
        if old.going and added:
            text = "metadata.finalizers: Forbidden: no new finalizers if the object is being deleted"
            raise Refusal(422, "Invalid", text)
        meta["generation"] = old.meta["generation"] + (both.get("spec") != old.json.get("spec"))
        return meta

    def delete(self, at: Path, options: JSON) -> bytes:
        """A deletion, which finalizers hold up. Raises Refusal."""
        old = self.found(at)
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != old.uid:
            raise Refusal(409, "Conflict", f"the UID in the precondition ({uid}) does not match {old.uid}")
        finalizers = [each for each in old.finalizers if each != FOREGROUND]
        if options.get("propagationPolicy") == "Foreground":
            finalizers.append(FOREGROUND)
        grace = self._grace(at.plural, old, options)
        if not finalizers and not grace:
            self.objects.remove(at.plural, old)
            return Refusal(200, "", "").body
        meta = {**old.meta, "finalizers": finalizers}
        if not old.going:
            meta |= {"deletionTimestamp": self.now(grace), "generation": old.meta["generation"] + 1}
        return self.objects.put(at.plural, {**old.json, "metadata": meta}).raw

    def _grace(self, plural: str, old: Item, options: JSON) -> int:
        # A pod that no node has ever seen goes at once, and so does one that has ended.
        ended = old.phase in ("Succeeded", "Failed")
        if plural != "pods" or not old.json.get("spec", {}).get("nodeName") or ended:
            return 0
        return int(options.get("gracePeriodSeconds", GRACE_SECONDS))

    def now(self, later: float = 0.0) -> str:
        """A time as the API writes it."""
        at = self.clock().timestamp() + later
        return datetime.fromtimestamp(at, self.clock().tzinfo).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_edit(at: Path, old: JSON, new: JSON) -> None:
    status = old.get("status", {})
    begun = status.get("backupPath") or status.get("phase", "") not in ("", "Invalid")
    if at.plural == "backups" and begun:
        for name in _FIXED:
            if old["spec"].get(name) != new["spec"].get(name):
                raise Refusal(422, "Invalid", f"spec.{name} cannot change once the backup has begun")
