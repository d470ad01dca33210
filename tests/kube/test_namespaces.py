"""Chosen namespaces, each followed by itself: one picture of all, and no list of one speaks for another."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kube.scripted import ScriptedSource
from tests.kube.things import THINGS, Thing, by_namespace, decode_thing, page, thing
from tidbbackup.kube.decode import Malformed
from tidbbackup.kube.errors import Forbidden, Status
from tidbbackup.kube.reflector import Health, Reflector
from tidbbackup.kube.store import Cache, Store
from tidbbackup.kube.updates import Bookmark, Relisted
from tidbbackup.kube.writes import WriteGate
from tidbbackup.model.meta import ObjectKey


def by_app(found: Thing | Malformed) -> tuple[str, ...]:
    """Index by one label's value, together with the namespace."""
    app = found.metadata.labels.get("app")
    return () if app is None else (f"{found.metadata.namespace}/{app}",)


INDEXES = {"namespace": by_namespace, "app": by_app}


def _stores() -> tuple[Store[Thing], Store[Thing]]:
    return Store(THINGS, INDEXES), Store(THINGS, INDEXES)


def test_one_cache_over_both() -> None:
    a, b = _stores()
    cache = Cache(a, b)
    a.apply(Relisted((thing("x", 5, namespace="a"), thing("y", 6, namespace="a")), "10"))
    b.apply(Relisted((thing("x", 7, namespace="b"),), "12"))
    assert (len(cache), cache.resource) == (3, THINGS)
    assert cache.get(ObjectKey("ConfigMap", "b", "x")) == thing("x", 7, namespace="b")
    assert cache.get(ObjectKey("ConfigMap", "c", "x")) is None
    assert [found.metadata.name for found in cache.by("namespace", "a")] == ["x", "y"]
    assert cache.by("namespace", "b") == (thing("x", 7, namespace="b"),)
    assert {found.metadata.namespace for found in cache.all()} == {"a", "b"}


def test_it_is_synced_when_all_are_and_as_old_as_the_oldest() -> None:
    a, b = _stores()
    cache = Cache(a, b)
    assert (cache.synced, cache.version) == (False, "")
    b.apply(Relisted((), "99"))
    assert (cache.synced, cache.version) == (False, "")
    a.apply(Relisted((), "100"))
    assert (cache.synced, cache.version) == (True, "99")
    b.apply(Bookmark("101"))
    assert cache.version == "100"


def test_a_list_of_one_does_not_wipe_the_other() -> None:
    a, b = _stores()
    cache = Cache(a, b)
    a.apply(Relisted((thing("x", 5, namespace="a"),), "10"))
    b.apply(Relisted((thing("x", 7, namespace="b"),), "10"))
    (gone,) = a.apply(Relisted((), "20"))
    assert (gone.key.namespace, gone.new) == ("a", None)
    assert cache.all() == (thing("x", 7, namespace="b"),)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(1, 99))))
def test_it_shows_what_one_store_for_all_would(puts: list[tuple[str, str, int]]) -> None:
    each = {"a": Store[Thing](THINGS, INDEXES), "b": Store[Thing](THINGS, INDEXES)}
    whole, joined = Store[Thing](THINGS, INDEXES), Cache(*each.values())
    newest = {(namespace, name): version for namespace, name, version in puts}
    things = [thing(name, version, namespace=ns) for (ns, name), version in newest.items()]
    whole.apply(Relisted(tuple(things), "100"))
    for namespace, store in each.items():
        store.apply(Relisted(tuple(t for t in things if t.metadata.namespace == namespace), "100"))
    assert sorted(map(repr, joined.all())) == sorted(map(repr, whole.cache.all()))
    for found in things:
        key = ObjectKey("ConfigMap", found.metadata.namespace, found.metadata.name)
        assert joined.get(key) == whole.cache.get(key)
    for namespace in "ab":
        assert joined.by("namespace", namespace) == whole.cache.by("namespace", namespace)


def _followed(demanded: list[str]) -> tuple[WriteGate, Store[Thing], Store[Thing]]:
    gate, (a, b) = WriteGate(patience=30), _stores()
    for namespace, store in (("a", a), ("b", b)):
        store.apply(Relisted((), "10"))
        gate.follow(THINGS, store.cache, lambda namespace=namespace: demanded.append(namespace), namespace)  # type: ignore[misc]
    return gate, a, b


def test_a_write_is_waited_for_where_it_was_made() -> None:
    gate, a, b = _followed([])
    gate.note("k", THINGS, "20", "a")
    b.apply(Bookmark("30"))
    assert not gate.settled("k")
    a.apply(Bookmark("20"))
    assert gate.settled("k")


def test_a_namespace_that_nobody_follows_is_not_waited_for() -> None:
    gate, _, _ = _followed([])
    gate.note("k", THINGS, "20", "c")
    assert gate.settled("k")


def test_who_follows_all_namespaces_is_waited_for_from_each() -> None:
    gate, store = WriteGate(), Store[Thing](THINGS)
    store.apply(Relisted((), "10"))
    gate.follow(THINGS, store.cache, lambda: None)
    gate.note("k", THINGS, "20", "a")
    gate.note_deleted("other", THINGS, "b", "x", "uid-x")
    assert (gate.settled("k"), gate.settled("other")) == (False, True)


def test_only_its_own_list_is_demanded_and_only_that_settles_it() -> None:
    demanded: list[str] = []
    gate, _, _ = _followed(demanded)
    gate.note("k", THINGS, "900", "a")
    gate.defer("k", 0, lambda: None)
    gate.defer("k", 30, lambda: None)
    assert demanded == ["a"]
    gate.relisted(THINGS, "b")
    assert not gate.settled("k")
    gate.relisted(THINGS, "a")
    assert gate.settled("k")


@pytest.mark.looptime
async def test_a_reflector_tells_its_namespace(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    source = ScriptedSource([Forbidden("GET /x", 403, Status()), page(10)])
    store, gate = Store[Thing](THINGS), WriteGate()
    reflector = Reflector(source, store, decode_thing, gate=gate, namespace="a")
    gate.follow(THINGS, store.cache, reflector.relist, "a")
    running = asyncio.create_task(reflector.run())
    await reflector.wait_synced()
    health = reflector.health()
    assert (health, str(health)) == (Health(THINGS, True, health.age_seconds, "a"), "configmaps in a")
    assert "configmaps in a: GET /x: 403" in caplog.text
    running.cancel()
    await asyncio.wait([running])
