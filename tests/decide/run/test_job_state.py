"""What holds the name of one of a Backup's Jobs, and how far it is."""

from typing import Any

import attrs
import pytest

from tests.decide.builders import (
    COMPLETE,
    FAILED,
    NOW,
    done,
    gave_up,
    job,
    later,
    pod,
    result,
    running,
    said,
    terminated,
    true,
)
from tests.decide.moments import state
from tidbbackup.decide.run.job_state import NotStarted, Reported, Silent, Working
from tidbbackup.model.resource.kubernetes import ContainerStatus, Job, JobStatus, Pod

STARTED = attrs.evolve(job(), status=JobStatus(startTime=later(1)))
TARGET = true("FailureTarget", "BackoffLimitExceeded")
RUNNING_POD = pod("Running", running())


@pytest.mark.parametrize(
    ("found_job", "pods", "kind", "told"),
    [
        (job(), [], NotStarted, {"cause": None}),
        (job(), [pod()], NotStarted, {"cause": None}),
        (job(), [pod("Running", running(later(3)))], Working, {"since": later(3)}),
        (job(), [pod("Running", running(None))], Working, {"since": NOW}),
        (STARTED, [pod("Running", running(None))], Working, {"since": later(1)}),
        (job(), [done()], Reported, {"result": result()}),
        (job(COMPLETE), [done()], Reported, {"result": result()}),
        (job(), [pod("Running", said(result()))], Reported, {"result": result()}),
        (job(), [pod("Failed", terminated(exit_code=1))], Silent, {"pod_known": True, "done": False}),
        (job(), [pod("Succeeded", terminated())], Silent, {"pod_known": True, "done": True}),
        # Over, but the cache of pods lags behind, or the pod is gone: a look comes first.
        (job(COMPLETE), [], Silent, {"pod_known": False, "done": True}),
        (job(COMPLETE), [RUNNING_POD], Silent, {"pod_known": False, "done": True}),
        (job(FAILED), [], Silent, {"pod_known": False, "done": False}),
        (job(TARGET), [], Silent, {"pod_known": False, "done": False}),
        # A deadline that is over ends the Job before its pod has had its say.
        (job(FAILED), [RUNNING_POD], Working, {"since": NOW}),
        (job(FAILED), [pod()], Silent, {"pod_known": True, "done": False}),
    ],
)
def test_how_far_it_is(found_job: Job, pods: list[Pod], kind: type, told: dict[str, Any]) -> None:
    found = state(found_job, *pods)
    assert isinstance(found, kind)
    assert {name: getattr(found, name) for name in told} == told


def test_a_container_put_beside_ours_does_not_keep_a_run_open() -> None:
    ended = pod("Running", said(result()))
    both = (*ended.status.containerStatuses, ContainerStatus("istio-proxy", running()))
    found = state(job(), attrs.evolve(ended, status=attrs.evolve(ended.status, containerStatuses=both)))
    assert isinstance(found, Reported)
    assert (found.result, found.stoppable) == (result(), True)


def test_the_newest_pod_counts() -> None:
    old = pod("Failed", terminated(exit_code=1), uid="1")
    new = pod("Running", running(), uid="2", creationTimestamp=later(1))
    assert isinstance(state(job(), new, old), Working)


def test_a_pod_of_another_job_says_nothing() -> None:
    assert isinstance(state(job(), pod("Running", running(), owner="another")), NotStarted)


def test_its_work_is_done_by_the_workers_own_word() -> None:
    for told, well in ((done(), True), (gave_up(), False)):
        found = state(job(COMPLETE), told)
        assert isinstance(found, Reported)
        assert found.done == well
