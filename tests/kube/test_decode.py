"""From bytes to objects, pages and frames."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kube.things import Thing, bookmark, decode_thing, error_line, line, page, status, thing, wire
from tidbbackup.kube.decode import (
    NESTING,
    Frame,
    Lines,
    Malformed,
    read_frame,
    read_meta,
    read_object,
    read_page,
)
from tidbbackup.kube.errors import BadAnswer
from tidbbackup.model.resource.backup import Backup
from tidbbackup.reconcile.kinds import KINDS

ODD = wire(thing("odd", 7)) | {"data": {"number": 1}}


def test_an_object_is_read_without_managed_fields() -> None:
    found = read_object(msgspec.Raw(msgspec.json.encode(wire(thing("a", 3, colour="red")))), decode_thing)
    assert found == thing("a", 3, colour="red")


def test_an_object_that_does_not_fit_keeps_its_metadata_and_says_why() -> None:
    found = read_object(msgspec.Raw(msgspec.json.encode(ODD)), decode_thing)
    assert isinstance(found, Malformed)
    assert found.metadata == thing("odd", 7).metadata
    assert "data" in found.why


def test_a_decoder_of_ones_own_may_refuse_too() -> None:
    def refuse(raw: msgspec.Raw) -> Thing:
        raise ValueError("spec.schedule: no")

    found = read_object(msgspec.Raw(msgspec.json.encode(ODD)), refuse)
    assert isinstance(found, Malformed)
    assert found.why == "spec.schedule: no"


MANY = {f"n{number}": "" for number in range(65_000)}
LARGE: dict[str, dict[str, Any]] = {
    "data.text": {"data": {"text": "x" * 300_000}},
    "metadata.labels": {"metadata": {"labels": MANY}},
    "metadata.annotations": {"metadata": {"annotations": {"a": "x" * 300_000}}},
    "metadata.finalizers": {"metadata": {"finalizers": list(MANY)}},
}


@pytest.mark.parametrize("field", LARGE)
def test_an_object_that_is_too_large_is_named_and_costs_next_to_nothing(field: str) -> None:
    whole = wire(thing("a", 3))
    for part, fields in LARGE[field].items():
        whole[part] = whole[part] | fields
    raw = msgspec.Raw(msgspec.json.encode(whole))
    read_object(raw, decode_thing)
    tracemalloc.start()
    try:
        found = read_object(raw, decode_thing)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(found, Malformed)
    assert found.metadata == thing("a", 3).metadata
    assert f"262,144 bytes at the most): {field} has " in found.why
    assert kept < 50_000


def test_what_is_not_kept_may_be_as_large_as_it_likes() -> None:
    whole = wire(thing("a", 3)) | {"spec": {"env": MANY}}
    whole["metadata"]["managedFields"] = [{"fieldsV1": MANY}]
    assert read_object(msgspec.Raw(msgspec.json.encode(whole)), decode_thing) == thing("a", 3)


def test_the_words_about_one_that_does_not_fit_are_bounded_too() -> None:
    def refuse(raw: msgspec.Raw) -> Thing:
        raise ValueError("x" * 1_000_000)

    whole = wire(thing("a", 3))
    whole["metadata"]["labels"] = MANY
    found = read_object(msgspec.Raw(msgspec.json.encode(whole)), refuse)
    assert isinstance(found, Malformed)
    assert len(found.why) < 3_000
    assert found.metadata == thing("a", 3).metadata


@pytest.fixture
def as_in_the_controller() -> Iterator[None]:
    """With the controller's recursion limit."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(NESTING)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("as_in_the_controller")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", ["affinity", "nodeSelector", "backupTemplate", "else"])
def test_what_is_nested_as_deep_as_an_api_server_takes_is_read(field: str, kind: str) -> None:
    deep = b'{"a":' * 9_990 + b"1" + b"}" * 9_990
    raw = b'{"metadata":{"name":"a","resourceVersion":"1"},"spec":{"%s":%s}}' % (field.encode(), deep)
    found = read_page(b'{"kind":"List","metadata":{"resourceVersion":"9"},"items":[%s]}' % raw)
    view = read_object(found.items[0], KINDS[kind].decode)
    assert view.metadata.name == "a"
    assert read_frame(b'{"type":"ADDED","object":%s}' % raw, KINDS[kind].decode).version == "1"
    if isinstance(view, Backup) and view.spec.affinity:
        assert msgspec.json.encode(view.spec.affinity.value) == deep


def test_what_has_no_metadata_is_no_object() -> None:
    with pytest.raises(BadAnswer, match="not an object"):
        read_meta(b'{"kind": "Pod"}')


def test_a_page_has_objects_version_and_token() -> None:
    found = read_page(page(9, thing("a", 3), thing("b", 4), token="more"))
    assert [read_object(raw, decode_thing) for raw in found.items] == [thing("a", 3), thing("b", 4)]
    assert (found.version, found.token) == ("9", "more")


def test_go_writes_an_empty_list_as_null_at_times() -> None:
    body = b'{"kind": "PodList", "metadata": {"resourceVersion": "9"}, "items": null}'
    assert read_page(body).items == ()


@pytest.mark.parametrize(
    "body",
    [
        msgspec.json.encode(status(403, "Forbidden")),
        b"<html></html>",
        b"",
        b"{}",
        b'{"kind": "PodList", "items": []}',
        b'{"kind": "PodList", "metadata": {"resourceVersion": "9"}}',
        b'{"kind": "PodList", "metadata": {"resourceVersion": ""}, "items": []}',
        b'{"kind": "Pod", "metadata": {"resourceVersion": "9"}, "items": []}',
        page(9, thing("a", 3))[:-5],
    ],
)
def test_what_is_not_a_list_is_never_an_empty_one(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_page(body)


def test_frames() -> None:
    assert read_frame(line("ADDED", thing("a", 3)), decode_thing) == Frame("ADDED", "3", thing("a", 3))
    assert read_frame(bookmark(12), decode_thing) == Frame("BOOKMARK", "12")
    error = read_frame(error_line(410, "Expired"), decode_thing)
    assert error.status is not None
    assert (error.type, error.status.code, error.status.reason) == ("ERROR", 410, "Expired")


@pytest.mark.parametrize(
    "garbage", [b"{", b"<html>", b'{"type": "ADDED"}', b'{"type": "ADDED", "object": {}}']
)
def test_a_line_that_is_no_frame(garbage: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_frame(garbage, decode_thing)


@given(
    texts=st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"-")), max_size=8),
    cuts=st.lists(st.integers(0, 200)),
)
def test_lines_are_the_same_however_they_are_cut(texts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(text + b"\n" for text in texts) + b"an unfinished one"
    lines = Lines()
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    found = [whole for start, end in pairwise(places) for whole in lines.feed(stream[start:end])]
    assert found == [text for text in texts if text.strip()]


def test_a_line_may_be_longer_than_any_buffer() -> None:
    lines = Lines()
    long = b"x" * 3_000_000
    chunks = [long[start : start + 65536] for start in range(0, len(long), 65536)]
    assert [line for chunk in chunks for line in lines.feed(chunk)] == []
    assert lines.feed(b"\n") == [long]
