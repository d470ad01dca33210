"""The reflector on a real API server, behind networks that misbehave: the cache ends as the list."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import attrs
import msgspec
import pytest
import pytest_asyncio

from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.fault_proxy import Fault
from tests.integration.kube_scene import QUICK, Scene, kube_scene, reflecting, until
from tests.kube.things import error_line, status
from tidbbackup.kube.backoff import Backoff
from tidbbackup.kube.decode import Malformed
from tidbbackup.kube.pace import Timing
from tidbbackup.kube.transport import Deadlines
from tidbbackup.model.meta import ObjectKey

pytestmark = pytest.mark.integration

WATCH = "watch=true"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plane() -> AsyncIterator[ControlPlane]:
    """Our own: its API server is stopped and started here."""
    async with control_plane() as plane:
        yield plane


@pytest_asyncio.fixture(loop_scope="session")
async def scene(plane: ControlPlane) -> AsyncIterator[Scene]:
    """A namespace, a proxy, a reflector that is not running yet."""
    async with kube_scene(plane) as scene:
        await scene.create("first", n="0")
        yield scene


def _lists(scene: Scene) -> int:
    return sum(WATCH not in line for line in scene.proxy.requests)


async def test_what_happens_is_in_the_cache(scene: Scene) -> None:
    async with reflecting(scene):
        await scene.converged()
        await scene.create("second", a="b")
        await scene.change("first", n="1")
        await scene.converged()
        await scene.delete("first")
        await scene.converged()
        assert sorted(scene.cached()) == ["kube-root-ca.crt", "second"]
        assert _lists(scene) == 1


async def test_long_lists_come_in_pages(plane: ControlPlane) -> None:
    async with kube_scene(plane, timing=Timing(page=5)) as scene:
        for number in range(22):
            await scene.create(f"many-{number}")
        async with reflecting(scene):
            await scene.converged()
        assert len(scene.cached()) == 23
        pages = scene.proxy.requests[:5]
        assert all("limit=5" in line for line in pages)
        assert ["continue=" in line for line in pages] == [False, True, True, True, True]


async def test_a_restart_of_the_server_loses_nothing(scene: Scene) -> None:
    async with reflecting(scene):
        await scene.change("first", n="1")
        await scene.converged()
        await scene.plane.restart_apiserver()
        await scene.change("first", n="2")
        await scene.create("after")
        await scene.converged()
        assert scene.reflector.health().age_seconds < 30


async def test_a_path_that_dies_silently_is_noticed(scene: Scene) -> None:
    async with reflecting(scene):
        await scene.converged()
        await until(lambda: scene.recorded.watches == 1)
        scene.proxy.blackhole_open()
        await scene.change("first", n="unheard")
        await scene.converged(within=QUICK.idle + 3)
        assert "silence" in scene.recorded.restarts
        assert _lists(scene) == 1


async def test_an_idle_kind_stays_healthy_without_a_list(scene: Scene) -> None:
    # With an etcd that reports no progress there is not even a bookmark.
    async with reflecting(scene):
        await scene.converged()
        for _ in range(10):
            await asyncio.sleep(0.5)
            assert scene.reflector.health().age_seconds < QUICK.idle + 1
        await scene.change("first", n="1")
        await scene.converged(within=1)
        assert _lists(scene) == 1


async def test_a_list_that_is_never_answered_is_asked_again(scene: Scene) -> None:
    scene.proxy.faults.append(Fault(excludes=WATCH, blackhole_at=0))
    async with reflecting(scene):
        await scene.converged()
    assert scene.recorded.restarts[0] == "connection"


@pytest.mark.parametrize("code", [401, 403, 410, 429, 500, 503])
async def test_a_refused_list_never_wipes_the_cache(scene: Scene, code: int) -> None:
    body = msgspec.json.encode(status(code, "Expired" if code == 410 else "X"))
    async with reflecting(scene):
        await scene.converged()
        before = scene.cached()
        scene.proxy.faults.append(Fault(excludes=WATCH, status=code, body=body, times=6))
        scene.reflector.relist()
        await until(lambda: scene.proxy.faulted == 6)
        assert scene.cached() == before
        await scene.create("later")
        await scene.converged()
        assert not [change for change in scene.changes if change.new is None]


@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
async def test_a_refused_watch_costs_no_list(scene: Scene, code: int) -> None:
    async with reflecting(scene):
        await scene.converged()
        await until(lambda: scene.recorded.watches == 1)
        scene.proxy.faults.append(Fault(matches=WATCH, status=code, body=b"{}", times=4))
        scene.proxy.reset_open()
        await scene.create("later")
        await scene.converged()
        assert scene.proxy.faulted == 4
        assert _lists(scene) == 1


@pytest.mark.parametrize("as_status", [True, False])
async def test_an_expired_version_costs_one_list(scene: Scene, as_status: bool) -> None:
    async with reflecting(scene):
        await scene.converged()
        await until(lambda: scene.recorded.watches == 1)
        body = msgspec.json.encode(status(410, "Expired")) if as_status else error_line(410, "Expired")
        scene.proxy.faults.append(Fault(matches=WATCH, status=410 if as_status else 200, body=body))
        scene.proxy.reset_open()
        await scene.create("later")
        await scene.converged()
        assert _lists(scene) == 2
        assert "expired" in scene.recorded.restarts


async def test_a_version_that_etcd_has_forgotten_leads_to_a_list() -> None:
    flags = ["--watch-cache=false", "--etcd-compaction-interval=1s"]
    # More patient than the watch is held up: one that is opened earlier may come before the compaction.
    timing, deadlines = attrs.evolve(QUICK, idle=20.0), Deadlines(idle=20.0, total=30.0)
    async with (
        control_plane(apiserver_flags=flags) as plane,
        kube_scene(plane, timing=timing, deadlines=deadlines) as scene,
    ):
        await scene.create("first", n="0")
        # As long as the watch is held up, the version that it asks for is compacted away.
        scene.proxy.faults.append(Fault(matches=WATCH, delay=5.0))
        async with reflecting(scene):
            await until(lambda: WATCH in scene.proxy.requests[-1])
            for number in range(45):
                await scene.change("first", n=str(number))
                await asyncio.sleep(0.1)
            await scene.converged()
            assert "expired" in scene.recorded.restarts
            assert _lists(scene) >= 2


@pytest.mark.parametrize("relist", [False, True])
async def test_created_again_while_nobody_looked(scene: Scene, relist: bool) -> None:
    async with reflecting(scene):
        await scene.converged()
        await until(lambda: scene.recorded.watches == 1)
        old = scene.cached()["first"]
        unavailable = Fault(status=503, times=None)
        scene.proxy.faults.append(unavailable)
        scene.proxy.reset_open()
        await scene.delete("first")
        await scene.create("first", again="yes")
        if relist:
            scene.reflector.relist()
        scene.proxy.faults.remove(unavailable)
        await scene.converged()
        new = scene.cached()["first"]
        assert new.metadata.uid != old.metadata.uid
        seen = [(change.old, change.new) for change in scene.changes if change.key.name == "first"]
        assert seen[-2:] == [(old, None), (None, new)]


@pytest.mark.parametrize("size", [None, 1000])
async def test_a_line_of_two_megabytes(scene: Scene, size: int | None) -> None:
    # A quote is one byte for etcd and two on the wire.
    big = scene.object("big", text='"' * 1_040_000)
    big["metadata"]["annotations"] = {"a": "x" * 200_000}
    scene.proxy.faults.append(Fault(matches=WATCH, rechunk=size, times=None))
    async with reflecting(scene):
        await scene.direct.create(scene.store.cache.resource, scene.namespace, big)
        await scene.create("after")
        await until(lambda: "after" in scene.cached(), 30.0, lambda: str(sorted(scene.cached())))
        big_one = scene.store.cache.get(ObjectKey("ConfigMap", scene.namespace, "big"))
        assert isinstance(big_one, Malformed)
        assert "data.text has 2,080,002 bytes, metadata.annotations has 200,008 bytes" in big_one.why
        assert _lists(scene) == 1


async def test_a_server_that_closes_at_once_is_not_hammered(plane: ControlPlane) -> None:
    async with kube_scene(plane, timing=Timing(backoff=Backoff(first=0.2, longest=1.0))) as scene:
        scene.proxy.faults.append(Fault(matches=WATCH, status=200, times=None))
        async with reflecting(scene):
            await asyncio.sleep(3)
        watches = sum(WATCH in line for line in scene.proxy.requests)
        assert 2 <= watches <= 9
        assert _lists(scene) == 1


CUTS = 1000


async def test_a_thousand_cuts(plane: ControlPlane) -> None:
    chance = random.Random(20261123)
    timing = Timing(idle=5.0, backoff=Backoff(first=0.001, longest=0.01))
    async with kube_scene(plane, timing=timing) as scene:
        for number in range(8):
            await scene.create(f"c{number}", n="0")
        scene.proxy.faults += [
            Fault(matches=WATCH, cut_at=chance.randrange(1, 1500), reset=chance.random() < 0.3)
            for _ in range(CUTS)
        ]
        async with reflecting(scene):
            enough = asyncio.Event()
            async with asyncio.TaskGroup() as churning:
                for number in range(8):
                    churning.create_task(_churn(scene, f"c{number}", chance, enough))
                try:
                    await until(lambda: scene.proxy.faulted >= CUTS, within=200)
                finally:
                    # Not cancelled: a request cut off here could be carried out after the list below.
                    enough.set()
            await scene.converged()
            assert _lists(scene) == 1
        # Who listened to the changes alone knows the same.
        followed = {change.key.name: change.new for change in scene.changes}
        assert {name: new for name, new in followed.items() if new is not None} == scene.cached()


async def _churn(scene: Scene, name: str, chance: random.Random, enough: asyncio.Event) -> None:
    number = 0
    while not enough.is_set():
        number += 1
        if chance.random() < 0.1:
            await scene.delete(name)
            await scene.create(name, n="0")
        await scene.change(name, n=str(number), text="x" * chance.randrange(400))
