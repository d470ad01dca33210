"""A password and keys that can be searched for are found nowhere; a row that can be searched for is found."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.database import Database, mariadb
from tests.cluster.lab import Lab
from tests.cluster.object_store import ObjectStore, rclone_store
from tests.integration.faults import mydumper_of, other_controller, within
from tests.integration.hold_proxy import TABLE_DUMP, hold_proxy
from tests.integration.scene import Scene, phase, why
from tests.worker.leaks import all_arguments, unpacked

pytestmark = pytest.mark.integration

PASSWORD = "CanaryPassword-$'\"-ü"
ACCESS_KEY = "CANARYACCESSKEY12345"
SECRET_KEY = "CanarySecretKey0123456789"
ROW = b"canary-row-5e0c"

# The part of the password that no quoting changes, and the keys; each also as Secrets hold it.
CANARIES = (b"CanaryPassword", ACCESS_KEY.encode(), SECRET_KEY.encode(), b"Q2FuYXJ5", b"Q0FOQVJZ")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(lab: Lab) -> AsyncIterator[Database]:
    async with mariadb(lab.plane.processes, name="secrets-source", password=PASSWORD) as server:
        await server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, what TEXT)")
        await server.sql("INSERT INTO shop.t VALUES (1, %s)", [ROW.decode()])
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def store(lab: Lab) -> AsyncIterator[ObjectStore]:
    keys = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    async with rclone_store(lab.plane.processes, name="secrets-store", **keys) as server:
        yield server


async def test_secrets_are_nowhere_and_a_row_is_found(
    scene: Scene, source: Database, store: ObjectStore
) -> None:
    await store.create_bucket("secrets")
    await scene.secret("canary", {"password": PASSWORD, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY})
    async with (
        other_controller(scene.lab, ["--log-level", "debug"]),
        hold_proxy(source.host, source.port, TABLE_DUMP) as proxy,
        sampled_arguments() as arguments,
    ):
        login = {"host": "127.0.0.1", "port": proxy.port, "secretName": "canary"}
        target = {"secretName": "canary", "bucket": "secrets", "endpoint": store.endpoint}
        # Kept in the CR's annotation by kubectl, so a search of it is worth something.
        debug = [{"name": "LOG_LEVEL", "value": "DEBUG"}]
        await scene.apply(scene.backup(source=login, s3=target, env=debug))
        await within(proxy.reached)
        pod = await scene.running_pod()
        mydumper = Path(f"/proc/{mydumper_of(scene.lab, scene.namespace, pod)}")
        shown = (mydumper / "cmdline").read_bytes() + (mydumper / "environ").read_bytes()
        proxy.release()
        backup = await scene.until_over()
        log = scene.lab.controller.log()
        assert b"debug" in scene.lab.controller.child.arguments
    assert phase(backup) == "Complete", why(backup)
    key = backup["status"]["backupPath"].removeprefix("s3://secrets/")
    archive = unpacked(await store.get("secrets", key))
    places = {
        "controller's log": log.encode(),
        "worker's log": scene.lab.node.log(scene.namespace, pod, "backup").encode(),
        "mydumper's arguments and environment": shown,
        "arguments of all processes": b"\n".join(arguments),
        "archive": archive,
        "manifest": await store.get("secrets", key.removesuffix(".tgz") + ".manifest.json"),
        "log in the bucket": await store.get("secrets", f"{key}.log"),
        "objects of the API": await api_objects(scene),
    }

    for place, text in places.items():
        assert text, place
        for canary in CANARIES:
            assert canary not in text, f"{canary!r} in the {place}"

    assert ROW in archive, "the search finds what is there"
    assert ROW not in places["log in the bucket"]
    assert b"Started dump at" in places["log in the bucket"]
    assert b"mydumper" in places["arguments of all processes"], "mydumper was among the samples"
    assert b"PATH=" in shown
    assert b"AWS_" not in shown
    assert b"secretKeyRef" in places["objects of the API"]
    # In the Secrets themselves the same search finds all three.
    held = json.dumps(await scene.lab.plane.api.get(f"/api/v1/namespaces/{scene.namespace}/secrets/canary"))
    assert "Q2FuYXJ5" in held
    assert "Q0FOQVJZ" in held
    # Its archive is not in this scene's bucket: gone, it does not concern the scene's invariants.
    await scene.delete()
    await scene.until_gone()


async def api_objects(scene: Scene) -> bytes:
    """Every Backup, Job, pod and Event of the namespace as the API server tells them."""
    core, ns = "/api/v1/namespaces", scene.namespace
    paths = (
        f"/apis/pingcap.com/v1alpha1/namespaces/{ns}/backups",
        f"/apis/batch/v1/namespaces/{ns}/jobs",
        f"{core}/{ns}/pods",
        f"{core}/{ns}/events",
        f"{core}/{ns}/configmaps",
    )
    found = [await scene.lab.plane.api.get(path) for path in paths]
    assert all(answer["items"] for answer in found)
    return json.dumps(found).encode()


@contextlib.asynccontextmanager
async def sampled_arguments() -> AsyncIterator[set[bytes]]:
    """The arguments of every process of this machine, sampled while the block lasts."""
    seen: set[bytes] = set()

    async def sample() -> None:
        while True:
            seen.update(await asyncio.to_thread(all_arguments))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(sample())
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
