"""Pods that are stopped: deleted, in time or not, forced, and past their deadline."""

import time

import pytest

from .scenarios import LOG, of
from .subject import NodeUnderTest, conditions, terminated

pytestmark = [pytest.mark.integration, pytest.mark.side_by_side]

_KEPT = {"metadata": {"finalizers": ["tidbbackup.test/keep"]}}
_OBEYS = """trap 'printf stopped > "$TERMINATION_LOG"; exit 5' TERM; while :; do sleep 0.1; done"""
_IGNORES = "trap '' TERM; while :; do sleep 0.1; done"


async def test_deleted_pod_ends_within_its_grace(node_under_test: NodeUnderTest) -> None:
    """SIGTERM reaches the main process; how it ended can be read while the pod is still held."""
    name = await node_under_test.start(node_under_test.pod("obeys", "sh", "-c", _OBEYS, env=[LOG], **_KEPT))
    await node_under_test.running(name)
    await node_under_test.delete(name, 20)
    began = time.monotonic()
    status = await node_under_test.end(name)
    assert time.monotonic() - began < 10
    ended = terminated(status)
    assert (status["phase"], ended["exitCode"], ended["message"]) == ("Failed", 5, "stopped")
    await node_under_test.event(name, "Killing", "Stopping container main", kind="Normal")
    await node_under_test.let_go(name)
    await node_under_test.gone(name)


async def test_deleted_pod_that_ignores_sigterm(node_under_test: NodeUnderTest) -> None:
    """After the grace comes SIGKILL: 137."""
    name = await node_under_test.start(node_under_test.pod("ignores", "sh", "-c", _IGNORES, **_KEPT))
    await node_under_test.running(name)
    await node_under_test.delete(name, 2)
    began = time.monotonic()
    status = await node_under_test.end(name)
    assert 1 < time.monotonic() - began < 15
    assert (terminated(status)["exitCode"], terminated(status)["reason"]) == (137, "Error")
    await node_under_test.let_go(name)
    await node_under_test.gone(name)


async def test_deleted_pod_that_never_started(node_under_test: NodeUnderTest) -> None:
    """A pod that waits for a Secret goes at once."""
    reference = of("K", secretKeyRef={"name": "nowhere", "key": "k"})
    name = await node_under_test.start(node_under_test.pod("unstarted", "true", env=[reference]))
    await node_under_test.waiting(name, "CreateContainerConfigError")
    await node_under_test.delete(name, 30)
    await node_under_test.gone(name)


async def test_forced_deletion(node_under_test: NodeUnderTest) -> None:
    """Without grace the pod is gone from the API at once."""
    name = await node_under_test.start(node_under_test.pod("forced", "sh", "-c", _IGNORES))
    await node_under_test.running(name)
    await node_under_test.delete(name, 0)
    await node_under_test.gone(name, timeout=2)


async def test_active_deadline(node_under_test: NodeUnderTest) -> None:
    """The pod is stopped with SIGTERM and says why; what the container said is kept."""
    name = await node_under_test.start(
        node_under_test.pod("late", "sh", "-c", _OBEYS, env=[LOG], activeDeadlineSeconds=5)
    )
    await node_under_test.running(name)
    status = await node_under_test.end(name)
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    assert (terminated(status)["exitCode"], terminated(status)["message"]) == (5, "stopped")
    assert conditions(status, ("Ready",)) == {"Ready": ("False", "PodFailed")}


async def test_active_deadline_of_a_pod_that_never_started(node_under_test: NodeUnderTest) -> None:
    """The deadline counts from the binding, not from the start of the container."""
    reference = of("K", secretKeyRef={"name": "nowhere", "key": "k"})
    pod = node_under_test.pod("never", "true", env=[reference], activeDeadlineSeconds=2)
    status = await node_under_test.end(await node_under_test.start(pod))
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
