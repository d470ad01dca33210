"""Which keys have writes that a cache has not seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from attrs import evolve

from tests.kube.http_peer import answer, http_peer
from tests.kube.things import THINGS, Thing, thing
from tidbbackup.kube.client import Client
from tidbbackup.kube.errors import BadAnswer, NotFound
from tidbbackup.kube.resources import EVENTS, JOBS
from tidbbackup.kube.store import Store
from tidbbackup.kube.updates import Applied, Bookmark, Deleted, Relisted
from tidbbackup.kube.writes import WriteGate, Writer


def _gate(store: Store[Thing]) -> WriteGate:
    store.apply(Relisted((thing("a", 5),), "10"))
    gate = WriteGate(patience=30)
    gate.follow(THINGS, store.cache, lambda: None)
    return gate


def _store() -> Store[Thing]:
    return Store(THINGS)


def test_a_key_without_writes_is_settled() -> None:
    assert _gate(_store()).settled("k")


def test_a_write_is_settled_by_its_own_event_or_any_later_one() -> None:
    for update in (
        Applied(thing("a", 11)),
        Bookmark("11"),
        Bookmark("400"),
        Relisted((thing("a", 11),), "12"),
    ):
        store = _store()
        gate = _gate(store)
        gate.note("k", THINGS, "11")
        assert not gate.settled("k")
        store.apply(update)
        assert gate.settled("k")


def test_a_write_that_the_cache_knows_already_is_not_waited_for() -> None:
    gate = _gate(_store())
    gate.note("k", THINGS, "10")
    assert gate.settled("k")


def test_every_write_of_a_key_must_be_seen() -> None:
    things, jobs = _store(), Store[Thing](JOBS)
    gate = _gate(things)
    jobs.apply(Relisted((), "10"))
    gate.follow(JOBS, jobs.cache, lambda: None)
    gate.note("k", JOBS, "12")
    gate.note("k", THINGS, "13")
    gate.note("other", THINGS, "11")
    things.apply(Bookmark("12"))
    assert (gate.settled("k"), gate.settled("other")) == (False, True)
    things.apply(Bookmark("13"))
    assert not gate.settled("k")
    jobs.apply(Bookmark("12"))
    assert gate.settled("k")


def test_kinds_that_nobody_follows_are_not_waited_for() -> None:
    gate = _gate(_store())
    gate.note("k", EVENTS, "99")
    assert gate.settled("k")


def test_a_deletion_is_settled_when_the_object_is_gone_leaving_or_another() -> None:
    leaving = thing("a", 11)
    leaving = evolve(
        leaving, metadata=evolve(leaving.metadata, deletionTimestamp=datetime(2026, 1, 1, tzinfo=UTC))
    )
    for update in (Deleted(thing("a", 11)), Applied(leaving), Applied(thing("a", 11, uid="another"))):
        store = _store()
        gate = _gate(store)
        gate.note_deleted("k", THINGS, "ns", "a", "uid-a")
        store.apply(Bookmark("400"))
        assert not gate.settled("k")
        store.apply(update)
        assert gate.settled("k")


def test_a_deferred_key_is_woken_once() -> None:
    store = _store()
    gate = _gate(store)
    woken: list[str] = []
    gate.note("k", THINGS, "12")
    assert gate.defer("k", 100, lambda: woken.append("k")) == 30
    store.apply(Bookmark("11"))
    gate.observed()
    assert woken == []
    store.apply(Bookmark("12"))
    gate.observed()
    gate.observed()
    assert woken == ["k"]


def test_patience_counts_from_the_first_deferral_of_these_writes() -> None:
    store = _store()
    demands: list[str] = []
    gate = _gate(store)
    gate.follow(THINGS, store.cache, lambda: demands.append("list"))
    gate.note("k", THINGS, "12")
    assert gate.defer("k", 100, print) == 30
    assert gate.defer("k", 120, print) == 10
    assert demands == []
    assert gate.defer("k", 130, print) == 30
    assert demands == ["list"]
    store.apply(Bookmark("12"))
    assert gate.settled("k")
    gate.note("k", THINGS, "13")
    assert gate.defer("k", 500, print) == 30
    assert demands == ["list"]


def test_a_list_that_was_not_asked_for_settles_only_what_it_reaches() -> None:
    store = _store()
    gate = _gate(store)
    gate.note("k", THINGS, "12")
    store.apply(Relisted((), "11"))
    gate.relisted(THINGS)
    assert not gate.settled("k")


OBJECT = {"metadata": {"name": "a", "namespace": "ns", "uid": "uid-a", "resourceVersion": "11"}}


@pytest.mark.parametrize(
    "call",
    [
        lambda w: w.create(THINGS, "ns", {}),
        lambda w: w.patch(THINGS, "ns", "a", {}, subresource="status"),
    ],
)
async def test_every_write_is_noted_for_its_key(call: Callable[[Writer], Awaitable[bytes]]) -> None:
    gate = _gate(_store())
    async with http_peer([answer(200, OBJECT)]) as peer, Client(peer.connection()) as client:
        await call(Writer(client, gate, "key"))
    assert (gate.settled("key"), gate.settled("other")) == (False, True)


async def test_an_answer_without_a_version_is_not_taken_for_a_write() -> None:
    async with http_peer([answer(200, {"metadata": {}})]) as peer, Client(peer.connection()) as client:
        with pytest.raises(BadAnswer, match="no resourceVersion"):
            await Writer(client, _gate(_store()), "key").create(THINGS, "ns", {})


async def test_a_deletion_is_noted_also_where_the_object_is_gone_already() -> None:
    store = _store()
    gate = _gate(store)
    answers = [answer(200, {"kind": "Status"}), answer(404)]
    async with http_peer(answers) as peer, Client(peer.connection()) as client:
        await Writer(client, gate, "one").delete(THINGS, "ns", "a", uid="uid-a", propagation="Background")
        with pytest.raises(NotFound):
            await Writer(client, gate, "two").delete(THINGS, "ns", "a", uid="uid-a", propagation="Background")
    assert (gate.settled("one"), gate.settled("two")) == (False, False)
    store.apply(Relisted((), "12"))
    assert (gate.settled("one"), gate.settled("two")) == (True, True)
