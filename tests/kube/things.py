"""A kind of object for the tests, and the bytes that an API server would send of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from attrs import field, frozen

from tidbbackup.kube.decode import HasMeta
from tidbbackup.kube.resources import Resource
from tidbbackup.model.meta import Meta

THINGS = Resource("", "v1", "configmaps", "ConfigMap")


@frozen
class Thing:
    """A ConfigMap."""

    metadata: Meta
    data: dict[str, str] = field(factory=dict)


decode_thing = msgspec.json.Decoder(Thing).decode


def thing(name: str, version: int | str, uid: str = "", namespace: str = "ns", **data: str) -> Thing:
    """A Thing as it is in a store; its uid is made from its name unless given."""
    meta = Meta(name=name, namespace=namespace, uid=uid or f"uid-{name}", resourceVersion=str(version))
    return Thing(meta, data)


def wire(found: Thing) -> dict[str, Any]:
    """A Thing as the API server sends it."""
    meta = found.metadata
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
            "resourceVersion": meta.resourceVersion,
            "labels": meta.labels,
            "managedFields": [{"manager": "kubectl"}],
        },
        "data": found.data,
    }


def by_namespace(found: HasMeta) -> Iterable[str]:
    """Index by namespace."""
    return (found.metadata.namespace,)


def page(version: int | str, *things: Thing, token: str = "") -> bytes:
    """One page of a list."""
    meta = {"resourceVersion": str(version)} | ({"continue": token} if token else {})
    return msgspec.json.encode(
        {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": meta, "items": [wire(t) for t in things]}
    )


def line(kind: str, found: Thing) -> bytes:
    """One line of a watch, with its line feed."""
    return msgspec.json.encode({"type": kind, "object": wire(found)}) + b"\n"


def bookmark(version: int | str) -> bytes:
    """A BOOKMARK line."""
    meta = {"resourceVersion": str(version), "creationTimestamp": None}
    return (
        msgspec.json.encode({"type": "BOOKMARK", "object": {"kind": "ConfigMap", "metadata": meta}}) + b"\n"
    )


def status(code: int, reason: str, message: str = "because", **details: Any) -> dict[str, Any]:
    """A Status object."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }


def error_line(code: int, reason: str, **details: Any) -> bytes:
    """An ERROR line."""
    return msgspec.json.encode({"type": "ERROR", "object": status(code, reason, **details)}) + b"\n"
