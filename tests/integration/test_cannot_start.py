"""Pods that cannot start: Failed after pendingDeadlineSeconds, in the words of what knows why."""

import itertools
from typing import Any

import pytest

from tests.integration.faults import other_controller
from tests.integration.scene import Scene, why

pytestmark = pytest.mark.integration

CANNOT_START: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "no node": (
        {"nodeSelector": {"disk": "nobody-has-it"}},
        "Unschedulable",
        ("1 node(s) didn't match Pod's node affinity/selector", "see spec.nodeSelector"),
    ),
    "too large": (
        {"resources": {"requests": {"cpu": "1000"}}},
        "Unschedulable",
        ("Insufficient cpu", "spec.resources"),
    ),
    "no class": (
        {"storageClassName": "nowhere", "storageSize": "1Gi"},
        "VolumeUnavailable",
        ('storageclass.storage.k8s.io "nowhere" not found', "see spec.storageClassName and spec.storageSize"),
    ),
    "no account": (
        {"serviceAccount": "nobody"},
        "ServiceAccountMissing",
        ('serviceaccount "nobody" not found', "create it in this namespace: the pod is then made by itself"),
    ),
}


@pytest.mark.parametrize("case", CANNOT_START)
async def test_it_fails_in_time_and_says_why(place: Scene, case: str) -> None:
    change, wanted, words = CANNOT_START[case]
    name = case.replace(" ", "-")
    staging = {"storageClassName": None, "storageSize": None}
    await place.apply(place.backup(name, pendingDeadlineSeconds=3, **{**staging, **change}))

    await fails(place, name, wanted, words)

    await place.delete(name)
    await place.until_gone(name, seconds=5)


async def test_a_quota_without_pods(scene: Scene) -> None:
    await scene.kubectl("create", "quota", "none", "--hard=pods=0")
    await scene.until_quota_counts("none")
    await scene.apply(scene.backup(pendingDeadlineSeconds=3))

    words = ("exceeded quota: none, requested: pods=1, used: pods=0", "raise the ResourceQuota")
    await fails(scene, "bk", "QuotaExceeded", words)


async def test_a_quota_without_jobs(scene: Scene) -> None:
    await scene.kubectl("create", "quota", "none", "--hard=count/jobs.batch=0")
    await scene.until_quota_counts("none")
    await scene.apply(scene.backup(pendingDeadlineSeconds=3))

    words = ("the API server refuses the Job", "exceeded quota: none", "raise the ResourceQuota")
    await fails(scene, "bk", "QuotaExceeded", words)


async def test_an_image_that_nobody_has(scene: Scene) -> None:
    async with other_controller(scene.lab, ["--worker-image", "missing.invalid/tidbbackup"]):
        await scene.apply(scene.backup(pendingDeadlineSeconds=4))

        words = ("missing.invalid/tidbbackup", "no such host", "see the controller's --worker-image")
        await fails(scene, "bk", "ImageUnavailable", words)


async def test_why_it_waits_is_told_before_the_deadline(scene: Scene) -> None:
    await scene.apply(scene.backup(nodeSelector={"disk": "nobody-has-it"}))

    await scene.until_phase("Scheduled")
    backup = await scene.until(lambda found: found is not None and why(found)[0] != "JobCreated")

    assert backup is not None
    reason, message = why(backup)
    assert reason == "Unschedulable"
    assert "see spec.nodeSelector" in message
    await scene.delete()
    await scene.until_gone(seconds=10)


async def test_no_more_run_at_a_time_than_the_flag_says(scene: Scene) -> None:
    names = ["first", "second", "third"]
    async with other_controller(scene.lab, ["--max-running-per-server", "1"]):
        for name in names:
            await scene.apply(scene.backup(name))
        waits = await scene.until(lambda found: found is not None and bool(held(found)), "third")
        assert waits is not None
        (reason, message) = held(waits)
        ended = [(await scene.until_over(name))["status"] for name in names]
        # Those that were created within the same second have no order.
        ended.sort(key=lambda status: status["timeStarted"])

    assert reason == "WaitsItsTurn"
    assert "come first: first" in message
    assert [each["phase"] for each in ended] == ["Complete"] * 3
    for one, next_ in itertools.pairwise(ended):
        assert one["timeCompleted"] <= next_["timeStarted"]


def held(backup: dict[str, Any]) -> tuple[str, ...]:
    """Reason and message of the condition Scheduled, where it is False."""
    conditions = backup.get("status", {}).get("conditions", [])
    return next(((each["reason"], each["message"]) for each in conditions if each["status"] == "False"), ())


async def fails(scene: Scene, name: str, wanted: str, words: tuple[str, ...]) -> None:
    """The Backup fails for this reason, soon, and its Job is gone."""
    backup = await scene.until_phase("Failed", name, seconds=15)
    reason, message = why(backup)
    assert reason == wanted, message
    for each in words:
        assert each in message
    assert ("Warning", "Failed", f"{reason}: {message}") in await scene.events(name)
    await scene.until_no_job()
