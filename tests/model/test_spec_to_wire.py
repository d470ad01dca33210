"""A spec as JSON: what is written is read back the same, and says no more than the user did.

Here is also what model/wire.py promises.
"""

from __future__ import annotations

from typing import Any

import attrs
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.resource.backup import (
    BackoffRetryPolicy,
    BackupSpec,
    DumplingSpec,
    MydumperSpec,
    decode_backup,
    spec_from_wire,
    spec_to_wire,
)
from tidbbackup.model.resource.storage_spec import S3Spec, Source
from tidbbackup.model.wire import Free

TEXT = st.text(max_size=8)
JSON = st.recursive(
    st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=2)
FREE = {dict: OBJECT, list: st.lists(OBJECT, min_size=1, max_size=2)}
BY_HINT: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXT,
    "str | None": st.none() | TEXT,
    "bool": st.booleans(),
    "bool | None": st.none() | st.booleans(),
    "int": st.integers(0, 9999),
    "int | None": st.none() | st.integers(0, 9999),
    "tuple[str, ...]": st.lists(TEXT, max_size=3).map(tuple),
    "dict[str, str] | None": st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
}


def instances(cls: type) -> st.SearchStrategy[Any]:
    """Any value of an attrs class, each field its default or not."""
    fields = {}
    for attribute in attrs.fields(cls):
        shape = attribute.metadata.get("free")
        any_of = FREE[shape].map(msgspec.json.encode).map(Free) if shape else BY_HINT[str(attribute.type)]
        fields[attribute.name] = st.just(attribute.default) | any_of
    return st.builds(cls, **fields)


for part in (Source, S3Spec, MydumperSpec, DumplingSpec, BackoffRetryPolicy):
    BY_HINT[f"{part.__name__} | None"] = st.none() | instances(part)


@given(instances(BackupSpec))
def test_what_is_written_is_read_back(spec: BackupSpec) -> None:
    wire = spec_to_wire(spec)

    assert spec_from_wire(msgspec.json.encode(wire)) == spec
    assert decode_backup(msgspec.json.encode({"metadata": {}, "spec": wire})).spec == spec
    assert "source" not in wire


@given(instances(BackupSpec))
def test_no_default_is_written(spec: BackupSpec) -> None:
    wire = spec_to_wire(spec)

    given = {
        attribute.name
        for attribute in attrs.fields(BackupSpec)
        if getattr(spec, attribute.name) != attribute.default
    }
    assert {"source" if name == "from" else name for name in wire} == given
    assert spec_to_wire(spec_from_wire(msgspec.json.encode(wire))) == wire


def test_it_is_what_a_user_would_write() -> None:
    spec = {
        "from": {"host": "tidb", "secretName": "db"},
        "s3": {
            "provider": "ceph",
            "endpoint": "http://ceph",
            "options": ["--ignore-checksum"],
            "forcePathStyle": False,
        },
        "mydumper": {},
        "resources": {"limits": {"cpu": 1, "memory": ""}, "claims": []},
        "env": [{"name": "A", "value": ""}],
        "nodeSelector": {"disk": ""},
    }

    assert spec_to_wire(spec_from_wire(msgspec.json.encode(spec))) == spec


def test_an_empty_spec_is_empty() -> None:
    assert spec_to_wire(BackupSpec()) == {}
