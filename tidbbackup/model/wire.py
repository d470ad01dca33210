"""How a field of a custom resource is declared: its default, its meaning, and what its schema refuses.

The CRDs are generated from these declarations (model/schema.py), so model and schema cannot drift apart.
Must not know any particular resource.
"""

from __future__ import annotations

from typing import Any

import attrs

# What a text may hold at the most where nothing else limits it; CEL needs every text bounded.
NAME_LENGTH = 253
TEXT_LENGTH = 1024
# A time and this many seconds is still a date; Kubernetes has the same limit.
SECONDS_LIMIT = 2**31 - 1


def declared(default: Any, description: str, /, **schema: Any) -> Any:
    """An attrs field with what `kubectl explain` says of it and the schema words that bound it.

    A default that is empty or false stands in the schema only where it is among those words.
    """
    metadata = {"description": description, "schema": schema}
    return attrs.field(default=default, metadata=metadata)


def required(description: str, **schema: Any) -> Any:
    """A field that the schema insists on; the model still reads an object without it."""
    return attrs.field(default="", metadata={"description": description, "schema": schema, "required": True})


def passed_on(default: Any, description: str) -> Any:
    """A field in Kubernetes' own words that goes into the pod as it is; the API server judges it there."""
    return attrs.field(default=default, metadata={"description": description, "schema": {}, "free": True})


def without_nulls(value: Any) -> Any:
    """The same JSON value without members that are null."""
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(member) for member in value]
    return value
