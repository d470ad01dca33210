"""What a finished Backup leaves in the cluster goes in time, and itself where the user wants that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.scene import JSON, Scene, phase, why
from tests.integration.schedule_scene import GROUP, wire

pytestmark = pytest.mark.integration


async def test_when_its_time_is_over_it_goes_by_its_policy(scene: Scene) -> None:
    for policy in ("Delete", "Retain"):
        spec = {"cleanPolicy": policy, "ttlSecondsAfterFinished": 2}
        await scene.apply(scene.backup(f"{policy}-complete".lower(), **spec))
        await scene.apply(scene.backup(f"{policy}-failed".lower(), **spec, s3={"bucket": "never-made"}))
    await scene.apply(scene.backup(ttlSecondsAfterFinished=3600))
    lasting = await scene.until_over()

    for name in ("delete-complete", "delete-failed", "retain-complete", "retain-failed"):
        assert "it ended 2 s ago (spec.ttlSecondsAfterFinished)" in await scene.until_said("Expired", name)
        await scene.until_gone(name)
        said = {reason for _, reason, _ in await scene.events(name)}
        assert name.partition("-")[2].capitalize() in said, "it was to be seen before"
        await scene.until_nothing_made(f"-{name}")
    assert len(await scene.objects()) == 4, "archive and manifest of two"
    assert phase(lasting) == "Complete", why(lasting)
    assert told(await scene.get()) == told(lasting)


async def test_jobs_pods_and_volumes_go_once_the_result_is_in_the_status(scene: Scene) -> None:
    await scene.apply(scene.backup("failing", s3={"bucket": "never-made"}))
    await scene.apply(scene.backup())
    failed, complete = await scene.until_over("failing"), await scene.until_over()
    assert phase(complete) == "Complete", why(complete)
    kinds = [name.split()[0] for name in await scene.made()]
    assert sorted(kinds) == ["claim", "claim", "job", "job", "pod", "pod"], "for whoever wants to read a log"

    # Of a failed one somebody may want to read it for longer.
    await ended_before(scene, failed, timedelta(minutes=10))
    await ended_before(scene, complete, timedelta(minutes=10))
    await scene.until_nothing_made("-bk")
    assert len([name for name in await scene.made() if "-failing" in name]) == 3
    await ended_before(scene, failed, timedelta(hours=25))
    await scene.until_nothing_made()

    for before in (failed, complete):
        assert told(await scene.get(before["metadata"]["name"])) == told(before)
    assert len(await scene.objects()) == 2


def told(backup: JSON | None) -> JSON:
    """The result in its status. (The progress goes a moment after it, and its time is changed here.)"""
    status: JSON = (backup or {})["status"]
    return {name: value for name, value in status.items() if name not in ("progress", "timeCompleted")}


async def ended_before(scene: Scene, backup: JSON, time: timedelta) -> None:
    """As if it had ended that long ago."""
    path = f"{GROUP}/namespaces/{scene.namespace}/backups/{backup['metadata']['name']}/status"
    await scene.lab.plane.api.patch(path, {"status": {"timeCompleted": wire(datetime.now(UTC) - time)}})
