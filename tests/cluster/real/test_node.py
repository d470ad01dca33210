"""What a whole node leaves behind when its owner is killed: nothing that runs, no mount, no folder."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from . import cgroups
from .required import require_whole_node

pytestmark = [pytest.mark.integration, pytest.mark.e2e]

_OWNER = """
import asyncio
from tests.cluster.real.node import whole_node

async def main():
    async with whole_node("doomed", volumes=1) as node:
        pod = ("--image=localhost/tidbbackup-root:e2e", "--image-pull-policy=Never", "--restart=Never")
        await node.plane.kubectl_run("run", "sleeper", *pod, "--", "sleep", "600")
        await node.plane.kubectl_run("wait", "--for=condition=Ready", "pod/sleeper", "--timeout=30s")
        print(node.plane.folder, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Wait for it; AssertionError when it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def processes_in(name: str) -> list[str]:
    """The pids in groups whose name ends so, in every hierarchy."""
    found: list[str] = []
    for root in cgroups.here():
        for group in root.glob(f"*-{name}"):
            for file in group.rglob("cgroup.procs"):
                found += file.read_text().split()
    return found


def test_killed_owner() -> None:
    """SIGKILL of the owner ends every container; the next start removes the empty groups."""
    require_whole_node()
    with subprocess.Popen([sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        folder = Path(owner.stdout.readline().strip())
        assert processes_in(folder.name), "a pod runs in its group"
        owner.send_signal(signal.SIGKILL)

    until(lambda: not folder.exists(), f"{folder} is still there")
    until(lambda: not processes_in(folder.name), "containers still run")
    assert folder.name not in Path("/proc/mounts").read_text()
    # What the next node's start does first.
    cgroups.remove_abandoned(cgroups.here())
    assert not [group for root in cgroups.here() for group in root.glob(f"*-{folder.name}")]
