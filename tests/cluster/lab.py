"""Everything the product needs, for real: Kubernetes with a process node, a database, S3, the controller.

Made of the other modules here; used by `make up`, the demo and the integration tests.
"""

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from string import Template

import aiohttp
from attrs import define, field, frozen

from tests.cluster.control_plane import ControlPlane
from tests.cluster.database import Database
from tests.cluster.node.node import ProcessNode, process_node
from tests.cluster.object_store import ObjectStore
from tests.cluster.ports import free_port
from tests.cluster.processes import Child, wait_ready

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "manifests" / "examples"
CRDS = ROOT / "manifests" / "crd"

BUCKET = "backups"
NAMESPACE = "test1"


@define(eq=False)
class Controller:
    """A controller of ours as a child process, with its log and its metrics."""

    plane: ControlPlane
    port: int
    child: Child

    @property
    def url(self) -> str:
        """Where /metrics, /healthz and /readyz are."""
        return f"http://127.0.0.1:{self.port}"

    async def ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def metrics(self) -> str:
        """What Prometheus would read."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/metrics") as answer:
            return await answer.text()

    def log(self) -> str:
        """All it has logged."""
        return self.child.log.read_text(errors="replace")

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return await self.plane.processes.stop(self.child)


PROGRAM = (str(Path(sys.executable).with_name("tidbbackup")),)
"""The command line of this checkout."""


async def start_controller(
    plane: ControlPlane,
    flags: Sequence[str] = (),
    name: str = "controller",
    program: Sequence[str] = PROGRAM,
) -> Controller:
    """Start a controller against this cluster and wait until it is ready. Its CRDs must be there.

    Without `--lease` among `flags` it leads at once and for good: killed, stopped or starved as it may be.
    """
    port = free_port()
    if not any(flag.startswith("--lease") for flag in flags):
        flags = [*flags, "--no-leader-elect"]
    argv = [
        *(*program, "controller", "--kubeconfig", str(plane.kubeconfig)),
        *("--metrics-host", "127.0.0.1", "--metrics-port", str(port), "--log-format", "human", *flags),
    ]
    child = await plane.processes.start(name, argv, grace=15)
    controller = Controller(plane, port, child)
    await wait_ready(child, controller.ready)
    return controller


@asynccontextmanager
async def worker_node(plane: ControlPlane, name: str = "node-1", url: str = "") -> AsyncIterator[ProcessNode]:
    """A process node that runs the worker of this checkout, with volumes of StorageClass local-storage.

    `url`: its own way to the API server, if it has one.
    """
    await plane.add_local_volumes(name, count=30)
    search_path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    async with process_node(
        url=url or plane.url,
        ca=plane.ca,
        token=plane.token,
        processes=plane.processes,
        search_path=search_path,
        name=name,
    ) as node:
        yield node


async def apply_crds(plane: ControlPlane) -> None:
    """Install our CRDs and wait until they are served."""
    for name in ("backups", "backupschedules", "restores"):
        await plane.kubectl_run("apply", "--server-side", "-f", CRDS / f"{name}.yaml")
    await plane.kubectl_run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")


@frozen
class Secrets:
    """The two Secrets that the examples name."""

    password: str
    access_key: str
    secret_key: str


async def make_namespace(plane: ControlPlane, namespace: str, secrets: Secrets) -> None:
    """A namespace with the two Secrets of the specification."""
    await plane.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    for name, values in (
        ("backup-demo1-tidb-secret", {"password": secrets.password}),
        ("s3-secret", {"access_key": secrets.access_key, "secret_key": secrets.secret_key}),
    ):
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "stringData": values,
        }
        await plane.api.create(f"/api/v1/namespaces/{namespace}/secrets", manifest)


@define(eq=False)
class Lab:
    """What is running, and the specification's placeholders filled in for it."""

    plane: ControlPlane
    node: ProcessNode
    database: Database
    store: ObjectStore
    controller: Controller
    bucket: str = BUCKET
    namespace: str = field(default=NAMESPACE)

    @property
    def placeholders(self) -> dict[str, str]:
        """Values for the `${...}` of manifests/examples."""
        return {
            "tidb_host": self.database.host,
            "tidb_port": str(self.database.port),
            "tidb_user": self.database.user,
            "region": "us-east-1",
            "bucket": self.bucket,
            "endpoint": self.store.endpoint,
        }

    def example(self, name: str, **more: object) -> str:
        """An example of the specification, filled in; `endpoint` is added where it stands as a comment."""
        text = (EXAMPLES / name).read_text().replace("# endpoint:", "endpoint: ${endpoint}")
        return Template(text).substitute({**self.placeholders, **more})
