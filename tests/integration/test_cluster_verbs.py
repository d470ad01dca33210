"""`tidbbackup status` and `run-now` on a cluster, as its user runs them: what cluster_verbs.py promises."""

import asyncio
import sys

import pytest

from tests.integration.scene import Scene
from tests.integration.schedule_scene import Schedules

pytestmark = pytest.mark.integration


async def verb(scene: Scene, *args: str) -> tuple[int, str]:
    """Exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidbbackup", *args, "--kubeconfig", str(scene.lab.plane.kubeconfig)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode is not None
    return process.returncode, said


async def test_a_run_now_is_seen_in_the_status(scene: Scene) -> None:
    schedules = Schedules(scene)
    await schedules.create("yearly", "@yearly")
    assert (await verb(scene, "run-now", "yearly", "-n", scene.namespace))[0] == 0
    (made,) = await schedules.until_made(1)
    await scene.until_over(made["metadata"]["name"])

    code, said = await verb(scene, "status", "-n", scene.namespace)

    assert code == 0
    (line,) = [line for line in said.splitlines() if line.startswith(f"{scene.namespace}/yearly")]
    assert line.split()[-1] == "1"
    assert "NONE" not in line


async def test_what_is_not_there_is_named_with_the_cure(scene: Scene) -> None:
    code, said = await verb(scene, "run-now", "no-such")

    assert code == 1
    assert '"no-such" not found; name the namespace with -n' in said
