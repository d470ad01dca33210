"""Leader election on a virtual clock: who leads when, and that there are never two."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest
from attrs import define, field

from tidbbackup.kube.client import Client
from tidbbackup.kube.errors import ApiError, Status, TransportError, status_error
from tidbbackup.kube.fence import Fence
from tidbbackup.kube.lease import Election, LeaseLost, Seen, Spec, claim, see, wait
from tidbbackup.kube.resources import Resource

pytestmark = pytest.mark.looptime

HELD = Spec("a", 15, "t0", "t1", 3)


def refusal(code: int, reason: str = "") -> ApiError:
    """The API server's answer."""
    return status_error("PATCH /lease", code, Status(code=code, reason=reason, message="no"))


@pytest.mark.parametrize(
    ("before", "found", "now", "seen"),
    [
        pytest.param(None, None, 7, None, id="no Lease"),
        pytest.param(None, (HELD, "1"), 7, Seen(HELD, "1", 7), id="the first look"),
        pytest.param(Seen(HELD, "1", 5), (HELD, "1"), 7, Seen(HELD, "1", 5), id="nothing has changed"),
        pytest.param(Seen(HELD, "1", 5), (HELD, "2"), 7, Seen(HELD, "2", 5), id="only a label has changed"),
        pytest.param(
            Seen(HELD, "1", 5),
            (Spec("a", 15, "t0", "t2", 3), "2"),
            7,
            Seen(Spec("a", 15, "t0", "t2", 3), "2", 7),
            id="renewed",
        ),
        pytest.param(Seen(HELD, "1", 5), None, 7, Seen(HELD, "", 5), id="deleted: its holder does not know"),
    ],
)
def test_what_a_read_tells(
    before: Seen | None, found: tuple[Spec, str] | None, now: float, seen: Seen | None
) -> None:
    assert see(before, found, now) == seen


@pytest.mark.parametrize(
    ("seen", "now", "seconds"),
    [
        pytest.param(None, 100, 0, id="there is none"),
        pytest.param(Seen(Spec(""), "1", 100), 100, 0, id="released"),
        pytest.param(Seen(Spec(), "1", 100), 100, 0, id="without a holder"),
        pytest.param(Seen(Spec("me", 15), "1", 100), 100, 0, id="mine: the answer to a write was lost"),
        pytest.param(Seen(HELD, "1", 100), 100, 15, id="just renewed"),
        pytest.param(Seen(HELD, "1", 100), 114, 1, id="not yet expired"),
        pytest.param(Seen(HELD, "1", 100), 115, 0, id="expired"),
        pytest.param(Seen(HELD, "", 100), 114, 1, id="deleted, not yet expired"),
        pytest.param(Seen(Spec("a", 60), "1", 100), 130, 30, id="its holder has announced a minute"),
        pytest.param(Seen(Spec("a"), "1", 100), 110, 5, id="its holder has announced nothing"),
    ],
)
def test_when_it_may_be_taken(seen: Seen | None, now: float, seconds: float) -> None:
    assert wait(seen, "me", now) == seconds


@pytest.mark.parametrize(
    ("before", "written"),
    [
        pytest.param(None, Spec("me", 15, "now", "now", 0), id="created"),
        pytest.param(HELD, Spec("me", 15, "now", "now", 4), id="taken"),
        pytest.param(Spec(), Spec("me", 15, "now", "now", 1), id="taken, and it was empty"),
        pytest.param(Spec("me", 15, "t0", "t1", 3), Spec("me", 15, "t0", "now", 3), id="renewed"),
    ],
)
def test_what_is_written(before: Spec | None, written: Spec) -> None:
    assert claim(before, "me", "now") == written


@define
class LeaseServer:
    """One Lease, as an API server keeps it."""

    spec: dict[str, Any] | None = None
    version: int = 0

    def get(self) -> bytes:
        """Raises NotFound."""
        if self.spec is None:
            raise refusal(404, "NotFound")
        return msgspec.json.encode({"metadata": {"resourceVersion": str(self.version)}, "spec": self.spec})

    def create(self, spec: dict[str, Any]) -> bytes:
        """Raises AlreadyExists."""
        if self.spec is not None:
            raise refusal(409, "AlreadyExists")
        self.spec, self.version = dict(spec), self.version + 1
        return self.get()

    def patch(self, version: str, spec: dict[str, Any]) -> bytes:
        """Raises NotFound, Conflict."""
        self.get()
        if version != str(self.version):
            raise refusal(409, "Conflict")
        self.spec, self.version = {**(self.spec or {}), **spec}, self.version + 1
        return self.get()

    @property
    def holder(self) -> str:
        """Who holds it, "" for nobody."""
        return str((self.spec or {}).get("holderIdentity", ""))


async def at_once() -> None:
    """A network without delay."""


@define
class Process:
    """One that takes part: a narrow double of the Client, with its way to the server before and after."""

    server: LeaseServer
    name: str
    there: Callable[[], Awaitable[None]] = at_once
    back: Callable[[], Awaitable[None]] = at_once
    offset: float = 0.0
    rate: float = 1.0
    writes: int = 0
    fence: Fence = field(init=False)
    election: Election = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.fence = Fence(self.clock)
        client = cast(Client, self)
        self.election = Election(client, ("ns", "lease"), self.fence, me=self.name, clock=self.clock)

    def clock(self) -> float:
        """Its own: no two machines agree."""
        return self.offset + self.rate * asyncio.get_running_loop().time()

    @property
    def leads(self) -> bool:
        """Whether it may write now."""
        return self.fence.left > 0

    async def _ask(self, answer: Callable[[], bytes]) -> bytes:
        await self.there()
        try:
            return answer()
        finally:
            await self.back()

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        """See Client.get."""
        assert (resource.path(namespace, name)) == "/apis/coordination.k8s.io/v1/namespaces/ns/leases/lease"
        return await self._ask(self.server.get)

    async def create(self, resource: Resource, namespace: str, body: Any) -> bytes:
        """See Client.create."""
        self.writes += 1
        assert body["metadata"] == {"name": "lease", "namespace": "ns"}
        return await self._ask(lambda: self.server.create(body["spec"]))

    async def patch(self, resource: Resource, namespace: str, name: str, patch: Any) -> bytes:
        """See Client.patch."""
        self.writes += 1
        return await self._ask(lambda: self.server.patch(patch["metadata"]["resourceVersion"], patch["spec"]))


async def never() -> None:
    """A network that swallows."""
    await asyncio.Event().wait()


async def refused() -> None:
    """A network without a server behind it."""
    raise TransportError("refused")


@asynccontextmanager
async def running(*processes: Process) -> AsyncIterator[list[asyncio.Task[None]]]:
    """They take part; at the end they are stopped."""
    tasks = [asyncio.create_task(each.election.run()) for each in processes]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


async def until(holds: Callable[[], bool]) -> float:
    """Wait for something; when it was so."""
    async with asyncio.timeout(1000):
        while not holds():  # noqa: ASYNC110  the clock is virtual
            await asyncio.sleep(0.01)
    return now()


async def test_without_a_holder_it_leads_at_once() -> None:
    one = Process(LeaseServer(), "one")
    async with running(one):
        assert await until(lambda: one.leads) < 0.1
        assert one.server.holder == "one"


async def test_it_renews_every_two_seconds() -> None:
    one = Process(LeaseServer(), "one")
    async with running(one):
        await asyncio.sleep(20.5)
        assert one.writes == 11
        assert one.leads


async def test_of_two_one_leads_and_the_other_only_reads() -> None:
    server = LeaseServer()
    one, two = Process(server, "one"), Process(server, "two")
    async with running(one, two):
        await asyncio.sleep(100)
        assert (one.leads, two.leads) == (True, False)
        assert two.writes == 0


async def test_a_stop_releases_it_and_the_other_leads_within_two_seconds() -> None:
    server = LeaseServer()
    one, two = Process(server, "one"), Process(server, "two")
    async with running(one, two) as (task, _):
        await asyncio.sleep(30)
        task.cancel()
        stopped = now()
        assert await until(lambda: two.leads) <= stopped + 2
        assert not one.leads
        assert (server.spec or {})["leaseTransitions"] == 1


async def test_a_stop_of_one_that_stands_by_leaves_the_lease_alone() -> None:
    server = LeaseServer()
    one, two = Process(server, "one"), Process(server, "two")
    async with running(one, two) as (_, task):
        await asyncio.sleep(30)
        task.cancel()
        await asyncio.sleep(1)
        assert server.holder == "one"
        assert one.leads


async def test_a_stop_in_the_middle_of_a_renewal_releases_it() -> None:
    server = LeaseServer()
    one = Process(server, "one")
    async with running(one) as (task,):
        await asyncio.sleep(1)
        one.back = never
        await asyncio.sleep(1.5)
        one.back = at_once
        task.cancel()
        await asyncio.sleep(0.1)
        assert server.holder == ""


async def test_a_stop_without_an_api_server_ends_in_two_seconds() -> None:
    one = Process(LeaseServer(), "one")
    async with running(one) as (task,):
        await asyncio.sleep(1)
        one.there = never
        began = now()
        task.cancel()
        await asyncio.wait({task})
        assert now() - began == 2


async def test_of_one_that_died_it_is_taken_after_it_has_expired() -> None:
    server = LeaseServer()
    one, two = Process(server, "one"), Process(server, "two")
    async with running(one, two):
        await asyncio.sleep(29)
        one.there = never
        await until(lambda: not one.leads)
        assert 43 <= await until(lambda: two.leads) <= 29 + 17


@pytest.mark.parametrize("network", [never, refused], ids=["swallows", "refuses"])
async def test_a_leader_that_cannot_renew_ends_ten_seconds_after_its_last_renewal(
    network: Callable[[], Awaitable[None]],
) -> None:
    one = Process(LeaseServer(), "one")
    async with running(one) as (task,):
        await asyncio.sleep(29)
        one.there = network
        await asyncio.wait({task})
        assert now() == pytest.approx(38)
        with pytest.raises(LeaseLost, match="Lease ns/lease was not renewed in time"):
            task.result()
        assert not one.leads


async def test_a_short_outage_is_no_loss() -> None:
    one = Process(LeaseServer(), "one")
    async with running(one) as (task,):
        await asyncio.sleep(29)
        one.there = refused
        await asyncio.sleep(6)
        one.there = at_once
        await asyncio.sleep(60)
        assert one.leads
        assert not task.done()


async def test_one_that_stood_still_for_too_long_ends_without_another_renewal() -> None:
    """As after SIGSTOP, or while the machine was suspended: only its clock shows it."""
    one = Process(LeaseServer(), "one")
    async with running(one) as (task,):
        await asyncio.sleep(29)
        written = one.writes
        one.offset += 20
        assert not one.leads
        await asyncio.wait({task})
        with pytest.raises(LeaseLost, match="not renewed in time"):
            task.result()
        assert one.writes == written


async def test_it_ends_at_once_if_another_process_holds_the_lease() -> None:
    server = LeaseServer()
    one = Process(server, "one")
    async with running(one) as (task,):
        await asyncio.sleep(29)
        server.patch(str(server.version), {"holderIdentity": "thief"})
        await asyncio.sleep(2)
        assert not one.leads or task.done()
        with pytest.raises(LeaseLost, match="was taken by another process"):
            task.result()


async def test_a_renewal_whose_answer_was_lost_is_its_own() -> None:
    one = Process(LeaseServer(), "one")
    async with running(one) as (task,):
        await asyncio.sleep(29)
        one.back = refused
        await asyncio.sleep(2)
        one.back = at_once
        await asyncio.sleep(30)
        assert not task.done()
        assert one.leads


async def test_a_lease_that_was_deleted_is_created_again_by_its_holder() -> None:
    server = LeaseServer()
    one, two = Process(server, "one"), Process(server, "two")
    async with running(one, two) as tasks:
        await asyncio.sleep(29)
        server.spec = None
        await asyncio.sleep(60)
        assert (one.leads, two.leads, server.holder) == (True, False, "one")
        assert not any(task.done() for task in tasks)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refusal(403), "Lease ns/lease: PATCH /lease: 403 no"),
        (refusal(429), ""),
        (refusal(500), ""),
        (TransportError("refused"), ""),
    ],
    ids=["403", "429", "500", "no answer"],
)
async def test_a_refusal_is_told_and_tried_again(error: ApiError, said: str) -> None:
    async def fails() -> None:
        raise error

    one = Process(LeaseServer(), "one", there=fails)
    async with running(one) as (task,):
        await asyncio.sleep(100)
        assert one.election.refused == said
        assert not task.done()
        one.there = at_once
        await asyncio.sleep(3)
        assert (one.leads, one.election.refused) == (True, "")


async def test_an_answer_that_is_no_lease_is_an_error_like_others() -> None:
    one = Process(LeaseServer(spec={"leaseDurationSeconds": "many"}), "one")
    async with running(one) as (task,):
        await asyncio.sleep(10)
        assert not task.done()
        assert not one.leads


@pytest.mark.parametrize("seed", range(10))
async def test_there_are_never_two(seed: int) -> None:
    """Whatever the network does to their requests and answers, and however their clocks differ."""
    chance = random.Random(seed)
    server = LeaseServer()

    async def weather() -> None:
        match chance.randrange(12):
            case 0:
                await asyncio.sleep(chance.uniform(0, 30))
            case 1:
                raise TransportError("reset")
            case 2:
                await never()
            case _:
                await asyncio.sleep(chance.uniform(0, 0.5))

    def process(name: str) -> Process:
        offset, rate = chance.uniform(-1e6, 1e6), chance.uniform(0.9, 1.1)
        return Process(server, name, weather, weather, offset, rate)

    names = (f"p{number}" for number in itertools.count())
    taking = [process(next(names)) for _ in range(3)]
    tasks = [asyncio.create_task(each.election.run()) for each in taking]
    led: set[str] = set()
    while now() < 300:
        leaders = [each.name for each in taking if each.leads]
        assert len(leaders) <= 1
        led.update(leaders)
        for number, task in enumerate(tasks):
            if task.done() or chance.random() < 0.003:
                # Ended, or killed. What it had sent may still arrive, and it is started again.
                task.cancel()
                taking[number] = process(next(names))
                tasks[number] = asyncio.create_task(taking[number].election.run())
        await asyncio.sleep(0.25)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(led) > 1, "the world was too calm to show anything"
