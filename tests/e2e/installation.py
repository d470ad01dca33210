"""tidbbackup as a user installs it, on a whole node, with a database and an S3 server that pods can reach.

Everything is done with kubectl and the shipped files. Knows nothing of the product's inside.
"""

import json
import time
from asyncio import sleep
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from string import Template
from typing import Any

import yaml
from attrs import define

from tests.cluster.control_plane import ControlPlane, KubectlFailed
from tests.cluster.database import Database, mariadb
from tests.cluster.lab import EXAMPLES, ROOT, Secrets, make_namespace
from tests.cluster.object_store import ObjectStore, rclone_store
from tests.cluster.real.node import WholeNode, whole_node
from tests.cluster.real.node_files import NODE_ADDRESS
from tests.cluster.sample_schema import sample_schema

JSON = dict[str, Any]

CRDS = ROOT / "manifests" / "crds.yaml"
INSTALL = ROOT / "manifests" / "install.yaml"
SYSTEM = "tidbbackup-system"
DEPLOYMENT = "deployment/tidbbackup-controller"
OVER = ("Complete", "Failed", "Invalid")


@define(eq=False)
class Installation:
    """The cluster with the product in it."""

    node: WholeNode
    database: Database
    store: ObjectStore

    @property
    def plane(self) -> ControlPlane:
        """The cluster."""
        return self.node.plane

    async def install(self) -> None:
        """The two commands of the documentation, and wait until the controller is available."""
        for image in deployed_images(INSTALL.read_text()):
            await self.node.tag_image(image)
        await self.plane.kubectl_run("apply", "--server-side", "-f", CRDS)
        await self.plane.kubectl_run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        await self.plane.kubectl_run("apply", "-f", INSTALL)
        await self.rolled_out()

    async def rolled_out(self) -> None:
        """Wait until the controller of the newest template is the one that runs."""
        try:
            await self.plane.kubectl_run("-n", SYSTEM, "rollout", "status", DEPLOYMENT, "--timeout=60s")
        except KubectlFailed as failed:
            told = await self.plane.kubectl_run("-n", SYSTEM, "describe", "pods")
            raise AssertionError(f"{failed}\n{told}\n{await self.controller_log()}") from failed

    async def controller_log(self) -> str:
        """What the controller has logged, as far as kubectl can tell."""
        try:
            return await self.plane.kubectl_run("-n", SYSTEM, "logs", DEPLOYMENT, "--tail=60")
        except KubectlFailed as failed:
            return str(failed)

    async def site(self, name: str, store: ObjectStore | None = None) -> "Site":
        """A namespace where only pods run that Pod Security calls restricted, its Secrets, and a bucket.

        In `store`, if it is given; a door has to lead to it.
        """
        store = store or self.store
        secrets = Secrets(self.database.password, store.access_key, store.secret_key)
        await make_namespace(self.plane, name, secrets)
        restricted = "pod-security.kubernetes.io/enforce=restricted"
        await self.plane.kubectl_run("label", "namespace", name, restricted)
        await store.create_bucket(name)
        return Site(self, name, store)


@define(eq=False)
class Site:
    """A namespace and a bucket of the same name."""

    installation: Installation
    name: str
    store: ObjectStore

    async def kubectl(self, *args: str, input: str | None = None) -> str:  # noqa: A002 - as in kubectl_run
        """kubectl in this namespace."""
        return await self.installation.plane.kubectl_run("-n", self.name, *args, input=input)

    def example(self, file: str, **spec: Any) -> JSON:
        """An example of the specification, filled in; keywords replace parts of its spec."""
        placeholders = {
            "tidb_host": NODE_ADDRESS,
            "tidb_port": self.installation.database.port,
            "tidb_user": self.installation.database.user,
            "region": "us-east-1",
            "bucket": self.name,
            "endpoint": f"http://{NODE_ADDRESS}:{port_of(self.store)}",
        }
        text = (EXAMPLES / file).read_text().replace("# endpoint:", "endpoint: ${endpoint}")
        manifest: JSON = yaml.safe_load(Template(text).substitute(placeholders))
        manifest["metadata"]["namespace"] = self.name
        manifest["spec"] |= spec
        return manifest

    async def apply(self, manifest: JSON) -> str:
        """`kubectl apply`; the object's name."""
        await self.kubectl("apply", "-f", "-", input=json.dumps(manifest))
        return str(manifest["metadata"]["name"])

    async def get(self, name: str) -> JSON:
        """The Backup as it is."""
        found: JSON = json.loads(await self.kubectl("get", "backup", name, "-ojson"))
        return found

    async def over(self, name: str, seconds: float = 90) -> JSON:
        """The Backup once it is Complete, Failed or Invalid."""
        return await self.until(name, lambda found: found.get("status", {}).get("phase") in OVER, seconds)

    async def until(self, name: str, holds: Callable[[JSON], bool], seconds: float = 90) -> JSON:
        """The Backup once it is as wanted; AssertionError with the whole story when that takes too long."""
        deadline = time.monotonic() + seconds
        while not holds(found := await self.get(name)):
            if time.monotonic() > deadline:
                story = await self.kubectl("describe", "backups,jobs,pods,pvc")
                log = await self.installation.controller_log()
                raise AssertionError(f"{name} after {seconds:g} s:\n{story}\n{log}")
            await sleep(0.3)
        return found


def reason(backup: JSON) -> str:
    """The reason of the condition that is the Backup's phase."""
    status = backup["status"]
    return str(next(each["reason"] for each in status["conditions"] if each["type"] == status["phase"]))


def deployed_images(manifests: str) -> set[str]:
    """The images that the Deployments in a file of manifests name, as containerd calls them."""
    found: set[str] = set()
    for each in yaml.safe_load_all(manifests):
        if each and each["kind"] == "Deployment":
            found |= {container["image"] for container in each["spec"]["template"]["spec"]["containers"]}
    return {full_name(image) for image in found}


def full_name(image: str) -> str:
    """An image's name with what is left out in everyday use, such as docker.io/library."""
    registry, slash, _ = image.partition("/")
    if not slash:
        return f"docker.io/library/{image}"
    return image if "." in registry or ":" in registry or registry == "localhost" else f"docker.io/{image}"


@asynccontextmanager
async def installation() -> AsyncIterator[Installation]:
    """Start everything and install; all of it is gone at the end."""
    async with (
        # A finished pod keeps its volume, and no test removes its Backups.
        whole_node(volumes=30) as node,
        mariadb(node.plane.processes) as database,
        rclone_store(node.plane.processes) as store,
    ):
        await database.load(sample_schema())
        for port in (database.port, port_of(store)):
            await node.doors.open_outwards(port)
        made = Installation(node, database, store)
        await made.install()
        yield made


def port_of(store: ObjectStore) -> int:
    """Where it listens."""
    return int(store.endpoint.rpartition(":")[2])
