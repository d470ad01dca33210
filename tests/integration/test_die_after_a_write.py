"""A controller that dies right after a write, whichever: the next one ends in the same world.

Every write of the pure plans is cut off in tests/decide (test_world.py, test_schedule_world.py); here all
of a due time, and some of retention and of a deletion, on a real API server.
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
from tests.integration.faults import before_store, no_controller, within
from tests.integration.hold_proxy import PART
from tests.integration.scene import Scene
from tests.integration.schedule_scene import GROUP, NOBODY_HAS, Schedules, hourly_half_an_hour_from_now

pytestmark = pytest.mark.integration

READ = "GET "


@asynccontextmanager
async def to_the_api_server(lab: Lab) -> AsyncIterator[FaultProxy]:
    """A proxy between controller and API server."""
    at = urlsplit(lab.plane.url)
    tls = ssl.create_default_context(cafile=lab.plane.ca)
    async with fault_proxy(str(at.hostname), int(at.port or 443), upstream_tls=tls) as proxy:
        yield proxy


async def start_through(proxy: FaultProxy, lab: Lab, folder: Path) -> Child:
    """A controller whose way to the API server is the proxy."""
    config = yaml.safe_load(lab.plane.kubeconfig.read_text())
    for cluster in config["clusters"]:
        cluster["cluster"] = {"server": f"http://{proxy.host}:{proxy.port}"}
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    argv = [
        *(str(Path(sys.executable).with_name("tidbbackup")), "controller", "--kubeconfig", str(kubeconfig)),
        # Without the writes of a Lease: what is counted are those of the plans.
        *("--metrics-host", "127.0.0.1", "--metrics-port", str(free_port()), "--no-leader-elect"),
    ]
    return await lab.plane.processes.start("dies-after-a-write", argv)


async def die_after(lab: Lab, folder: Path, word: str, number: int = 1) -> None:
    """A controller that is killed right after its n-th write whose first line has that word."""
    async with to_the_api_server(lab) as proxy:
        # The server does the write, nobody hears of it, and that was the last of this controller.
        last = Fault(word, excludes=READ, cut_at=0)
        proxy.faults += [Fault(word, excludes=READ, times=number - 1)] * (number > 1) + [last]
        # Until it is killed nothing more gets through: it would go on after an Event that was lost.
        proxy.faults += [Fault(excludes=READ, status=503, times=None)] * (word == "")
        child = await start_through(proxy, lab, folder)
        async with asyncio.timeout(60):
            while not proxy.cut:  # noqa: ASYNC110  there is nobody to tell
                await asyncio.sleep(0.01)
        child.signal(signal.SIGKILL)
        await lab.plane.processes.stop(child)


@pytest.mark.parametrize("number", range(1, 11))
async def test_a_schedule_ends_in_the_same_world(scene: Scene, tmp_path: Path, number: int) -> None:
    made = Schedules(scene)
    await made.create("late", hourly_half_an_hour_from_now(), NOBODY_HAS)
    await made.until(lambda found: "nextBackupTime" in found, "late")
    async with no_controller(scene.lab):
        await made.put_back("late", 5)
        await die_after(scene.lab, tmp_path, "", number)

    (backup,) = await made.until_made(1, "late")
    name = backup["metadata"]["name"]
    status = await made.until(lambda found: found.get("missedRuns") == 4, "late")
    await scene.until_phase("Scheduled", name)

    assert (status["lastBackup"], status["active"]) == (name, [name])
    assert len(await made.backups("late")) == 1
    assert [job["metadata"]["name"] for job in await scene.jobs()] == [f"backup-{name}"]
    said = [reason for _, reason, _ in await scene.events("late")]
    assert said.count("MissedDowntime") == said.count("BackupCreated") == 1


# As the first lines of requests begin and end; `backup` is the path of the Backup.
DELETION, ITS_STATUS = "DELETE {backup} ", "PATCH {backup}/status "
CLEANING, STOP = "POST {jobs} ", "DELETE {jobs}/backup-"


def write(word: str, scene: Scene, name: str) -> str:
    """That word for one Backup of a scene."""
    backup = f"{GROUP}/namespaces/{scene.namespace}/backups/{name}"
    return word.format(backup=backup, jobs=f"/apis/batch/v1/namespaces/{scene.namespace}/jobs")


@pytest.mark.parametrize("word", [DELETION, CLEANING, ITS_STATUS], ids=["deletion", "cleaning", "status"])
async def test_retention_ends_in_the_same_world(scene: Scene, tmp_path: Path, word: str) -> None:
    made = Schedules(scene)
    await made.create("brief", hourly_half_an_hour_from_now())
    await made.put_back("brief", 1)
    await made.until(lambda found: "lastSuccessfulBackup" in found, "brief")
    (backup,) = await made.backups("brief")
    name = backup["metadata"]["name"]
    async with no_controller(scene.lab):
        at_once = {"spec": {"maxReservedTime": "1s", "minBackups": 0}}
        await scene.lab.plane.api.patch(f"{made.path}/brief", at_once)
        await die_after(scene.lab, tmp_path, write(word, scene, name))

    await scene.until_gone(name)
    await scene.until_nothing_made()
    assert await scene.objects() == {}
    status = await made.until(lambda found: "active" not in found, "brief")
    assert (status["lastBackup"], status["lastSuccessfulBackup"]) == (name, name)
    said = [reason for each in ("brief", name) for _, reason, _ in await scene.events(each)]
    assert said.count("RetentionExpired") == said.count("ArchiveDeleted") == said.count("Clean") == 1


@pytest.mark.parametrize("word", [ITS_STATUS, STOP], ids=["status", "stop"])
async def test_the_deletion_of_a_running_one_ends_in_the_same_world(
    scene: Scene, tmp_path: Path, word: str
) -> None:
    async with before_store(scene.lab, PART) as proxy:
        await scene.apply(scene.backup(s3={"endpoint": proxy.url}, cleanPolicy="Delete"))
        await within(proxy.reached)
        await scene.until_phase("Running")
        async with no_controller(scene.lab):
            await scene.delete()
            await die_after(scene.lab, tmp_path, write(word, scene, "bk"))
        proxy.cut()
        proxy.release()
        await scene.until_gone()

    await scene.until_nothing_made()
    assert await scene.objects() == {}
    assert await scene.lab.store.uploads(scene.bucket) == []
    said = [reason for _, reason, _ in await scene.events()]
    assert said.count("RunStopped") == said.count("ArchiveDeleted") == 1
