"""A container beside ours, as a mesh puts it there: it fails, or never ends; all our Jobs do their work."""

from __future__ import annotations

import sys

import pytest

from tests.integration.faults import other_controller
from tests.integration.scene import Scene, phase, why

pytestmark = pytest.mark.integration

ENDS = {"never": "sleep 3600", "late": "sleep 2", "fails": "exit 3"}


def injecting(command: str) -> tuple[str, ...]:
    """The program, whose pods get what a webhook would put beside our container."""
    beside = {"name": "istio-proxy", "image": "proxy", "command": ["sh", "-c", command]}
    return (
        *(sys.executable, "-c"),
        "from tidbbackup.decide import pod as pods\n"
        "made = pods._pod\n"
        "def injected(*parts):\n"
        "    pod = made(*parts)\n"
        f"    return pod | {{'containers': [*pod['containers'], {beside}]}}\n"
        "pods._pod = injected\n"
        "from tidbbackup.cli import main\n"
        "main()",
    )


@pytest.mark.parametrize("end", ENDS)
async def test_a_backup_and_its_cleaning_are_done(scene: Scene, end: str) -> None:
    async with other_controller(scene.lab, program=injecting(ENDS[end])):
        await scene.apply(scene.backup(cleanPolicy="Delete"))
        backup = await scene.until_over()
        assert phase(backup) == "Complete", why(backup)
        assert len(await scene.objects()) == 2

        await scene.delete()
        await scene.until_gone()

        assert await scene.objects() == {}
        await scene.until_no_pod_runs()
        await scene.until_no_job()


async def test_the_pod_of_a_run_that_failed_can_be_read_and_goes_with_its_backup(scene: Scene) -> None:
    async with other_controller(scene.lab, program=injecting(ENDS["never"])):
        await scene.apply(scene.backup(source={"port": 1}, cleanPolicy="Delete"))
        assert phase(await scene.until_over()) == "Failed"
        (pod,) = await scene.pods()
        assert pod["status"]["phase"] == "Running"

        await scene.kubectl("delete", "backup", "bk", "--timeout=60s")
        await scene.until_no_pod_runs()
