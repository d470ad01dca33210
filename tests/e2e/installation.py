"""tidbbackup as a user installs it, on a whole node, with a database and S3 servers that pods can reach.

Everything is done with kubectl, the shipped files and the documented commands. Knows nothing of the product's
inside.
"""

import asyncio
import json
import os
import signal
import time
from asyncio import sleep
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from string import Template
from typing import Any

import yaml
from attrs import Factory, define

from tests.cluster.ceph_server import ceph
from tests.cluster.certificates import write_certificates
from tests.cluster.control_plane import ControlPlane, KubectlFailed
from tests.cluster.database import Database, mariadb
from tests.cluster.lab import EXAMPLES, ROOT, Secrets, make_namespace
from tests.cluster.object_store import ObjectStore, rclone_store
from tests.cluster.real.node import WholeNode, whole_node
from tests.cluster.real.node_files import NODE_ADDRESS
from tests.cluster.sample_schema import sample_schema
from tests.cluster.tidb_server import TiDB, tidb
from tests.e2e import documented

JSON = dict[str, Any]

CRDS = ROOT / "manifests" / "crds.yaml"
INSTALL = ROOT / "manifests" / "install.yaml"
SYSTEM = "tidbbackup-system"
DEPLOYMENT = "deployment/tidbbackup-controller"
OVER = ("Complete", "Failed", "Invalid")
_SHELL_SECONDS = 120


@define(eq=False)
class Installation:
    """The cluster with the product in it."""

    node: WholeNode
    database: Database
    tidb: TiDB
    """With the same password and the same databases."""
    _stack: AsyncExitStack
    _sites: dict[str, "Site"] = Factory(dict)
    _making: dict[str, asyncio.Lock] = Factory(lambda: defaultdict(asyncio.Lock))

    @property
    def plane(self) -> ControlPlane:
        """The cluster."""
        return self.node.plane

    async def install(self) -> None:
        """README's command, with the image already where it will be looked for, until it has rolled out."""
        command = documented.install()
        await self.node.tag_image(documented.image_in(command))
        await self.shell(command)
        await self.rolled_out()

    async def shell(self, command: str, folder: Path = ROOT) -> str:
        """Run a piece of documentation in `folder`; its output. Raises AssertionError with that."""
        environment = self.plane.environment
        environment["PATH"] = f"{self.plane.kubectl.parent}:{environment['PATH']}"
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", command),
            env=environment,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_SHELL_SECONDS):
                said = (await shell.communicate())[0].decode()
        finally:
            if shell.returncode is None:
                os.killpg(shell.pid, signal.SIGKILL)
                await shell.wait()
        assert shell.returncode == 0, f"{command}\n{said}"
        return said

    async def rolled_out(self) -> None:
        """Wait until the controller of the newest template is the one that runs."""
        try:
            await self.plane.kubectl_run("-n", SYSTEM, "rollout", "status", DEPLOYMENT, "--timeout=60s")
        except KubectlFailed as failed:
            told = await self.plane.kubectl_run("-n", SYSTEM, "describe", "pods")
            raise AssertionError(f"{failed}\n{told}\n{await self.controller_log()}") from failed
        # A pod that was replaced leads on while it winds up, by its old template.
        async with asyncio.timeout(40):
            while await self._ending_pods():  # noqa: ASYNC110  there is nobody to tell
                await sleep(0.3)

    async def _ending_pods(self) -> list[str]:
        pods = (await self.plane.api.get(f"/api/v1/namespaces/{SYSTEM}/pods"))["items"]
        return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]

    async def controller_log(self, lines: int = 60) -> str:
        """The last lines that each controller has logged (-1: all), as far as kubectl can tell."""
        which = ("-l", "app.kubernetes.io/component=controller", "--prefix", f"--tail={lines}")
        try:
            return await self.plane.kubectl_run("-n", SYSTEM, "logs", *which)
        except KubectlFailed as failed:
            return str(failed)

    async def site(self, name: str) -> "Site":
        """The site of this name, made when it is first asked for: see Site."""
        async with self._making[name]:
            if name not in self._sites:
                store = rclone_store(self.plane.processes, name=f"rclone-{name}")
                self._sites[name] = await self.site_in(await self._stack.enter_async_context(store), name)
            return self._sites[name]

    async def site_in(self, store: ObjectStore, name: str) -> "Site":
        """A new site with its bucket in `store`."""
        await self.node.doors.open_outwards(store.port)
        secrets = Secrets(self.database.password, store.access_key, store.secret_key)
        await make_namespace(self.plane, name, secrets)
        restricted = "pod-security.kubernetes.io/enforce=restricted"
        await self.plane.kubectl_run("label", "namespace", name, restricted)
        await store.create_bucket(name)
        return Site(self, name, store)

    @asynccontextmanager
    async def site_on_ceph(self, name: str) -> AsyncIterator["Site"]:
        """A site with its bucket in a real Ceph, which is gone at the end."""
        owned = self.plane.processes
        certificates = write_certificates(owned.folder / "ceph-certificates", ["127.0.0.1"])
        async with ceph(owned, certificates) as gateway:
            yield await self.site_in(gateway.http, name)


@define(eq=False)
class Site:
    """A namespace where only pods run that Pod Security calls restricted, and a bucket of the same name.

    The S3 server is nobody else's: it may be stopped.
    """

    installation: Installation
    name: str
    store: ObjectStore

    async def kubectl(self, *args: str, input: str | None = None) -> str:  # noqa: A002 - as in kubectl_run
        """kubectl in this namespace."""
        return await self.installation.plane.kubectl_run("-n", self.name, *args, input=input)

    def filled_in(self, file: str) -> str:
        """The text of an example of the specification, with the bucket and the keys of this site."""
        placeholders = {
            "tidb_host": NODE_ADDRESS,
            "tidb_port": self.installation.database.port,
            "tidb_user": self.installation.database.user,
            "tidb_password": self.installation.database.password,
            "region": "us-east-1",
            "bucket": self.name,
            "endpoint": f"http://{NODE_ADDRESS}:{self.store.port}",
            "access_key": self.store.access_key,
            "secret_key": self.store.secret_key,
        }
        text = (EXAMPLES / file).read_text().replace("# endpoint:", "endpoint: ${endpoint}")
        return Template(text).substitute(placeholders)

    def example(self, file: str, **spec: Any) -> JSON:
        """An example for this site's namespace; keywords replace parts of its spec."""
        manifest: JSON = yaml.safe_load(self.filled_in(file))
        manifest["metadata"]["namespace"] = self.name
        manifest["spec"] |= spec
        return manifest

    async def apply(self, manifest: JSON) -> str:
        """`kubectl apply`; the object's name."""
        await self.kubectl("apply", "-f", "-", input=json.dumps(manifest))
        return str(manifest["metadata"]["name"])

    async def get(self, name: str) -> JSON:
        """The Backup as it is."""
        # Not by kubectl: that is a process, and many tests ask several times a second.
        path = f"/apis/pingcap.com/v1alpha1/namespaces/{self.name}/backups/{name}"
        return await self.installation.plane.api.get(path)

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


@asynccontextmanager
async def installation() -> AsyncIterator[Installation]:
    """Start everything and install; all of it is gone at the end."""
    async with (
        # A finished pod keeps its volume, and no test removes its Backups.
        whole_node(volumes=30) as node,
        mariadb(node.plane.processes) as database,
        tidb(node.plane.processes, password=database.password) as a_tidb,
        AsyncExitStack() as stack,
    ):
        await database.load(sample_schema())
        await a_tidb.load(sample_schema(for_tidb=True))
        for server in (database, a_tidb):
            await node.doors.open_outwards(server.port)
        made = Installation(node, database, a_tidb, stack)
        await made.install()
        yield made
