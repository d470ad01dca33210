"""A cluster with a whole node: control plane, containerd and kubelet in a house of their own.

Real containers of the real image; seen from outside it is a ControlPlane like any other. Knows no Backup.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from attrs import frozen

from tests.cluster import binaries
from tests.cluster.api import ApiRefused
from tests.cluster.control_plane import ControlPlane, Place, control_plane_of
from tests.cluster.kubernetes_flags import SERVICE_ADDRESS
from tests.cluster.processes import Processes, processes, wait_ready
from tests.cluster.real import cgroups, image, node_files
from tests.cluster.real.doors import Doors
from tests.cluster.real.house import House, house
from tests.cluster.real.node_files import NODE_ADDRESS
from tests.cluster.real.overlay import overlay_works

_APISERVER_PORT = 443
# There it *is* the Service `kubernetes`, so pods need no proxy to reach it.
_APISERVER_FLAGS = (
    f"--secure-port={_APISERVER_PORT}",
    "--bind-address=0.0.0.0",
    f"--advertise-address={SERVICE_ADDRESS}",
    "--kubelet-preferred-address-types=InternalIP",
)


@frozen(eq=False)
class WholeNode:
    """A running cluster with one node; valid inside `async with whole_node()`."""

    name: str
    plane: ControlPlane
    doors: Doors
    _house: House
    _socket: Path

    @property
    def in_network(self) -> tuple[str, ...]:
        """Put in front of a command to run it where it reaches the pods."""
        return self._house.in_network

    async def tag_image(self, name: str, source: str = image.IMAGE) -> None:
        """Give an image of the node another name, such as the one a manifest has."""
        await _ctr(self._socket, "images", "tag", "--force", source, name)


@asynccontextmanager
async def whole_node(name: str = "node-1", *, volumes: int = 6) -> AsyncIterator[WholeNode]:
    """Start a cluster with a node that is ready, has the image and `volumes` of class local-storage.

    The image is built first if this machine has not got it: see image.py. Everything is gone at the end.
    Raises what control_plane() and image.find_or_build() raise; ProcessDied, NotReady.
    """
    archive = await asyncio.to_thread(image.find_or_build)
    async with AsyncExitStack() as stack:
        owned = await stack.enter_async_context(processes())
        cgroup = stack.enter_context(cgroups.group(owned.folder.name))
        home = await stack.enter_async_context(house(owned, (SERVICE_ADDRESS, NODE_ADDRESS)))
        doors = Doors(owned, home.network)
        place = Place(prefix=home.in_network)
        await doors.open_inwards(place.port, _APISERVER_PORT)
        socket = owned.folder / "containerd.sock"
        # The image is unpacked while the control plane starts.
        unpacking = asyncio.create_task(_start_containerd(owned, home, socket, archive))
        stack.push_async_callback(_ended, unpacking)
        plane = await stack.enter_async_context(
            control_plane_of(owned, place, apiserver_flags=_APISERVER_FLAGS)
        )
        await unpacking
        await _start_kubelet(plane, home, name, socket, cgroup)
        # Root's own, as a provisioner makes them: here is a kubelet that gives them to the pod's group.
        await plane.add_local_volumes(name, count=volumes, mode=0o755)
        yield WholeNode(name, plane, doors, home, socket)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _start_containerd(owned: Processes, home: House, socket: Path, archive: Path) -> None:
    folder = owned.folder / "containerd"
    (folder / "cni").mkdir(parents=True)
    (folder / "cni" / "10-pods.conflist").write_text(node_files.cni_conflist(folder))
    configuration = folder / "config.toml"
    overlay = await asyncio.to_thread(overlay_works, folder, in_memory=True)
    text = node_files.containerd_toml(folder, socket, image.PAUSE.name, overlay=overlay)
    configuration.write_text(text)
    child = await owned.start(
        "containerd", [*home.inside, "containerd", "--config", configuration], grace=0.0
    )

    async def answers() -> bool:
        try:
            await _ctr(socket, "version")
        except OSError:
            return False
        return True

    await wait_ready(child, answers)
    await _ctr(socket, "images", "import", "--snapshotter", node_files.snapshotter(overlay), str(archive))


async def _ctr(socket: Path, *args: str) -> str:
    """containerd's command line, on the images that kubelet sees. Raises OSError with its words."""
    process = await asyncio.create_subprocess_exec(
        *("ctr", "--address", str(socket), "--namespace", "k8s.io", *args),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        stdout, stderr = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise OSError(f"ctr {' '.join(args)}: {stderr.decode(errors='replace').strip()}")
    return stdout.decode()


async def _start_kubelet(plane: ControlPlane, home: House, name: str, socket: Path, cgroup: str) -> None:
    programs = await asyncio.to_thread(binaries.find_or_build)
    folder = plane.folder / "kubelet"
    folder.mkdir()
    configuration = folder / "config.json"
    configuration.write_text(node_files.kubelet_configuration(folder, socket, cgroup))
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(0o600)
    # From in there the API server is not where we reach it.
    text = plane.kubeconfig.read_text().replace(plane.url, f"https://{SERVICE_ADDRESS}")
    kubeconfig.write_text(text)
    argv: list[str | Path] = [*home.inside, programs.program("kubelet"), f"--config={configuration}"]
    argv += [f"--kubeconfig={kubeconfig}", f"--root-dir={folder}/state"]
    argv += [f"--hostname-override={name}", f"--node-ip={NODE_ADDRESS}"]
    child = await plane.processes.start("kubelet", argv, grace=0.0)
    await wait_ready(child, lambda: _is_ready(plane, name))


async def _is_ready(plane: ControlPlane, name: str) -> bool:
    try:
        node = await plane.api.get(f"/api/v1/nodes/{name}")
    except ApiRefused:
        return False
    conditions = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions", ())}
    # The taint of a new node goes a moment after it is ready.
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")
