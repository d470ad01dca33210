"""An API server with its controller manager, real or simulated, as the scenarios see it; there is no node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import attrs
import msgspec

from tests.cluster.api import JSON, ApiRefused
from tests.cluster.control_plane import ControlPlane
from tests.cluster.lab import apply_crds
from tests.decide.builders import FROM, S3
from tests.decide.contract.subject import CONFLICT, DONE, REJECTED, Holds, answer
from tests.decide.world import View
from tests.reconcile.recording import uncounted
from tests.simulation.plane import SimulatedPlane
from tidbbackup.decide.plan import Action, Plan
from tidbbackup.kube.client import Client
from tidbbackup.kube.connection import Connection, Credentials, Tls
from tidbbackup.kube.errors import Conflict, Invalid
from tidbbackup.kube.fence import boot_seconds
from tidbbackup.kube.writes import WriteGate, Writer
from tidbbackup.model.names import API_VERSION
from tidbbackup.model.resource.backup import KIND, Backup
from tidbbackup.model.resource.kubernetes import Pod
from tidbbackup.reconcile.act import Actor, Refused
from tidbbackup.reconcile.kinds import KINDS

NAME = "demo"
_PATIENCE_SECONDS = 90.0
_REST_SECONDS = 2.0
_numbers = count()


@attrs.frozen
class OnApiServer:
    """See subject.Server."""

    plane: ControlPlane | SimulatedPlane
    client: Client
    namespace: str = attrs.field(factory=lambda: f"contract-{next(_numbers)}")

    async def create(self, *finalizers: str, **spec: Any) -> Backup:
        """See Server."""
        await self.plane.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        await self._account()
        meta = {"name": NAME, "finalizers": finalizers}
        whole = {"from": FROM, "s3": S3} | spec
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "spec": whole}
        await self.plane.api.create(self._path("backups"), body)
        found = (await self.view()).backup
        assert found is not None
        return found

    async def view(self) -> View:
        """See Server."""
        (backup, *_) = [*await self._listed("backups"), None]
        jobs, pods = await self._listed("jobs"), await self._listed("pods")
        return View(
            backup, {each.metadata.name: each for each in jobs}, {each.metadata.name: each for each in pods}
        )

    async def apply(self, action: Action) -> str:
        """See Server."""
        actor = Actor(Writer(self.client, WriteGate(), NAME), uncounted)
        try:
            await actor.carry_out(Plan((action,), made_at=boot_seconds()), datetime.now(UTC))
        except Conflict:
            return CONFLICT
        except Invalid:
            return REJECTED
        except Refused as refused:
            return answer(refused.refusal)
        return DONE

    async def until(self, holds: Holds) -> View:
        """See Server."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not holds(found := await self.view()):
            assert time.monotonic() < deadline, f"it never came to that: {found}"
            await asyncio.sleep(0.1)
        return found

    async def at_rest(self) -> View:
        """See Server. Nothing tells when they are idle: a rest that is too short overlooks something."""
        await asyncio.sleep(_REST_SECONDS)
        return await self.view()

    async def delete_backup(self, *, foreground: bool = False) -> None:
        """See Server."""
        how = "Foreground" if foreground else "Background"
        await self.plane.api.delete(self._path("backups", NAME), {"propagationPolicy": how})

    async def edit(self, **spec: Any) -> str:
        """See Server."""
        try:
            await self.plane.api.patch(self._path("backups", NAME), {"spec": spec})
        except ApiRefused as error:
            if error.status != 422:
                raise
            return REJECTED
        return DONE

    async def delete_namespace(self) -> None:
        """See Server."""
        await self.plane.api.delete(f"/api/v1/namespaces/{self.namespace}")

    async def make_job(self, name: str) -> None:
        """See Server."""
        container = {"name": "c", "image": "none"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        body = {"metadata": {"name": name}, "spec": {"template": template}}
        await self.plane.api.create(self._path("jobs"), body)

    async def hold(self, pod: Pod) -> None:
        """See Server."""
        path = self._path("pods", pod.metadata.name)
        kept = {"finalizers": [*pod.metadata.finalizers, "tidbbackup.test/held"]}
        await self.plane.api.patch(path, {"metadata": kept})

    async def delete_pod(self, pod: Pod) -> None:
        """See Server."""
        await self.plane.api.delete(self._path("pods", pod.metadata.name))

    async def end(self, pod: Pod, phase: str) -> None:
        """See Server."""
        path = self._path("pods", pod.metadata.name)
        await self.plane.api.patch(f"{path}/status", {"status": {"phase": phase}})

    def _path(self, plural: str, name: str = "") -> str:
        group = {"backups": f"apis/{API_VERSION}", "jobs": "apis/batch/v1", "pods": "api/v1"}[plural]
        return f"/{group}/namespaces/{self.namespace}/{plural}{name and f'/{name}'}"

    async def _listed(self, plural: str) -> list[Any]:
        decode = KINDS[{"backups": KIND, "jobs": "Job", "pods": "Pod"}[plural]].decode
        items: list[JSON] = (await self.plane.api.get(self._path(plural)))["items"]
        return [decode(msgspec.Raw(msgspec.json.encode(item))) for item in items]

    async def _account(self) -> None:
        """No pod can be created before the namespace has its account."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default"
        while not await self.plane.api.is_ok(path):  # noqa: ASYNC110  there is nobody to tell
            await asyncio.sleep(0.02)


@asynccontextmanager
async def api_server(plane: ControlPlane) -> AsyncIterator[Client]:
    """The control plane knows our CRDs, and so does its garbage collector; a client of the product's."""

    async def read() -> str:
        return f"Bearer {plane.token}"

    await apply_crds(plane)
    await plane.renew_controllers()
    connection = Connection(plane.url, Tls(str(plane.ca)), Credentials(read, f"Bearer {plane.token}"))
    async with Client(connection) as client:
        yield client
