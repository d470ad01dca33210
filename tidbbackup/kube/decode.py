"""Turns the API's bytes into our classes: single objects, pages of a list, frames of a watch.

An object that does not fit its class becomes Malformed, a value like any other: it is neither lost
nor able to stop a reflector. Must not know any particular kind, nor when to list or watch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec
from attrs import frozen

from tidbbackup.kube.errors import BadAnswer, Status, read_status
from tidbbackup.model.meta import Meta


class HasMeta(Protocol):
    """What a store needs of an object."""

    @property
    def metadata(self) -> Meta:
        """The object's metadata."""


@frozen
class Malformed:
    """Stands in the store for an object that does not fit its class; `why` is msgspec's sentence."""

    metadata: Meta
    why: str


T = TypeVar("T", bound=HasMeta)

Decode = Callable[[msgspec.Raw], T]
"""Makes one object; raises msgspec's errors, ValueError or TypeError where it does not fit."""


@frozen
class Page(Generic[T]):
    """One page of a list; `token` is "" on the last."""

    objects: tuple[T | Malformed, ...]
    version: str
    token: str


@frozen
class Frame(Generic[T]):
    """One line of a watch, read: an object, a version alone (BOOKMARK), or a status (ERROR)."""

    type: str
    version: str = ""
    object: T | Malformed | None = None
    status: Status | None = None


class _Bare(msgspec.Struct):
    metadata: Meta


class _ListMeta(msgspec.Struct):
    resourceVersion: str
    token: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    kind: str
    metadata: _ListMeta
    items: list[msgspec.Raw] | None


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


_BARE = msgspec.json.Decoder(_Bare)
_LIST = msgspec.json.Decoder(_List)
_LINE = msgspec.json.Decoder(_Line)


def read_meta(body: bytes | msgspec.Raw) -> Meta:
    """The metadata of a single object. Raises BadAnswer where there is none."""
    try:
        return _BARE.decode(body).metadata
    except msgspec.DecodeError as error:
        raise BadAnswer(f"not an object of the API: {error}") from error


def read_object(raw: msgspec.Raw, decode: Decode[T]) -> T | Malformed:
    """One object, or Malformed. Raises BadAnswer where not even its metadata can be read."""
    try:
        return decode(raw)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        return Malformed(read_meta(raw), str(error))


def read_page(body: bytes, decode: Decode[T]) -> Page[T]:
    """One page of a list.

    Raises BadAnswer for anything but a list with a resourceVersion: a Status or a proxy's page
    read as a list would be an empty one, and an empty list wipes a cache.
    """
    try:
        page = _LIST.decode(body)
    except msgspec.DecodeError as error:
        raise BadAnswer(f"not a list: {error}") from error
    if not page.kind.endswith("List") or not page.metadata.resourceVersion:
        raise BadAnswer(f"not a list but a {page.kind or 'nameless thing'}")
    objects = tuple(read_object(raw, decode) for raw in page.items or ())
    return Page(objects, page.metadata.resourceVersion, page.metadata.token)


def read_frame(line: bytes, decode: Decode[T]) -> Frame[T]:
    """One whole line of a watch. Raises BadAnswer where it is no frame at all."""
    try:
        raw = _LINE.decode(line)
    except msgspec.DecodeError as error:
        raise BadAnswer(f"not a line of a watch: {error}") from error
    if raw.type == "ERROR":
        return Frame(raw.type, status=read_status(raw.object))
    if raw.type == "BOOKMARK":
        return Frame(raw.type, version=read_meta(raw.object).resourceVersion)
    found = read_object(raw.object, decode)
    return Frame(raw.type, version=found.metadata.resourceVersion, object=found)


class Lines:
    """Splits chunks into lines of any length; what has no line feed yet is held back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without line feeds and without empty ones."""
        head, feed, rest = chunk.partition(b"\n")
        self._pieces.append(head)
        if not feed:
            return []
        lines = [b"".join(self._pieces)]
        *more, tail = rest.split(b"\n")
        self._pieces = [tail]
        return [line for line in (*lines, *more) if line.strip()]
