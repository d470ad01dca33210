"""Jobs of the real controller on the node."""

import pytest

from .subject import NodeUnderTest

pytestmark = [pytest.mark.integration, pytest.mark.side_by_side]


async def test_job_completes(node_under_test: NodeUnderTest) -> None:
    """A Job whose pod succeeds is Complete."""
    name = node_under_test.name("good")
    await node_under_test.job(name, {"command": ["true"]})
    await node_under_test.job_condition(name, "Complete")


async def test_job_fails(node_under_test: NodeUnderTest) -> None:
    """A Job whose pod fails has FailureTarget, then Failed, and the reason."""
    name = node_under_test.name("bad")
    await node_under_test.job(name, {"command": ["sh", "-c", "exit 1"]})
    target = await node_under_test.job_condition(name, "FailureTarget")
    failed = await node_under_test.job_condition(name, "Failed")
    assert target["reason"] == failed["reason"] == "BackoffLimitExceeded"


async def test_job_past_its_deadline_stops_its_pod(node_under_test: NodeUnderTest) -> None:
    """The controller deletes the pod of such a Job; the node ends it and the Job fails."""
    name = node_under_test.name("slow")
    script = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    await node_under_test.job(name, {"command": ["sh", "-c", script]}, activeDeadlineSeconds=5)
    failed = await node_under_test.job_condition(name, "Failed")
    assert failed["reason"] == "DeadlineExceeded"
