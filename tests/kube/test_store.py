"""The store against a naive model, and the cases that have names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kube.things import THINGS, Thing, by_namespace, thing
from tidbbackup.kube.decode import Malformed
from tidbbackup.kube.store import Change, Store
from tidbbackup.kube.updates import Applied, Bookmark, Deleted, Relisted, Update
from tidbbackup.model.meta import Meta, ObjectKey


def _key(name: str, namespace: str = "ns") -> ObjectKey:
    return ObjectKey("ConfigMap", namespace, name)


def _store(*things: Thing, version: str = "100") -> Store[Thing]:
    store: Store[Thing] = Store(THINGS, {"namespace": by_namespace})
    store.apply(Relisted(things, version))
    return store


def test_nothing_is_synced_before_the_first_list() -> None:
    store: Store[Thing] = Store(THINGS)
    assert (store.cache.synced, store.cache.version) == (False, "")
    store.apply(Relisted((), "7"))
    assert (store.cache.synced, store.cache.version) == (True, "7")


def test_a_list_adds_changes_and_derives_what_is_gone() -> None:
    store = _store(thing("gone", 1), thing("same", 2), thing("changed", 3))
    changes = store.apply(Relisted((thing("same", 2), thing("changed", 9), thing("new", 8)), "10"))
    assert changes == (
        Change(_key("gone"), thing("gone", 1), None),
        Change(_key("changed"), thing("changed", 3), thing("changed", 9)),
        Change(_key("new"), None, thing("new", 8)),
    )
    assert len(store.cache) == 3


def test_created_again_under_its_name_is_another_object() -> None:
    old, new = thing("a", 1, uid="one"), thing("a", 9, uid="two")
    both = (Change(_key("a"), old, None), Change(_key("a"), None, new))
    assert _store(old).apply(Applied(new)) == both
    assert _store(old).apply(Relisted((new,), "10")) == both


def test_the_late_deletion_of_its_predecessor_does_not_touch_it() -> None:
    store = _store(thing("a", 9, uid="two"))
    assert store.apply(Deleted(thing("a", 8, uid="one"))) == ()
    assert store.cache.get(_key("a")) is not None


def test_repeated_and_older_frames_change_nothing() -> None:
    store = _store(thing("a", 99))
    assert store.apply(Applied(thing("a", 99))) == ()
    assert store.apply(Applied(thing("a", 9))) == ()
    assert store.apply(Applied(thing("a", 9, uid="older"))) == ()
    assert store.cache.get(_key("a")) == thing("a", 99)
    assert store.apply(Deleted(thing("b", 98))) == ()


def test_a_bookmark_moves_the_version_only_forward() -> None:
    store = _store(version="100")
    store.apply(Bookmark("120"))
    assert store.cache.version == "120"
    store.apply(Bookmark("99"))
    store.apply(Applied(thing("a", 98)))
    assert store.cache.version == "120"


def test_a_list_may_move_the_version_back_as_after_a_restored_etcd() -> None:
    store = _store(thing("a", 90), version="100")
    assert store.apply(Relisted((thing("a", 40),), "50")) == (
        Change(_key("a"), thing("a", 90), thing("a", 40)),
    )
    assert store.cache.version == "50"
    assert store.apply(Applied(thing("a", 51))) != ()


def test_malformed_objects_are_objects() -> None:
    odd = Malformed(Meta(name="a", namespace="ns", uid="u", resourceVersion="5"), "why")
    store = _store()
    assert store.apply(Applied(odd)) == (Change(_key("a"), None, odd),)
    assert store.cache.by("namespace", "ns") == (odd,)


def test_an_index_that_raises_leaves_the_store_as_it_was() -> None:
    def picky(found: Thing | Malformed) -> tuple[str, ...]:
        if found.metadata.name == "bad":
            raise ValueError("bug")
        return (found.metadata.name,)

    store: Store[Thing] = Store(THINGS, {"name": picky})
    store.apply(Relisted((thing("a", 1),), "1"))
    with pytest.raises(ValueError, match="bug"):
        store.apply(Applied(thing("bad", 2)))
    assert store.cache.all() == (thing("a", 1),)
    assert store.cache.by("name", "bad") == ()


NAMES = st.sampled_from(["a", "b", "c"])
UIDS = st.sampled_from(["one", "two"])
NAMESPACES = st.sampled_from(["x", "y"])


@st.composite
def histories(draw: st.DrawFn) -> list[Update[Thing]]:
    """What an API server could send: versions only grow, a list has each name once."""
    found: list[Update[Thing]] = []
    version = 1
    for _ in range(draw(st.integers(1, 12))):
        version += draw(st.integers(1, 50))
        one = thing(draw(NAMES), version, draw(UIDS), draw(NAMESPACES))
        listed = draw(st.lists(st.tuples(NAMES, UIDS, NAMESPACES), unique_by=lambda t: (t[0], t[2])))
        relisted = Relisted(tuple(thing(n, version, u, ns) for n, u, ns in listed), str(version))
        choices: list[Update[Thing]] = [Applied(one), Deleted(one), Bookmark(str(version)), relisted]
        found.append(draw(st.sampled_from(choices)))
    return found


def _naive(world: dict[ObjectKey, Thing], update: Update[Thing]) -> dict[ObjectKey, Thing]:
    match update:
        case Relisted(objects=objects):
            return {_key(t.metadata.name, t.metadata.namespace): t for t in objects if isinstance(t, Thing)}
        case Applied(object=Thing() as found):
            return world | {_key(found.metadata.name, found.metadata.namespace): found}
        case Deleted(object=found):
            return {k: t for k, t in world.items() if not _is(t, found.metadata)}
    return world


def _is(found: Thing, meta: Meta) -> bool:
    mine = found.metadata
    return (mine.namespace, mine.name, mine.uid) == (meta.namespace, meta.name, meta.uid)


@given(histories())
def test_any_history_ends_like_the_naive_model(history: list[Update[Thing]]) -> None:
    store: Store[Thing] = Store(THINGS, {"namespace": by_namespace})
    world: dict[ObjectKey, Thing] = {}
    replayed: dict[ObjectKey, Thing | Malformed] = {}
    for update in history:
        world = _naive(world, update)
        for change in store.apply(update):
            # Who follows the changes alone sees the same objects, and each deletion once.
            assert replayed.get(change.key) == change.old
            if change.new is None:
                del replayed[change.key]
            else:
                replayed[change.key] = change.new
        assert {key: store.cache.get(key) for key in world} == world == replayed
        assert len(store.cache) == len(world)
        for namespace in ("x", "y"):
            expected = [world[key] for key in sorted(world) if key.namespace == namespace]
            assert list(store.cache.by("namespace", namespace)) == expected
