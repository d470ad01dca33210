"""Turns the API's bytes into our classes: single objects, pages of a list, frames of a watch.

An object that does not fit its class, or is too large to keep, becomes Malformed, a value like any other:
it is neither lost nor able to stop a reflector, and costs some KiB. Must not know any particular kind, nor
when to list or watch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import attrs
import msgspec
from attrs import frozen

from tidbbackup.kube.errors import BadAnswer, Status, read_status
from tidbbackup.model.meta import Meta

OBJECT_LIMIT = 256 * 1024
"""Bytes that an object may take in a cache: twice what fits into one environment variable of a pod."""
LINE_LIMIT = 8 * 1024 * 1024
"""Bytes of a line of a watch; etcd keeps objects up to 1.5 MiB."""
NESTING = 30_000
"""Python's recursion limit under which all is read that an API server takes: JSON of 10,000 levels."""
_SMALL = 8 * 1024
"""An object with less JSON than this is not weighed, whatever its content."""
_PART = 48
"""Bytes that a name or value takes in addition to its text."""
_WORDS_LIMIT = 2048
"""Bytes of the words about one that is Malformed, and of its annotations, which nobody reads."""
_NAMES_LIMIT = 32 * 1024
"""Bytes of its labels, by which it is found, and of what else its metadata lists: 64 of the longest fit."""


class HasMeta(Protocol):
    """What a store needs of an object."""

    @property
    def metadata(self) -> Meta:
        """The object's metadata."""


@frozen
class Malformed:
    """Replaces in the store an object that is not kept; `why` names the field that does not fit."""

    metadata: Meta
    why: str


T = TypeVar("T", bound=HasMeta)

Decode = Callable[[msgspec.Raw], T]
"""Decodes one object; raises msgspec's errors, ValueError or TypeError if it does not fit."""


@frozen
class Page:
    """One page of a list, its objects not yet read; `token` is "" on the last."""

    items: tuple[msgspec.Raw, ...]
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
    """The metadata of a single object. Raises BadAnswer if there is none."""
    try:
        return _BARE.decode(body).metadata
    except msgspec.DecodeError as error:
        raise BadAnswer(f"not an object of the API: {error}") from error


def read_object(raw: msgspec.Raw, decode: Decode[T]) -> T | Malformed:
    """One object, or Malformed. Raises BadAnswer if its metadata cannot be read either."""
    try:
        found = decode(raw)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        return _malformed(read_meta(raw), str(error))
    if len(raw) > _SMALL and _weight(found) > OBJECT_LIMIT:
        return _malformed(found.metadata, _too_large(raw, found))
    return found


def _weight(found: HasMeta) -> int:
    """About how many bytes `found` takes: its text, and a constant for each name and value."""
    text = msgspec.json.encode(found)
    return len(text) + _PART * (text.count(b",") + text.count(b":"))


def _too_large(raw: msgspec.Raw, found: HasMeta) -> str:
    sizes = {}
    for part, fields in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items():
        if hasattr(found, part) and bytes(fields).startswith(b"{"):
            named = msgspec.json.decode(fields, type=dict[str, msgspec.Raw]).items()
            sizes.update({f"{part}.{name}": len(value) for name, value in named if name != "managedFields"})
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
    shown = ", ".join(f"{name} has {sizes[name]:,} bytes" for name in largest)
    return f"too large to be kept ({OBJECT_LIMIT:,} bytes at the most): {shown}; make the largest smaller"


def _malformed(meta: Meta, why: str) -> Malformed:
    limits: tuple[tuple[str, Any, int], ...] = (
        ("annotations", {}, _WORDS_LIMIT),
        ("labels", {}, _NAMES_LIMIT),
        ("finalizers", (), _NAMES_LIMIT),
        ("ownerReferences", (), _NAMES_LIMIT),
    )
    long = {
        name: empty for name, empty, most in limits if len(msgspec.json.encode(getattr(meta, name))) > most
    }
    return Malformed(attrs.evolve(meta, **long), why[:_WORDS_LIMIT])


def read_page(body: bytes) -> Page:
    """One page of a list.

    Raises BadAnswer for anything except a list with a resourceVersion: a Status or a proxy's page,
    read as a list, would be an empty list, and an empty list clears a cache.
    """
    try:
        page = _LIST.decode(body)
    except msgspec.DecodeError as error:
        raise BadAnswer(f"not a list: {error}") from error
    if not page.kind.endswith("List") or not page.metadata.resourceVersion:
        raise BadAnswer(f"not a list but a {page.kind or 'nameless thing'}")
    return Page(tuple(page.items or ()), page.metadata.resourceVersion, page.metadata.token)


def read_frame(line: bytes, decode: Decode[T]) -> Frame[T]:
    """One whole line of a watch. Raises BadAnswer if it is no frame."""
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
    """Splits chunks into lines; text without a line feed waits for the next chunk."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without line feeds and without empty ones.

        Raises BadAnswer for a line that is longer than any object.
        """
        head, feed, rest = chunk.partition(b"\n")
        self._pieces.append(head)
        self._held += len(head)
        if self._held > LINE_LIMIT:
            raise BadAnswer(f"a line of more than {LINE_LIMIT:,} bytes")
        if not feed:
            return []
        lines = [b"".join(self._pieces)]
        *more, tail = rest.split(b"\n")
        self._pieces, self._held = [tail], len(tail)
        return [line for line in (*lines, *more) if line.strip()]
