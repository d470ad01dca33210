"""A real Ceph with one monitor, one OSD that keeps data in memory, and one S3 gateway. Knows no Backup.

There is no manager: nothing that S3 does asks for one, and with it a start takes ten seconds instead of two.
Logins are cephx as in production, not for safety: with `none` a client may be logged in before it has the
monitors' map, sends its first command with an empty cluster id, is refused and waits for ever (16.2.15).
"""

import asyncio
import base64
import json
import os
import struct
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tests.cluster.certificates import Certificates
from tests.cluster.object_store import ObjectStore, serving
from tests.cluster.ports import free_port
from tests.cluster.processes import Child, Processes, wait_ready

_STEP_SECONDS = 60.0
_CAPABILITIES = {"mon.": ("mon",), "client.admin": ("mon", "osd"), "osd.0": ("mon", "osd")}


class CephFailed(RuntimeError):
    """A step of the start failed or took too long; the message has the step and the daemons' last lines."""


@frozen(eq=False)
class Ceph:
    """One gateway and its one user, reached over http and over https."""

    http: ObjectStore
    https: ObjectStore


@asynccontextmanager
async def ceph(owned: Processes, certificates: Certificates, *, name: str = "ceph") -> AsyncIterator[Ceph]:
    """Start a cluster in the run folder of `owned`, with ports on 127.0.0.1; all of it is gone at the end.

    `tests/cluster/setup.sh ceph` installs the programs. Raises FileNotFoundError without them; CephFailed,
    ProcessDied, NotReady.
    """
    cluster = _Cluster(owned, owned.folder / name)
    ports = {"http": free_port(), "https": free_port()}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(cluster.stop)
        await cluster.start_monitor(free_port(), ports, certificates)
        await cluster.start_osd()
        access_key, secret_key = await cluster.make_user()
        gateway = await cluster.start_daemon("radosgw", "client.admin")
        stores = [
            ObjectStore(f"{scheme}://127.0.0.1:{port}", access_key, secret_key, cluster.folder, gateway, ca)
            for (scheme, port), ca in zip(ports.items(), (None, certificates.ca), strict=True)
        ]
        http, https = [await stack.enter_async_context(serving(owned, store)) for store in stores]
        yield Ceph(http, https)


def configuration(
    folder: Path, monitor: str, gateway_ports: dict[str, int], certificates: Certificates
) -> str:
    """The ceph.conf of a cluster below `folder`; `monitor` as Ceph writes addresses, `v1:HOST:PORT`."""
    frontends = (
        f"beast endpoint=127.0.0.1:{gateway_ports['http']} ssl_endpoint=127.0.0.1:{gateway_ports['https']} "
        f"ssl_certificate={certificates.certificate} ssl_private_key={certificates.key}"
    )
    common = {
        "fsid": str(uuid.uuid4()),
        "mon_host": monitor,
        "ms_bind_msgr2": "false",
        "public_addr": "127.0.0.1",
        "cluster_addr": "127.0.0.1",
        "keyring": f"{folder}/keyring",
        "run_dir": str(folder),
        "admin_socket": "",
        "log_file": "",
        # It tells more of its database than of itself.
        "debug_rocksdb": "0",
        "mon_data": f"{folder}/mon",
        "osd_data": f"{folder}/osd",
        "osd_objectstore": "memstore",
        "osd_class_dir": object_classes(),
        # One copy of everything, on the one OSD.
        "mon_allow_pool_size_one": "true",
        "osd_pool_default_size": "1",
        "osd_pool_default_min_size": "1",
        "osd_crush_chooseleaf_type": "0",
        # Every pool is made in a round of the monitor's, which by default waits a second for more to do.
        "osd_pool_default_pg_num": "1",
        "osd_pool_default_pgp_num": "1",
        "rgw_rados_pool_pg_num_min": "1",
        "osd_pool_default_pg_autoscale_mode": "off",
        "paxos_propose_interval": "0.02",
        "paxos_min_wait": "0.01",
        # It would stop where the machine's disk is nearly full, and needs nothing of it.
        "mon_data_avail_warn": "0",
        "mon_data_avail_crit": "0",
        "rgw_frontends": frontends,
    }
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in common.items())


def object_classes() -> str:
    """Where Debian keeps what the gateway runs in the OSD; its 18.2 looks in a relative path, in vain."""
    found = next(Path("/usr/lib").glob("*/rados-classes"), None)
    if found is None:
        raise CephFailed("there is no /usr/lib/*/rados-classes: install the package ceph-osd")
    return str(found)


def keyring(now: int) -> str:
    """New keys for the daemons and for us; `now` in seconds since 1970 is when they were made."""
    lines = []
    for who, parts in _CAPABILITIES.items():
        key = struct.pack("<hIIh", 1, now, 0, 16) + os.urandom(16)
        lines += [f"[{who}]", f"key = {base64.b64encode(key).decode()}"]
        lines += [f'caps {part} = "allow *"' for part in parts]
    return "\n".join(lines) + "\n"


@define(eq=False)
class _Cluster:
    """The cluster while it is made: its folder and its daemons so far."""

    owned: Processes
    folder: Path
    daemons: list[Child] = field(factory=list)

    async def start_monitor(
        self, port: int, gateway_ports: dict[str, int], certificates: Certificates
    ) -> None:
        """The one monitor, with a map that names it alone."""
        monitor = f"v1:127.0.0.1:{port}"
        for path in (self.folder, self.folder / "mon", self.folder / "osd"):
            path.mkdir(mode=0o700)
        conf = configuration(self.folder, monitor, gateway_ports, certificates)
        (self.folder / "ceph.conf").write_text(conf)
        (self.folder / "keyring").write_text(keyring(int(time.time())))
        monmap = f"{self.folder}/monmap"
        await self.run("monmaptool", "--create", "--addv", "a", f"[{monitor}]", monmap)
        await self.run(
            "ceph-mon", "--id=a", "--mkfs", f"--monmap={monmap}", f"--keyring={self.folder}/keyring"
        )
        await self.start_daemon("ceph-mon", "mon.a")

    async def start_osd(self) -> None:
        """The one OSD; returns when the monitor calls it up."""
        unique = str(uuid.uuid4())
        await self.run("ceph", "osd", "new", unique)
        # Without this number it would make up another one and never be let in.
        await self.run("ceph-osd", "--id=0", "--mkfs", f"--osd-uuid={unique}")
        osd = await self.start_daemon("ceph-osd", "osd.0")

        async def up() -> bool:
            answer = json.loads(await self.run("ceph", "osd", "stat", "--format=json"))
            # Under `osdmap` in some versions.
            return bool(answer.get("osdmap", answer)["num_up_osds"] == 1)

        await wait_ready(osd, up)

    async def make_user(self) -> tuple[str, str]:
        """The pools, the zone and a user; the keys that Ceph has made for it."""
        argv = ("radosgw-admin", "user", "create", "--uid=tests", "--display-name=Tests")
        made: dict[str, Any] = json.loads(await self.run(*argv))
        (keys,) = made["keys"]
        return keys["access_key"], keys["secret_key"]

    async def start_daemon(self, program: str, entity: str) -> Child:
        """Start a daemon; it dies at once when stopped, for what it has is in memory."""
        argv = [program, f"--conf={self.folder}/ceph.conf", f"--name={entity}", "-d"]
        child = await self.owned.start(f"{self.folder.name}-{entity}", argv, grace=0.0)
        self.daemons.append(child)
        return child

    async def run(self, program: str, *arguments: str, seconds: float = _STEP_SECONDS) -> str:
        """Run a command to its end; its standard output. Raises CephFailed."""
        argv: Sequence[str] = (program, f"--conf={self.folder}/ceph.conf", *arguments)
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=self.owned.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, errors = await asyncio.wait_for(process.communicate(), seconds)
        except TimeoutError:
            raise self._failed(argv, f"did not end within {seconds:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            last = errors.decode(errors="replace").strip()[-2000:]
            raise self._failed(argv, f"ended with {process.returncode}: {last}")
        return out.decode()

    def _failed(self, argv: Sequence[str], how: str) -> CephFailed:
        logs = "\n".join(f"--- {each.name}\n{each.last_lines()}" for each in self.daemons)
        return CephFailed(f"`{' '.join(argv)}` {how}\n{logs}")

    async def stop(self) -> None:
        """Stop what runs, the newest first."""
        for daemon in reversed(self.daemons):
            await self.owned.stop(daemon)
