"""A run that was given up and whose pod started all the same: the reason of its failure is mended.

Here is also what decide/run/pauses.py promises.
"""

import attrs
import pytest

from tests.decide.builders import *
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.run.given_up import started_after_all
from tidbbackup.decide.run.life import life_of
from tidbbackup.model.resource.kubernetes import ContainerState, Job, Pod, Terminated

GIVEN_UP = status("Failed", reason="Unschedulable", timeCompleted=NOW)
MENDED = ["Warning Failed", "status -"]


def ran(exit_code: int = 137, reason: str = "") -> ContainerState:
    """A container that began and has ended."""
    return ContainerState(terminated=Terminated(exit_code, 0, reason, "", NOW, NOW))


@pytest.mark.parametrize(
    ("found_job", "pods"),
    [
        (job(), (pod("Running", running()),)),
        (job(), (pod("Failed", ran()),)),
        (job(COMPLETE), ()),
        (job(COMPLETE), (done(),)),
    ],
)
def test_where_its_worker_began_the_reason_says_so(found_job: Job, pods: tuple[Pod, ...]) -> None:
    found = facts(backup(status=GIVEN_UP), job=found_job, pods=pods)
    plan = run_backup.decide(found, NOW)

    assert (outline(plan), tallies(plan)) == (MENDED, [])
    assert cause_of(plan)[0] == "StartedTooLate"
    assert "(Unschedulable: said)" in cause_of(plan)[1]
    # Deleted meanwhile, it is mended first too: once its Job is gone, only the status tells of a run.
    assert outline(gc.decide(attrs.evolve(found, backup=going("Delete", GIVEN_UP)), NOW)) == MENDED


@pytest.mark.parametrize(
    "found",
    [
        pod(),
        pod(state=waiting("ImagePullBackOff")),
        # What a kubelet says of a container that never began, when its pod is deleted.
        pod("Failed", terminated(exit_code=137, reason="ContainerStatusUnknown", began=False)),
        pod("Failed", ran(128, "StartError")),
        pod("Running", running(), owner="another"),
    ],
)
def test_where_it_did_not_the_failure_stands(found: Pod) -> None:
    seen = facts(None, job=job(), pods=(found,))
    assert started_after_all(life_of(seen, backup(status=GIVEN_UP), NOW)) == ()


def test_another_end_is_no_matter_of_this() -> None:
    at_work = (pod("Running", running()),)
    for told in (status("Failed", reason="DumpFailed"), status("Complete"), status("Scheduled")):
        assert (
            started_after_all(life_of(facts(None, job=job(), pods=at_work), backup(status=told), NOW)) == ()
        )
    of_another = facts(None, job=job(owner="former"), pods=at_work)
    assert started_after_all(life_of(of_another, backup(status=GIVEN_UP), NOW)) == ()
