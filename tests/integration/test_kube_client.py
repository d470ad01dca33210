"""The client on a real API server: what it answers is what we take it for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec
import pytest
import pytest_asyncio

from tests.cluster.control_plane import ControlPlane
from tests.cluster.fault_proxy import Fault
from tests.integration.kube_scene import Scene, kube_scene, reflecting, until
from tests.kube.things import THINGS, decode_thing
from tidbbackup.kube.client import Client
from tidbbackup.kube.connection import Connection, Credentials, Tls, load_connection
from tidbbackup.kube.decode import read_meta, read_page
from tidbbackup.kube.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    StatusError,
    TransportError,
    Unauthorized,
)
from tidbbackup.kube.queue import WorkQueue
from tidbbackup.kube.resources import JOBS, PODS, Resource
from tidbbackup.kube.runner import Runner, utc_now
from tidbbackup.kube.writes import Writer

pytestmark = pytest.mark.integration

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)

CONTAINER = {"name": "c", "image": "i"}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "j"},
    "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}},
}


@pytest_asyncio.fixture(loop_scope="session")
async def scene(cluster: ControlPlane) -> AsyncIterator[Scene]:
    """A namespace, a proxy, a reflector that is not running yet."""
    async with kube_scene(cluster) as scene:
        yield scene


async def test_a_kubeconfig_leads_there(cluster: ControlPlane) -> None:
    async with Client(await load_connection(str(cluster.kubeconfig), environ={})) as client:
        assert read_meta(await client.get(NAMESPACES, "", "default")).name == "default"


async def test_an_object_from_cradle_to_grave(scene: Scene) -> None:
    client, namespace = scene.direct, scene.namespace
    made = read_meta(await client.create(THINGS, namespace, scene.object("a", x="1")))
    assert read_meta(await client.get(THINGS, namespace, "a")) == made
    patched = await client.patch(THINGS, namespace, "a", {"data": {"x": None, "y": "2"}})
    assert decode_thing(patched).data == {"y": "2"}
    again = {"metadata": {"resourceVersion": read_meta(patched).resourceVersion}, "data": {"y": "3"}}
    assert decode_thing(await client.patch(THINGS, namespace, "a", again)).data == {"y": "3"}
    with pytest.raises(Conflict, match="the object has been modified"):
        await client.patch(THINGS, namespace, "a", again | {"data": {"y": "4"}})
    with pytest.raises(Conflict, match="the UID in the precondition"):
        await client.delete(THINGS, namespace, "a", uid="another")
    await client.delete(THINGS, namespace, "a", uid=made.uid)
    with pytest.raises(NotFound):
        await client.get(THINGS, namespace, "a")
    with pytest.raises(NotFound):
        await client.delete(THINGS, namespace, "a", uid=made.uid)


async def test_the_status_is_patched_apart(scene: Scene) -> None:
    await scene.direct.create(JOBS, scene.namespace, JOB)
    patch = {"status": {"conditions": [{"type": "X", "status": "True"}]}}
    body = await scene.direct.patch(JOBS, scene.namespace, "j", patch, subresource="status")
    kinds = [one["type"] for one in msgspec.json.decode(body)["status"]["conditions"]]
    assert "X" in kinds


async def test_refusals_are_told_apart(scene: Scene) -> None:
    client, namespace = scene.direct, scene.namespace
    await client.create(THINGS, namespace, scene.object("a"))
    with pytest.raises(AlreadyExists):
        await client.create(THINGS, namespace, scene.object("a"))
    with pytest.raises(Invalid) as invalid:
        await client.create(THINGS, namespace, scene.object("No_Good"))
    assert "metadata.name: " in invalid.value.message
    with pytest.raises(BadRequest):
        await client.create(THINGS, namespace, b"{nonsense")
    assert len(str(invalid.value)) < 500


async def test_a_namespace_that_goes_away_takes_nothing_new(scene: Scene) -> None:
    held = scene.object("held")
    held["metadata"]["finalizers"] = ["example.com/held"]
    await scene.direct.create(THINGS, scene.namespace, held)
    meta = read_meta(await scene.direct.get(NAMESPACES, "", scene.namespace))
    await scene.direct.delete(NAMESPACES, "", scene.namespace, uid=meta.uid)
    with pytest.raises(Forbidden) as refused:
        await scene.direct.create(JOBS, scene.namespace, JOB)
    assert refused.value.namespace_terminating
    await scene.direct.patch(THINGS, scene.namespace, "held", {"metadata": {"finalizers": None}})


async def test_a_quota_is_known_as_one(scene: Scene) -> None:
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "0"}}}
    await scene.plane.api.create(f"/api/v1/namespaces/{scene.namespace}/resourcequotas", quota)

    async def refused() -> bool:
        try:
            await scene.direct.create(THINGS, scene.namespace, scene.object("over"))
        except Forbidden as error:
            return error.quota_exceeded
        await scene.delete("over")
        return False

    async with asyncio.timeout(30):
        while not await refused():  # noqa: ASYNC110  the quota's controller needs a moment
            await asyncio.sleep(0.1)


async def test_a_token_is_renewed_when_it_is_refused(cluster: ControlPlane) -> None:
    async def read() -> str:
        return f"Bearer {cluster.token}"

    stale = Connection(cluster.url, Tls(str(cluster.ca)), Credentials(read, "Bearer stale"))
    async with Client(stale) as client:
        assert await client.get(NAMESPACES, "", "default")
    unknown = Connection(cluster.url, Tls(str(cluster.ca)), Credentials(_nothing, "Bearer stale"))
    async with Client(unknown) as client:
        with pytest.raises(Unauthorized):
            await client.get(NAMESPACES, "", "default")


async def _nothing() -> str:
    return ""


async def test_a_certificate_that_does_not_hold_is_said(cluster: ControlPlane) -> None:
    async with Client(Connection(cluster.url, Tls(), Credentials(_nothing, ""))) as client:
        with pytest.raises(TransportError, match="the server's certificate is not valid"):
            await client.get(NAMESPACES, "", "default")


async def test_pages_of_the_real_server(scene: Scene) -> None:
    for number in range(5):
        await scene.create(f"p{number}")
    names, token = [], ""
    while True:
        page = read_page(await scene.direct.list_page(THINGS, scene.namespace, limit=2, token=token))
        names += [read_meta(raw).name for raw in page.items]
        token = page.token
        if not token:
            break
    assert names == ["kube-root-ca.crt", "p0", "p1", "p2", "p3", "p4"]


@pytest.mark.parametrize("code", [401, 403, 410, 429, 500])
async def test_no_refusal_is_an_answer(scene: Scene, code: int) -> None:
    scene.proxy.faults.append(Fault(status=code, body=b"<html>"))
    with pytest.raises(StatusError, match=f"GET /api/v1/pods: {code} "):
        await scene.client.list_page(PODS)


async def test_a_lost_answer_is_an_error_and_the_write_may_stand(scene: Scene) -> None:
    scene.proxy.faults.append(Fault(matches="POST", cut_at=0))
    with pytest.raises(TransportError):
        await scene.client.create(THINGS, scene.namespace, scene.object("a"))
    with pytest.raises(AlreadyExists):
        await scene.client.create(THINGS, scene.namespace, scene.object("a"))


async def test_a_write_that_the_cache_has_not_seen_is_never_made_twice(scene: Scene) -> None:
    """The watch lags by three seconds, the key is wanted a hundred times: one object all the same."""
    scene.proxy.faults.append(Fault(matches="watch=true", delay=3.0))
    queue: WorkQueue[str] = WorkQueue("test")
    created: list[str] = []

    async def reconcile(key: str) -> datetime | None:
        if len(scene.cached()) > 1:
            return None
        # On purpose a name that would not stop a second one.
        name = f"made-{len(created)}"
        created.append(name)
        await Writer(scene.direct, scene.gate, key).create(THINGS, scene.namespace, scene.object(name))
        return utc_now()

    runner = Runner("test", queue, reconcile, gate=scene.gate)
    async with reflecting(scene):
        running = asyncio.create_task(runner.run(scene.reflector.wait_synced()))
        for _ in range(100):
            queue.add("key")
            await asyncio.sleep(0.01)
        assert created == ["made-0"]
        await until(lambda: len(scene.cached()) > 1)
        queue.add("key")
        await asyncio.sleep(0.1)
        assert created == ["made-0"]
        assert await runner.stop(within=1)
        await running
