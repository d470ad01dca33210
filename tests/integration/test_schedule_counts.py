"""Due times that pass without a Backup: each counted once, in the status and in the metric.

Schedules are put back in time, so that nobody has to wait for a clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.scene import JSON, Scene
from tests.integration.schedule_scene import NOBODY_HAS, Schedules, hourly_half_an_hour_from_now

pytestmark = pytest.mark.integration

MISSED = "tidbbackup_schedule_missed_runs_total"


async def test_skipped_paused_and_too_late(scene: Scene) -> None:
    made = Schedules(scene)
    when = hourly_half_an_hour_from_now()
    await made.create("busy", when, NOBODY_HAS)
    await made.create("paused", when, pause=True)
    await made.create("strict", when, NOBODY_HAS, startingDeadlineSeconds=60)
    await made.put_back("paused", 3)
    await made.put_back("strict", 5)
    await made.put_back("busy", 1)
    (running,) = await made.until_made(1, "busy")
    # Due twenty minutes ago, while the one of half an hour ago still waits for a node.
    other = f"{(datetime.now(UTC) - timedelta(minutes=20)).minute} * * * *"
    edit = {"spec": {"schedule": other}}
    await scene.lab.plane.api.patch(f"{made.path}/busy", edit)
    await made.until(lambda status: status.get("observedSchedule") == other, "busy")
    await made.put_back("busy", 1)

    expected = {"busy": {"skippedRuns": 1}, "paused": {"pausedRuns": 3}, "strict": {"missedRuns": 5}}
    for name, runs in expected.items():
        status = await made.until(lambda found: bool(counts(found)), name)
        assert counts(status) == runs, name
    assert [each["metadata"]["name"] for each in await made.backups()] == [running["metadata"]["name"]]
    assert await missed(scene) == {
        ("busy", "SkippedOverlap"): 1,
        ("paused", "SkippedPaused"): 3,
        ("strict", "MissedDowntime"): 4,
        ("strict", "MissedDeadline"): 1,
    }
    for name, reason in await missed(scene):
        assert reason in {found for _, found, _ in await scene.events(name)}


def counts(status: JSON) -> dict[str, int]:
    """The counters of a status that have counted something."""
    return {name: value for name, value in status.items() if name.endswith("Runs") and value}


async def missed(scene: Scene) -> dict[tuple[str, str], float]:
    """The controller's counter for this namespace, by schedule and reason."""
    found = text_string_to_metric_families(await scene.lab.controller.metrics())
    samples = [sample for family in found for sample in family.samples if sample.name == MISSED]
    return {
        (sample.labels["schedule"], sample.labels["reason"]): sample.value
        for sample in samples
        if sample.labels["namespace"] == scene.namespace
    }
