"""Pods that run to their end: phase, exit code, reason, message, conditions."""

import pytest

from .scenarios import ENDS, ENVIRONMENTS, LOG, MESSAGES, VOLUMES, Scenario
from .subject import NodeUnderTest, conditions, terminated

pytestmark = [pytest.mark.integration, pytest.mark.side_by_side]


def _names(scenario: Scenario) -> str:
    return scenario.name


async def _check(node: NodeUnderTest, scenario: Scenario) -> None:
    for plural, body in scenario.objects:
        await node.create(plural, body)
    spec = dict(scenario.pod)
    for init in spec.get("initContainers", ()):
        init |= {"image": node.image, "volumeMounts": spec["volumeMounts"]}
    pod = node.pod(scenario.name, "sh", "-c", scenario.script, env=[LOG, *scenario.env], **spec)
    status = await node.end(await node.start(pod))
    ended = terminated(status)
    assert (ended["exitCode"], ended["reason"], ended.get("message")) == (
        scenario.exit_code,
        scenario.reason,
        scenario.message,
    )
    assert status["phase"] == scenario.phase
    assert ended["startedAt"] <= ended["finishedAt"]
    assert ended["containerID"]


@pytest.mark.parametrize("scenario", ENDS, ids=_names)
async def test_end(node_under_test: NodeUnderTest, scenario: Scenario) -> None:
    """Exit codes and signals of the main process."""
    await _check(node_under_test, scenario)


@pytest.mark.parametrize("scenario", MESSAGES, ids=_names)
async def test_termination_message(node_under_test: NodeUnderTest, scenario: Scenario) -> None:
    """The termination message: where it comes from and how much of it is kept."""
    await _check(node_under_test, scenario)


@pytest.mark.parametrize("scenario", ENVIRONMENTS, ids=_names)
async def test_environment(node_under_test: NodeUnderTest, scenario: Scenario) -> None:
    """Variables from values, Secrets, ConfigMaps and the pod itself."""
    await _check(node_under_test, scenario)


@pytest.mark.parametrize("scenario", VOLUMES, ids=_names)
async def test_volume(node_under_test: NodeUnderTest, scenario: Scenario) -> None:
    """Every kind of volume that a backup's pods use."""
    await _check(node_under_test, scenario)


async def test_conditions_of_a_success(node_under_test: NodeUnderTest) -> None:
    """A pod that is done is initialized and no longer ready, and was scheduled."""
    status = await node_under_test.end(await node_under_test.start(node_under_test.pod("done", "true")))
    assert conditions(status, ("Initialized", "Ready", "ContainersReady", "PodScheduled")) == {
        "Initialized": ("True", "PodCompleted"),
        "Ready": ("False", "PodCompleted"),
        "ContainersReady": ("False", "PodCompleted"),
        "PodScheduled": ("True", ""),
    }


async def test_conditions_of_a_failure(node_under_test: NodeUnderTest) -> None:
    """A pod that has failed says so in its conditions."""
    status = await node_under_test.end(await node_under_test.start(node_under_test.pod("fails", "false")))
    assert conditions(status, ("Initialized", "Ready", "ContainersReady")) == {
        "Initialized": ("True", ""),
        "Ready": ("False", "PodFailed"),
        "ContainersReady": ("False", "PodFailed"),
    }


async def test_failed_init_container_ends_the_pod(node_under_test: NodeUnderTest) -> None:
    """After an init container that failed nothing else runs."""
    init = {"name": "first", "image": node_under_test.image, "command": ["sh", "-c", "exit 7"]}
    pod = node_under_test.pod("init-fails", "true", initContainers=[init])
    status = await node_under_test.end(await node_under_test.start(pod))
    assert status["phase"] == "Failed"
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    assert conditions(status, ("Initialized",)) == {"Initialized": ("False", "ContainersNotInitialized")}


async def test_one_failed_container_of_two(node_under_test: NodeUnderTest) -> None:
    """A pod is over when all its containers are, and Failed when one of them is."""
    other = {"name": "other", "image": node_under_test.image, "command": ["sh", "-c", "sleep 1; exit 4"]}
    pod = node_under_test.pod("two", "true")
    pod["spec"]["containers"].append({**other, "imagePullPolicy": "IfNotPresent"})
    status = await node_under_test.end(await node_under_test.start(pod))
    assert status["phase"] == "Failed"
    codes = {each["name"]: each["state"]["terminated"]["exitCode"] for each in status["containerStatuses"]}
    assert codes == {"main": 0, "other": 4}
