"""The control plane: real Kubernetes, quickly there, quickly gone."""

import asyncio
import json
import ssl
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.cluster.api import JSON, ApiRefused
from tests.cluster.control_plane import ControlPlane, KubectlFailed, control_plane
from tests.cluster.processes import ProcessDied
from tests.cluster.reaper import is_alive

pytestmark = pytest.mark.integration

_PODS = "/api/v1/namespaces/default/pods"
_CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


async def _eventually(what: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not await what():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plane() -> AsyncIterator[ControlPlane]:
    """A control plane of this module's own: its API server is stopped and paused."""
    async with control_plane() as started:
        yield started


async def test_it_has_the_version_the_module_names(plane: ControlPlane) -> None:
    version = json.loads(await plane.kubectl_run("version", "-ojson"))
    assert version["serverVersion"]["gitVersion"] == "v1.34.4"
    assert version["clientVersion"]["gitVersion"] == "v1.34.4"


async def test_kubectl_takes_input_and_its_errors_come_with_its_words(plane: ControlPlane) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"password": "x"},
    }
    assert "secret/s created" in await plane.kubectl_run("apply", "-f", "-", input=json.dumps(secret))
    with pytest.raises(KubectlFailed, match=r'secrets "nothing" not found'):
        await plane.kubectl_run("get", "secret", "nothing")


async def test_access_is_by_rbac(plane: ControlPlane) -> None:
    token = (await plane.kubectl_run("create", "token", "default")).strip()
    context = ssl.create_default_context(cafile=plane.ca)
    # What Python 3.13 does by default.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(f"{plane.url}/api/v1/secrets", headers=headers) as response:
            assert response.status == 403
            assert "system:serviceaccount:default:default" in (await response.json())["message"]


async def test_the_audit_log_tells_who_wrote_what(plane: ControlPlane) -> None:
    await plane.kubectl_run("create", "configmap", "audited")

    async def written() -> bool:
        entries = [json.loads(line) for line in plane.audit_log.read_text().splitlines()]
        return any(
            entry["verb"] == "create"
            and entry["user"]["username"] == "admin"
            and entry.get("objectRef", {}).get("name") == "audited"
            for entry in entries
        )

    await _eventually(written)


async def test_the_job_controller_makes_pods(plane: ControlPlane) -> None:
    await plane.kubectl_run("create", "job", "work", "--image=none.invalid/x", "--", "true")

    async def has_pod() -> bool:
        return bool((await plane.api.get(_PODS, labelSelector="job-name=work"))["items"])

    await _eventually(has_pod)
    await plane.kubectl_run("delete", "job", "work", "--wait=false")


def _claim(name: str) -> JSON:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "local-storage",
        "resources": {"requests": {"storage": "10Gi"}},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def _node() -> JSON:
    labels = {"kubernetes.io/hostname": "recycling"}
    capacity = {"cpu": "1", "memory": "1Gi", "pods": "10"}
    conditions = [{"type": "Ready", "status": "True"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "recycling", "labels": labels},
        "status": {"capacity": capacity, "allocatable": capacity, "conditions": conditions},
    }


def _pod(name: str, claim: str) -> JSON:
    container = {"name": "c", "image": "none.invalid/x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
    # Tolerant of everything: this node has no kubelet that would renew its lease.
    spec = {"containers": [container], "volumes": volumes, "tolerations": [{"operator": "Exists"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


async def test_a_volume_comes_back_empty_after_its_claim_is_gone(plane: ControlPlane) -> None:
    await plane.api.create("/api/v1/nodes", _node())
    await plane.add_local_volumes("recycling", count=1)
    folder = plane.folder / "volumes" / "recycling-000"
    # More rounds than there are volumes: the pool must not run dry, nor at a restart of the API server.
    for number in range(3):
        claim = f"claim-{number}"
        await plane.api.create(_CLAIMS, _claim(claim))
        await plane.api.create(_PODS, _pod(claim, claim))

        # Bound claims are not enough: the scheduler has the volume in hand until it has bound the pod.
        async def scheduled(pod: str = claim) -> bool:
            return "nodeName" in (await plane.api.get(f"{_PODS}/{pod}"))["spec"]

        await _eventually(scheduled)
        assert list(folder.iterdir()) == []
        (folder / "left-over").touch()
        await plane.api.delete(f"{_PODS}/{claim}", {"gracePeriodSeconds": 0})
        await plane.api.delete(f"{_CLAIMS}/{claim}")
        if number == 1:
            await plane.restart_apiserver()
    with pytest.raises(ApiRefused, match="409"):
        await plane.api.create("/api/v1/nodes", _node())


async def test_the_api_server_comes_back_after_a_restart_with_its_data(plane: ControlPlane) -> None:
    await plane.kubectl_run("create", "configmap", "kept")
    await plane.stop_apiserver()
    assert not await plane.api.is_ok("/readyz")
    await plane.start_apiserver()
    assert "kept" in await plane.kubectl_run("get", "configmaps")


async def test_a_paused_api_server_answers_nothing_until_it_is_resumed(plane: ControlPlane) -> None:
    plane.pause_apiserver()
    try:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(plane.api.get("/version"), 0.3)
    finally:
        plane.resume_apiserver()
    assert (await plane.api.get("/version"))["major"] == "1"


async def test_two_run_side_by_side(plane: ControlPlane) -> None:
    async with control_plane() as other:
        assert other.url != plane.url
        await other.kubectl_run("create", "configmap", "only-here")
        assert "only-here" not in await plane.kubectl_run("get", "configmaps")
        folder = other.folder
    assert not folder.exists()


async def test_a_flag_that_the_api_server_refuses_is_in_the_error() -> None:
    with pytest.raises(ProcessDied, match=r"(?s)kube-apiserver ended with 1 .*unknown flag: --no-such-flag"):
        async with control_plane(apiserver_flags=["--no-such-flag"]):
            pass


_OWNER = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from tests.cluster.control_plane import control_plane

    async def main() -> None:
        async with control_plane(Path(sys.argv[1])) as plane:
            print(*(child.pid for child in plane.processes.children), flush=True)
            await asyncio.sleep(300)

    asyncio.run(main())
""")


async def test_when_its_owner_is_killed_nothing_of_it_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _OWNER, folder), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert owner.stdout
    groups = [int(word) for word in (await owner.stdout.readline()).split()]
    assert len(groups) == 4
    assert all(is_alive(group) for group in groups)
    owner.kill()
    await owner.wait()

    async def gone() -> bool:
        return not any(is_alive(group) for group in groups) and not folder.exists()

    await _eventually(gone)
