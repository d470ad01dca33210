"""What the simulated API server answers, a real one answers too: reads, writes, pages and watches.

Deletions, the garbage collector and Jobs: see tests/decide/contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.cluster.control_plane import ControlPlane
from tests.decide.builders import FROM, S3
from tests.decide.contract.on_api_server import api_server
from tests.simulation.plane import SimulatedPlane
from tidbbackup.kube.client import Client, Selector
from tidbbackup.kube.decode import read_meta, read_page
from tidbbackup.kube.errors import AlreadyExists, Conflict, NotFound, StatusError
from tidbbackup.kube.resources import EVENTS, LEASES
from tidbbackup.model.names import API_VERSION
from tidbbackup.reconcile.kinds import BACKUPS

_numbers = count()


@pytest_asyncio.fixture
async def simulated() -> SimulatedPlane:
    """In the loop of the test."""
    return SimulatedPlane()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product_client(cluster: ControlPlane) -> AsyncIterator[Client]:
    """The product's client for a real API server that knows our CRDs."""
    async with api_server(cluster) as client:
        yield client


@pytest.fixture(
    params=[
        pytest.param("simulation", marks=pytest.mark.looptime),
        pytest.param("api-server", marks=pytest.mark.integration),
    ]
)
def both(request: pytest.FixtureRequest) -> tuple[Client, Any]:
    """The product's client, and the tests'."""
    if request.param == "simulation":
        plane: SimulatedPlane = request.getfixturevalue("simulated")
        return plane.client, plane.api
    client = request.getfixturevalue("product_client")
    return client, request.getfixturevalue("cluster").api


Both = tuple[Client, Any]


async def space_in(both: Both) -> str:
    """A namespace of its own."""
    name = f"requests-{next(_numbers)}"
    await both[1].create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


def body(name: str, *finalizers: str, **meta: Any) -> dict[str, Any]:
    """A Backup that nobody runs."""
    known = {"name": name, "finalizers": list(finalizers), **meta}
    spec = {"from": FROM, "s3": S3}
    return {"apiVersion": API_VERSION, "kind": "Backup", "metadata": known, "spec": spec}


async def refusal(of: Any) -> tuple[type[StatusError], int]:
    """Class and status of the answer to a request that is refused."""
    with pytest.raises(StatusError) as raised:
        await of
    return type(raised.value), raised.value.status


async def test_what_is_not_there_is_not_found(both: Both) -> None:
    client, space = both[0], await space_in(both)
    assert await refusal(client.get(BACKUPS, space, "no")) == (NotFound, 404)
    assert await refusal(client.patch(BACKUPS, space, "no", {"metadata": {}})) == (NotFound, 404)
    assert await refusal(client.delete(BACKUPS, space, "no", uid="u")) == (NotFound, 404)
    assert await refusal(client.create(BACKUPS, "no-such-space", body("b"))) == (NotFound, 404)
    assert read_page(await client.list_page(BACKUPS, space)).items == ()


async def test_a_name_is_taken_once_also_for_a_dry_run(both: Both) -> None:
    client, space = both[0], await space_in(both)
    asked = read_meta(await client.create(BACKUPS, space, body("b"), dry_run=True))
    assert await refusal(client.get(BACKUPS, space, "b")) == (NotFound, 404)
    made = read_meta(await client.create(BACKUPS, space, body("b")))
    assert (made.uid != asked.uid, made.generation, made.creationTimestamp is not None) == (True, 1, True)
    assert await refusal(client.create(BACKUPS, space, body("b"))) == (AlreadyExists, 409)
    assert await refusal(client.create(BACKUPS, space, body("b"), dry_run=True)) == (AlreadyExists, 409)


async def test_a_status_is_written_by_its_own_path_alone(both: Both) -> None:
    client, space = both[0], await space_in(both)
    told = {"status": {"phase": "Complete"}}
    await client.create(BACKUPS, space, body("b") | told)
    await client.patch(BACKUPS, space, "b", told)
    assert "phase" not in msgspec.json.decode(await client.get(BACKUPS, space, "b")).get("status", {})

    changed = told | {"spec": {"cleanPolicy": "Delete"}}
    found = msgspec.json.decode(await client.patch(BACKUPS, space, "b", changed, subresource="status"))
    assert (found["status"]["phase"], found["spec"].get("cleanPolicy")) == ("Complete", None)
    assert found["metadata"]["generation"] == 1


async def test_versions_and_uids_are_preconditions(both: Both) -> None:
    client, space = both[0], await space_in(both)
    made = read_meta(await client.create(BACKUPS, space, body("b")))
    labelled = {"metadata": {"resourceVersion": made.resourceVersion, "labels": {"a": "b"}}}
    now = read_meta(await client.patch(BACKUPS, space, "b", labelled))
    assert int(now.resourceVersion) > int(made.resourceVersion)
    assert await refusal(client.patch(BACKUPS, space, "b", labelled)) == (Conflict, 409)
    assert await refusal(client.delete(BACKUPS, space, "b", uid="another")) == (Conflict, 409)
    await client.delete(BACKUPS, space, "b", uid=made.uid)
    assert await refusal(client.get(BACKUPS, space, "b")) == (NotFound, 404)


async def test_a_list_comes_in_pages_of_one_version(both: Both) -> None:
    client, space = both[0], await space_in(both)
    for name in ("c", "a", "b"):
        await client.create(BACKUPS, space, body(name, labels={"odd": str(name != "b")}))
    first = read_page(await client.list_page(BACKUPS, space, limit=2))
    await client.create(BACKUPS, space, body("d"))
    second = read_page(await client.list_page(BACKUPS, space, limit=2, token=first.token))
    assert [read_meta(each).name for each in (*first.items, *second.items)] == ["a", "b", "c"]
    assert (second.version, second.token) == (first.version, "")
    odd = read_page(await client.list_page(BACKUPS, space, selector=Selector(labels="odd=True")))
    assert [read_meta(each).name for each in odd.items] == ["a", "c"]


async def test_events_are_found_by_their_object(both: Both) -> None:
    client, space = both[0], await space_in(both)
    for name in ("a", "b"):
        about = {"kind": "Pod", "name": name, "namespace": space, "uid": f"uid-{name}"}
        await client.create(EVENTS, space, {"metadata": {"name": name}, "involvedObject": about})
    wanted = Selector(fields="involvedObject.uid=uid-b")
    found = read_page(await client.list_page(EVENTS, space, selector=wanted))
    assert [read_meta(each).name for each in found.items] == ["b"]


async def test_a_lease_is_an_object_like_any_other(both: Both) -> None:
    client, space = both[0], await space_in(both)
    made = await client.create(LEASES, space, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}})
    version = read_meta(made).resourceVersion
    patch = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": "b"}}
    found = msgspec.json.decode(await client.patch(LEASES, space, "l", patch))
    assert found["spec"]["holderIdentity"] == "b"
    assert await refusal(client.patch(LEASES, space, "l", patch)) == (Conflict, 409)


@asynccontextmanager
async def watched(client: Client, space: str, version: str, **more: Any) -> AsyncIterator[Any]:
    """The lines of a watch, as (type, name, version)."""
    async with client.watch(BACKUPS, space, version=version, seconds=30, **more) as chunks:
        yield _lines(chunks)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, str, int]]:
    async for chunk in chunks:
        for line in chunk.splitlines():
            frame = msgspec.json.decode(line)
            meta = frame["object"].get("metadata", {})
            yield frame["type"], meta.get("name", ""), int(meta.get("resourceVersion", 0))


async def test_a_watch_tells_what_comes_after_its_version(both: Both) -> None:
    client, space = both[0], await space_in(both)
    await client.create(BACKUPS, space, body("old"))
    version = read_page(await client.list_page(BACKUPS, space)).version
    made = read_meta(await client.create(BACKUPS, space, body("b", "example.com/hold")))
    async with asyncio.timeout(20), watched(client, space, version) as lines:
        assert await anext(lines) == ("ADDED", "b", int(made.resourceVersion))
        await client.delete(BACKUPS, space, "b", uid=made.uid)
        kind, name, marked = await anext(lines)
        assert (kind, name, marked > int(made.resourceVersion)) == ("MODIFIED", "b", True)
        await client.patch(BACKUPS, space, "b", {"metadata": {"finalizers": None}})
        kind, name, gone = await anext(lines)
        assert (kind, name, gone > marked) == ("DELETED", "b", True), "with a version of its own"


async def test_what_changes_nothing_is_not_told(both: Both) -> None:
    client, space = both[0], await space_in(both)
    made = read_meta(await client.create(BACKUPS, space, body("b", labels={"a": "b"})))
    async with asyncio.timeout(20), watched(client, space, made.resourceVersion) as lines:
        await client.patch(BACKUPS, space, "b", {"metadata": {"labels": {"a": "b"}, "annotations": {}}})
        await client.create(BACKUPS, space, body("next"))
        kind, name, _ = await anext(lines)
        assert (kind, name) == ("ADDED", "next")


async def test_a_watch_of_some_tells_of_these_alone(both: Both) -> None:
    client, space = both[0], await space_in(both)
    version = read_page(await client.list_page(BACKUPS, space)).version
    await client.create(BACKUPS, space, body("other"))
    await client.create(BACKUPS, space, body("b", labels={"a": "b"}))
    async with asyncio.timeout(20):
        async with watched(client, space, version, selector=Selector(labels="a=b")) as lines:
            assert (await anext(lines))[:2] == ("ADDED", "b")


async def test_a_version_that_is_forgotten_is_gone(both: Both, request: pytest.FixtureRequest) -> None:
    client, space = both[0], await space_in(both)
    if "simulation" in request.node.name:
        request.getfixturevalue("simulated").server.objects.forget()
    async with asyncio.timeout(20):
        async with client.watch(BACKUPS, space, version="1", seconds=30) as chunks:
            frame = msgspec.json.decode(await anext(chunks))
    assert (frame["type"], frame["object"]["code"], frame["object"]["reason"]) == ("ERROR", 410, "Expired")
