"""From a scripted server into store, gate and queues, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from tests.kube.scripted import Recorded, ScriptedSource
from tests.kube.things import THINGS, Thing, bookmark, decode_thing, line, page, thing
from tidbbackup.kube.errors import Forbidden, Status
from tidbbackup.kube.reflector import SLICE, Feed, Health, Reflector
from tidbbackup.kube.resources import Resource
from tidbbackup.kube.store import Change, Store
from tidbbackup.kube.writes import WriteGate
from tidbbackup.model.meta import ObjectKey

pytestmark = pytest.mark.looptime


def _names(change: Change[Thing]) -> Iterable[str]:
    yield change.key.name


@asynccontextmanager
async def _running(reflector: Reflector[Thing]) -> AsyncIterator[None]:
    running = asyncio.create_task(reflector.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_changes_become_keys() -> None:
    source = ScriptedSource([page(10, thing("a", 5))], [[line("ADDED", thing("b", 11)), bookmark(12)]])
    added: list[str] = []
    store = Store[Thing](THINGS)
    reflector = Reflector(source, store, decode_thing, [Feed(_names, added.append)])
    async with _running(reflector):
        await reflector.wait_synced()
        assert added[:1] == ["a"]
        await asyncio.sleep(0.1)
        assert added == ["a", "b"]
        assert store.cache.version == "12"


async def test_a_list_that_is_refused_leaves_the_cache_as_it_was() -> None:
    refused = Forbidden("GET /x", 403, Status())
    source = ScriptedSource(
        [page(10, thing("a", 5)), refused, refused, page(20, thing("b", 15))], [[b"<html>\n"]]
    )
    store = Store[Thing](THINGS)
    reflector = Reflector(source, store, decode_thing)
    async with _running(reflector):
        await asyncio.sleep(1.7)
        assert (len(source.lists), store.cache.all(), store.cache.synced) == (2, (thing("a", 5),), True)
        await asyncio.sleep(100)
        assert store.cache.all() == (thing("b", 15),)


async def test_health_is_the_time_since_the_server_was_heard_of() -> None:
    refused = Forbidden("GET /x", 403, Status())
    source = ScriptedSource([refused, page(10)], [[60.0, bookmark(11)], *[refused] * 100])
    reflector = Reflector(source, Store[Thing](THINGS), decode_thing)
    assert reflector.health() == Health(THINGS, synced=False, age_seconds=float("inf"))
    async with _running(reflector):
        await asyncio.sleep(50)
        assert reflector.health().synced
        assert 40 < reflector.health().age_seconds <= 50
        await asyncio.sleep(20)
        assert reflector.health().age_seconds < 11
        await asyncio.sleep(500)
        assert reflector.health().age_seconds > 500


async def test_an_idle_kind_without_bookmarks_is_healthy() -> None:
    reflector = Reflector(ScriptedSource([page(10)]), Store[Thing](THINGS), decode_thing)
    async with _running(reflector):
        for _ in range(100):
            await asyncio.sleep(13)
            assert reflector.health().age_seconds <= 70


async def test_a_demanded_list_is_begun_after_the_demand() -> None:
    source = ScriptedSource([page(10), page(20)], [[1e9], [1e9]])
    store = Store[Thing](THINGS)
    recorded = Recorded()
    reflector = Reflector(source, store, decode_thing, metrics=recorded.metrics)
    async with _running(reflector):
        await asyncio.sleep(5)
        reflector.relist()
        await asyncio.sleep(1)
        assert [at for at, _, _ in source.lists] == [0, 5]
        assert store.cache.version == "20"
        assert recorded.restarts == ["demanded"]
        assert source.open == 1
    assert source.open == 0


class _DemandedMeanwhile(ScriptedSource):
    """Has its first list demanded again in the moment in which it is answered."""

    reflector: Reflector[Thing]

    async def list_page(self, resource: Resource, namespace: str = "", **query: Any) -> bytes:
        """See ScriptedSource."""
        answer = await super().list_page(resource, namespace, **query)
        if len(self.lists) == 1:
            self.reflector.relist()
        return answer


async def test_a_list_begun_before_the_demand_is_not_the_one_that_was_demanded() -> None:
    source = _DemandedMeanwhile([page(10, thing("old", 5)), page(20)])
    changes: list[Change[Thing]] = []
    feed: Feed[Thing] = Feed(lambda change: (change,), changes.append)
    source.reflector = Reflector(source, Store[Thing](THINGS), decode_thing, [feed])
    async with _running(source.reflector):
        await source.reflector.wait_synced()
        assert (len(source.lists), changes) == (2, [])


async def test_others_run_while_a_long_list_is_passed_on_and_a_demand_loses_none_of_it() -> None:
    names = [f"t{number:04}" for number in range(3 * SLICE)]
    source = ScriptedSource([page(10, *(thing(name, 5) for name in names)), page(20)])
    added: list[str] = []
    store = Store[Thing](THINGS)
    reflector = Reflector(source, store, decode_thing, [Feed(_names, added.append)])
    async with _running(reflector):
        while len(added) < SLICE:  # noqa: ASYNC110  each turn of the loop is looked at
            await asyncio.sleep(0)
        assert len(added) == SLICE
        reflector.relist()
        await reflector.wait_synced()
        assert added == names + names  # made, and then deleted


async def test_an_event_that_the_server_has_lost_is_found_within_about_an_hour() -> None:
    decoded: list[str] = []

    def decode(raw: msgspec.Raw) -> Thing:
        found = decode_thing(raw)
        decoded.append(found.metadata.name)
        return found

    before = [thing("same", 5), thing("changed", 6), thing("gone", 7)]
    after = [thing("same", 5), thing("changed", 11), thing("new", 12)]
    source = ScriptedSource([page(10, *before), page(20, *after)])
    recorded, added = Recorded(), list[str]()
    store = Store[Thing](THINGS)
    reflector = Reflector(source, store, decode, [Feed(_names, added.append)], metrics=recorded.metrics)
    async with _running(reflector):
        await reflector.wait_synced()
        kept = store.cache.get(ObjectKey(THINGS.kind, "ns", "same"))
        added.clear()
        await asyncio.sleep(0.89 * 3600)
        assert (len(source.lists), added) == (1, [])
        await asyncio.sleep(0.22 * 3600)
        assert (len(source.lists), sorted(added)) == (2, ["changed", "gone", "new"])
        assert recorded.lists == 2
        assert "demanded" not in recorded.restarts
        assert decoded == ["same", "changed", "gone", "changed", "new"], "what is the same is not read again"
        assert store.cache.get(ObjectKey(THINGS.kind, "ns", "same")) is kept


async def test_a_write_that_etcd_has_forgotten_is_settled_by_the_list_it_demands() -> None:
    source = ScriptedSource([page(10), page(20)])
    store = Store[Thing](THINGS)
    gate = WriteGate(patience=30)
    reflector = Reflector(source, store, decode_thing, gate=gate)
    gate.follow(THINGS, store.cache, reflector.relist)
    woken: list[str] = []
    async with _running(reflector):
        await reflector.wait_synced()
        gate.note("key", THINGS, "900")
        gate.defer("key", 0, lambda: woken.append("early"))
        gate.defer("key", 30, lambda: woken.append("key"))
        assert not gate.settled("key")
        await asyncio.sleep(1)
        assert (len(source.lists), store.cache.version, woken) == (2, "20", ["key"])


async def test_the_gate_hears_of_every_update() -> None:
    source = ScriptedSource([page(10)], [[5.0, line("ADDED", thing("a", 11)), 5.0, bookmark(12)]])
    store = Store[Thing](THINGS)
    gate = WriteGate()
    reflector = Reflector(source, store, decode_thing, gate=gate)
    gate.follow(THINGS, store.cache, reflector.relist)
    woken: list[str] = []
    async with _running(reflector):
        await asyncio.sleep(1)
        for key, version in (("one", "11"), ("two", "12")):
            gate.note(key, THINGS, version)
            gate.defer(key, 0, lambda key=key: woken.append(key))  # type: ignore[misc]
        await asyncio.sleep(5)
        assert woken == ["one"]
        await asyncio.sleep(5)
        assert woken == ["one", "two"]


async def test_a_route_with_a_bug_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def buggy(change: Change[Thing]) -> Iterable[str]:
        raise KeyError("bug")

    source = ScriptedSource([page(10, thing("a", 5))])
    added: list[str] = []
    feeds = [Feed(buggy, added.append), Feed(_names, added.append)]
    reflector = Reflector(source, Store[Thing](THINGS), decode_thing, feeds)
    async with _running(reflector):
        await asyncio.sleep(1)
        assert added == ["a"]
        assert "no route for a change of ConfigMap ns/a" in caplog.text


async def test_a_bug_of_ours_is_told_and_not_for_good(caplog: pytest.LogCaptureFixture) -> None:
    def index(found: object) -> Iterable[str]:
        raise KeyError("bug")

    source = ScriptedSource([page(10, thing("a", 5)), page(20)])
    store = Store[Thing](THINGS, {"broken": index})
    reflector = Reflector(source, store, decode_thing)
    async with _running(reflector):
        await asyncio.sleep(29)
        assert "configmaps: following broke" in caplog.text
        assert not store.cache.synced
        await asyncio.sleep(2)
        assert store.cache.version == "20"


async def test_all_objects_are_sent_again_when_asked_to() -> None:
    """A process that stood by has thrown the first keys away."""
    source = ScriptedSource([page(10, thing("a", 5), thing("b", 6))])
    added: list[str] = []
    reflector = Reflector(source, Store[Thing](THINGS), decode_thing, [Feed(_names, added.append)])
    async with _running(reflector):
        await reflector.wait_synced()
        added.clear()
        await reflector.resend()
        assert sorted(added) == ["a", "b"]
