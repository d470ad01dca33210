"""How a field of a custom resource is declared: its default, its meaning, and what its schema refuses.

The CRDs are generated from these declarations (model/resource/schema.py), so model and schema cannot
differ. Must not know any particular resource.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

import attrs
import msgspec
from attrs import frozen

# The limit of a text without another limit; CEL needs a limit for every text.
NAME_LENGTH = 253
TEXT_LENGTH = 1024
# A time plus this many seconds is still a valid date; Kubernetes has the same limit.
SECONDS_LIMIT = 2**31 - 1
# Far above real use: an object over the limit, stored before the limit existed, cannot get a status.
FREE_ITEMS = 1024
FREE_PROPERTIES = 64


def declared(default: Any, description: str, /, **schema: Any) -> Any:
    """An attrs field with its description for `kubectl explain` and its limits in the schema.

    A default that is empty or false is in the schema only if `schema` has it.
    """
    metadata = {"description": description, "schema": schema}
    return attrs.field(default=default, metadata=metadata)


def required(description: str, **schema: Any) -> Any:
    """A field that the schema requires; the model also reads an object without it."""
    return attrs.field(default="", metadata={"description": description, "schema": schema, "required": True})


def passed_on(description: str, shape: type[list[Any] | dict[str, Any]] = dict) -> Any:
    """A Free field; the API server validates it in the pod."""
    bound = {"maxItems": FREE_ITEMS} if shape is list else {"maxProperties": FREE_PROPERTIES}
    return attrs.field(default=None, metadata={"description": description, "schema": bound, "free": shape})


@frozen
class Free:
    """A field of Kubernetes' own types that is copied into the pod; it stays bytes until its value is read.

    A field of many small parts takes fifteen times as much memory decoded as it takes as bytes.
    """

    raw: bytes

    @property
    def value(self) -> Any:
        """The JSON value without members that are null, decoded at each call."""
        return without_nulls(msgspec.json.decode(self.raw))


def objects(free: Free | None) -> list[dict[str, Any]]:
    """The objects of a list; empty if it is absent."""
    return free.value if free else []


def members(free: Free | None) -> dict[str, Any]:
    """The members of an object; empty if it is absent."""
    return free.value if free else {}


T = TypeVar("T")
EMPTY = msgspec.Raw(b"{}")
_NULL = msgspec.Raw(b"null")


_ANY_OBJECT = msgspec.defstruct("AnyObject", [], gc=False)  # Its members are ignored.
_SHAPES: dict[type, msgspec.json.Decoder[Any]] = {
    dict: msgspec.json.Decoder(_ANY_OBJECT),
    list: msgspec.json.Decoder(list[_ANY_OBJECT]),  # type: ignore[valid-type]
}


def _free(shape: msgspec.json.Decoder[Any], raw: msgspec.Raw) -> Free | None:
    shape.decode(raw)
    # A copy: a view would keep the whole page that it came in.
    data = bytes(raw)
    return None if data == b"[]" else Free(data)


class Reader(Generic[T]):
    """Reads one class of declared fields; unknown members are skipped without being decoded.

    A field that is empty in YAML is null; the specification allows that, and it means absent.
    `from` is a Python keyword: the model has `source` for it. `parts` read the fields of their names.
    """

    def __init__(self, cls: type[T], **parts: Callable[[msgspec.Raw], Any]) -> None:
        fields = attrs.fields(cls)  # type: ignore[arg-type]
        free = {each.name: each.metadata["free"] for each in fields if "free" in each.metadata}
        self._cls = cls
        self._parts = {name: partial(_free, _SHAPES[shape]) for name, shape in free.items()} | parts
        wire = [(each.name, msgspec.Raw if each.name in self._parts else Any, None) for each in fields]
        self._wire = msgspec.json.Decoder(msgspec.defstruct("Wire", wire, rename={"source": "from"}))

    def read(self, data: bytes | msgspec.Raw) -> T:
        """Raises msgspec.ValidationError with the path if a field has the wrong type."""
        wire = self._wire.decode(data)
        given = {}
        for name in wire.__struct_fields__:
            value = getattr(wire, name)
            if isinstance(value, msgspec.Raw):
                value = None if value == _NULL else self._part(name, value)
            if value is not None:
                given[name] = without_nulls(value)
        try:
            return msgspec.convert(given, self._cls)
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(str(error).replace("`$.source", "`$.from")) from error

    def _part(self, name: str, raw: msgspec.Raw) -> Any:
        try:
            return self._parts[name](raw)
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at `$")
            raise msgspec.ValidationError(f"{what} - at `$.{name}{path.rstrip('`')}`") from error


def without_nulls(value: Any) -> Any:
    """The same JSON value without members that are null."""
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(member) for member in value]
    return value
