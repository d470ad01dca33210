"""A real Kubernetes control plane for the tests: etcd, API server, controller manager, scheduler.

Each has its own ports, keys and run folder, so several run side by side. It has no node: see node/ for one
that runs pods. Knows no Backup.
"""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from attrs import Factory, define, frozen

from tests.cluster import api, binaries, kubernetes_flags, local_volumes
from tests.cluster.certificates import Certificates, write_certificates
from tests.cluster.kubernetes_flags import Tokens
from tests.cluster.ports import free_port
from tests.cluster.processes import Child, Processes, processes, wait_ready

# Watches keep the API server from ending by itself; nothing in it is worth waiting for.
_STOP_GRACE_SECONDS = 1.0


class KubectlFailed(RuntimeError):
    """kubectl ended with an error; the message is its stderr."""


def _thread_states(pid: int) -> list[str]:
    """The state letter of each thread of a process."""
    states = []
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        # It may end in this very moment.
        with suppress(OSError):
            states.append(path.read_text().rpartition(")")[2].split()[0])
    return states


@define(eq=False)
class ControlPlane:
    """A running control plane; valid inside `async with control_plane()`."""

    folder: Path
    url: str
    ca: Path
    token: str
    kubeconfig: Path
    kubectl: Path
    audit_log: Path
    processes: Processes
    api: api.Api
    etcd_url: str
    _volumes: local_volumes.Pool
    _commands: Mapping[str, Sequence[str | Path]]
    _controllers: bool = True
    _running: dict[str, Child] = Factory(dict)

    @property
    def environment(self) -> dict[str, str]:
        """What kubectl needs to reach this cluster and to leave the user's home alone."""
        own = {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.folder / "kubectl-cache")}
        return self.processes.environment() | own

    async def kubectl_run(self, *args: str | Path, input: str | bytes | None = None) -> str:  # noqa: A002
        """Run kubectl as the administrator and return its stdout. Raises KubectlFailed."""
        process = await asyncio.create_subprocess_exec(
            *(self.kubectl, *args),
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL if input is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        text = input.encode() if isinstance(input, str) else input
        try:
            stdout, stderr = await process.communicate(text)
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            raise KubectlFailed(
                f"kubectl {' '.join(map(str, args))}: {stderr.decode(errors='replace').strip()}"
            )
        return stdout.decode()

    async def restart_apiserver(self) -> None:
        """Stop the API server, start it again on its port, and wait until it is ready."""
        await self.stop_apiserver()
        await self.start_apiserver()

    async def stop_apiserver(self) -> None:
        """Stop the API server; every connection to it is cut. Its controllers stop with it, see below."""
        for name in ("kube-scheduler", "kube-controller-manager", "kube-apiserver"):
            if name in self._running:
                await self.processes.stop(self._running.pop(name))

    async def start_apiserver(self) -> None:
        """Start the API server after `stop_apiserver`, on the same port, and wait until it is ready.

        New controllers too: the old ones would be away for up to a minute, so long do their watches back off.
        """
        apiserver = await self._start("kube-apiserver")
        await wait_ready(apiserver, lambda: self.api.is_ok("/readyz"))
        if not self._controllers:
            return
        manager = await self._start("kube-controller-manager")
        await self._start("kube-scheduler")
        # No pod can be created before the namespace has its account.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        await wait_ready(manager, lambda: self.api.is_ok(account))

    async def renew_controllers(self) -> None:
        """A new controller manager, to be had after CRDs are made: the garbage collector of the old one would
        learn of them after half a minute, and put off for longer what it had met of them before."""
        await self.processes.stop(self._running.pop("kube-controller-manager"))
        await self._start("kube-controller-manager")

    async def _start(self, name: str) -> Child:
        child = await self.processes.start(name, self._commands[name], grace=_STOP_GRACE_SECONDS)
        self._running[name] = child
        return child

    def pause_apiserver(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered, once all its threads have stopped."""
        child = self._running["kube-apiserver"]
        child.signal(signal.SIGSTOP)
        while any(state != "T" for state in _thread_states(child.pid)):
            time.sleep(0.001)

    def resume_apiserver(self) -> None:
        """SIGCONT after `pause_apiserver`."""
        self._running["kube-apiserver"].signal(signal.SIGCONT)

    async def add_local_volumes(
        self, node: str, *, count: int = 20, size: str = "20Gi", mode: int = 0o777
    ) -> None:
        """Give a node `count` volumes of StorageClass `local-storage`; a released one comes back empty.

        By default any user of any pod may write, whether or not the node applies an fsGroup.
        """
        await self._volumes.add(node, count, size, mode)


@frozen
class Place:
    """Where the API server and etcd run: `prefix` before their commands, reached at 127.0.0.1:`port`.

    The default is right here. Elsewhere somebody else has to pass connections on.
    """

    prefix: tuple[str, ...] = ()
    port: int = Factory(free_port)


@asynccontextmanager
async def control_plane(
    folder: Path | None = None, *, apiserver_flags: Sequence[str] = ()
) -> AsyncIterator[ControlPlane]:
    """Start a control plane; it and everything added to its processes is gone at the end.

    `folder` (new or empty, removed at the end) holds logs, keys and data; `apiserver_flags` come after
    ours and win. Raises binaries.MissingProgram, build.BuildFailed, processes.ProcessDied or NotReady.
    """
    async with (
        processes(folder) as owned,
        control_plane_of(owned, Place(), apiserver_flags=apiserver_flags) as plane,
    ):
        yield plane


@asynccontextmanager
async def control_plane_of(
    owned: Processes, place: Place, *, apiserver_flags: Sequence[str] = (), controllers: bool = True
) -> AsyncIterator[ControlPlane]:
    """The same among processes that are there already, which the caller stops, at a place of its choice.

    Without `controllers` it is etcd and API server alone: no Job gets a pod, and no namespace is emptied.
    """
    programs = await asyncio.to_thread(binaries.find_or_build)
    async with AsyncExitStack() as stack:
        tokens = Tokens(*(secrets.token_hex(16) for _ in range(3)))
        certificates = await asyncio.to_thread(
            write_certificates, owned.folder / "pki", kubernetes_flags.HOSTS
        )
        port = place.port
        url = f"https://127.0.0.1:{port}"
        _write_configuration(owned.folder, url, certificates, tokens)
        client = await stack.enter_async_context(api.connect(url, certificates.ca, tokens.admin))
        etcd_url = await _start_etcd(owned, programs, place.prefix)
        volumes = local_volumes.Pool(client, owned.folder / "volumes")
        flags = kubernetes_flags.apiserver_flags(owned.folder, port, etcd_url, certificates, apiserver_flags)
        plane = ControlPlane(
            folder=owned.folder,
            url=url,
            ca=certificates.ca,
            token=tokens.admin,
            kubeconfig=owned.folder / "admin.kubeconfig",
            kubectl=programs.program("kubectl"),
            audit_log=owned.folder / "audit.log",
            processes=owned,
            api=client,
            etcd_url=etcd_url,
            volumes=volumes,
            controllers=controllers,
            commands=_commands(owned.folder, programs, certificates, flags, place.prefix),
        )
        await plane.start_apiserver()
        await stack.enter_async_context(local_volumes.recycling(volumes, client))
        yield plane


def _write_configuration(folder: Path, url: str, certificates: Certificates, tokens: Tokens) -> None:
    files = {
        "tokens.csv": tokens.file(),
        "audit-policy.json": kubernetes_flags.audit_policy(),
        "scheduler.json": kubernetes_flags.scheduler_configuration(folder / "scheduler.kubeconfig"),
    }
    users = {
        "admin": tokens.admin,
        "controller-manager": tokens.controller_manager,
        "scheduler": tokens.scheduler,
    }
    for user, token in users.items():
        files[f"{user}.kubeconfig"] = kubernetes_flags.kubeconfig(url, certificates.ca, user, token)
    for name, text in files.items():
        # Tokens are in most of them.
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600)
        with open(descriptor, "w") as file:
            file.write(text)


async def _start_etcd(owned: Processes, programs: binaries.Binaries, prefix: Sequence[str]) -> str:
    client_url, peer_url = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    flags = kubernetes_flags.etcd_flags(owned.folder / "etcd", client_url, peer_url)
    # Not waited for: the API server tries until etcd answers.
    await owned.start("etcd", [*prefix, programs.etcd, *flags])
    return client_url


def _commands(
    folder: Path,
    programs: binaries.Binaries,
    certificates: Certificates,
    apiserver_flags: Sequence[str],
    apiserver_prefix: Sequence[str],
) -> dict[str, list[str | Path]]:
    flags = {
        "kube-apiserver": apiserver_flags,
        "kube-controller-manager": kubernetes_flags.controller_manager_flags(
            folder / "controller-manager.kubeconfig", certificates
        ),
        "kube-scheduler": kubernetes_flags.scheduler_flags(folder / "scheduler.json"),
    }
    commands: dict[str, list[str | Path]]
    commands = {name: [programs.program(name), *its_flags] for name, its_flags in flags.items()}
    # The controllers stay here, they need nothing but the API server.
    commands["kube-apiserver"] = [*apiserver_prefix, *commands["kube-apiserver"]]
    return commands
