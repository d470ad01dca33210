"""A controller that dies right after a write, whichever: the next one ends in the same world.

Every write of the pure plans is cut off in tests/decide (test_world.py, test_schedule_world.py); here some
of a schedule and its Backup, on a real API server.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.cluster.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.cluster.lab import Lab
from tests.cluster.ports import free_port
from tests.cluster.processes import Child
from tests.integration.faults import no_controller
from tests.integration.scene import Scene
from tests.integration.schedule_scene import NOBODY_HAS, Schedules, hourly_half_an_hour_from_now

pytestmark = pytest.mark.integration

READ = "GET "


@asynccontextmanager
async def to_the_api_server(lab: Lab) -> AsyncIterator[FaultProxy]:
    """A proxy between controller and API server."""
    at = urlsplit(lab.plane.url)
    tls = ssl.create_default_context(cafile=lab.plane.ca)
    async with fault_proxy(str(at.hostname), int(at.port or 443), upstream_tls=tls) as proxy:
        yield proxy


async def start_through(proxy: FaultProxy, lab: Lab, folder: Path, number: int) -> Child:
    """A controller whose way to the API server is the proxy."""
    config = yaml.safe_load(lab.plane.kubeconfig.read_text())
    for cluster in config["clusters"]:
        cluster["cluster"] = {"server": f"http://{proxy.host}:{proxy.port}"}
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    argv = [
        *(str(Path(sys.executable).with_name("tidbbackup")), "controller", "--kubeconfig", str(kubeconfig)),
        *("--metrics-host", "127.0.0.1", "--metrics-port", str(free_port())),
    ]
    return await lab.plane.processes.start(f"dies-after-{number}", argv)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 7])
async def test_the_next_one_ends_in_the_same_world(scene: Scene, tmp_path: Path, number: int) -> None:
    made = Schedules(scene)
    await made.create("late", hourly_half_an_hour_from_now(), NOBODY_HAS)
    await made.until(lambda found: "nextBackupTime" in found, "late")
    async with no_controller(scene.lab):
        await made.put_back("late", 5)
        async with to_the_api_server(scene.lab) as proxy:
            # The server does the write, nobody hears of it, and that was the last of this controller.
            last = Fault(excludes=READ, cut_at=0)
            proxy.faults += [Fault(excludes=READ, times=number - 1)] * (number > 1) + [last]
            child = await start_through(proxy, scene.lab, tmp_path, number)
            async with asyncio.timeout(30):
                while proxy.faulted < number:  # noqa: ASYNC110  there is nobody to tell
                    await asyncio.sleep(0.01)
            # The proxy counts a request when it comes; the server is given the time to do it.
            await asyncio.sleep(0.2)
            child.signal(signal.SIGKILL)
            await scene.lab.plane.processes.stop(child)

    (backup,) = await made.until_made(1, "late")
    name = backup["metadata"]["name"]
    status = await made.until(lambda found: found.get("missedRuns") == 4, "late")
    await scene.until_phase("Scheduled", name)

    assert (status["lastBackup"], status["active"]) == (name, [name])
    assert len(await made.backups("late")) == 1
    assert [job["metadata"]["name"] for job in await scene.jobs()] == [f"backup-{name}"]
    said = [reason for _, reason, _ in await scene.events("late")]
    assert said.count("MissedDowntime") == said.count("BackupCreated") == 1
