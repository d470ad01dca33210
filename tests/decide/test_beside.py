"""A container that a webhook put beside ours: the end of ours counts, for every kind of Job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import state
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.run.job_state import NotStarted, Ours, Reported, Silent, Working
from tidbbackup.decide.run.ownership import may_work_for
from tidbbackup.model.contract.aftermath import Part, PartResult
from tidbbackup.model.contract.result import Outcome, encode_result
from tidbbackup.model.resource.backup import BackupStatus, Condition
from tidbbackup.model.resource.kubernetes import ContainerState, ContainerStatus, Job, Pod, Terminated

AT = later(100)
DAY = 86400
# What becomes of the container beside ours, the pod's phase then, and what the Job says.
BESIDE: dict[str, tuple[ContainerState | None, str, str, tuple[Condition, ...]]] = {
    "none": (None, "Succeeded", "Failed", (COMPLETE,)),
    "ended": (terminated(), "Succeeded", "Failed", (COMPLETE,)),
    "late": (running(), "Running", "Running", ()),
    "never": (running(), "Running", "Running", ()),
    "failed": (terminated(exit_code=1), "Failed", "Failed", (FAILED,)),
    "waits": (waiting("ErrImagePull"), "Pending", "Pending", ()),
}
OUTCOMES = {"backup": Outcome.COMPLETE, "aftermath": Outcome.DONE}


def ended(code: int, verb: str = "backup", *, mute: bool = False, at: datetime | None = AT) -> ContainerState:
    """Our container: with the last words of that kind of Job, or none."""
    outcome = Outcome.FAILED if code else OUTCOMES[verb]
    message = "" if mute else encode_result(result(outcome)).decode()
    return ContainerState(terminated=Terminated(code, 0, "", message, NOW, at))


def beside(case: str, ours: ContainerState, *, good: bool) -> tuple[tuple[Condition, ...], Pod]:
    """What the Job says, and its pod, with that container beside ours."""
    other, well, badly, conditions = BESIDE[case]
    found = pod(well if good else badly, ours)
    if other is not None:
        both = (ContainerStatus("istio-proxy", other), *found.status.containerStatuses)
        found = attrs.evolve(found, status=attrs.evolve(found.status, containerStatuses=both))
    return conditions if good or not conditions else (FAILED,), found


def of(found: Pod, uid: str) -> Pod:
    """The same pod, made by the Job of that uid."""
    (owner,) = found.metadata.ownerReferences
    meta = attrs.evolve(found.metadata, ownerReferences=(attrs.evolve(owner, uid=uid),))
    return attrs.evolve(found, metadata=meta)


@pytest.mark.parametrize("verb", OUTCOMES)
@pytest.mark.parametrize("case", BESIDE)
@pytest.mark.parametrize("mute", [False, True])
@pytest.mark.parametrize("code", [0, 1, 137])
def test_the_end_of_our_container_is_the_jobs_end(verb: str, case: str, mute: bool, code: int) -> None:
    conditions, found = beside(case, ended(code, verb, mute=mute), good=not code)
    made = job(*conditions, verb=verb)
    over = state(made, found)
    assert isinstance(over, Silent if mute else Reported)
    assert (over.done, over.at) == (not code, AT)
    assert found.over
    assert not may_work_for(found, backup())
    # A Job that is to be stopped is deleted nevertheless, and with it what goes on.
    assert over.stoppable == (case in ("late", "never", "waits"))


@pytest.mark.parametrize("verb", OUTCOMES)
def test_while_ours_goes_on_nothing_has_ended(verb: str) -> None:
    for ours in (running(), waiting(), waiting("PodInitializing")):
        for case in ("late", "never", "failed", "waits"):
            _, found = beside(case, ours, good=True)
            found = attrs.evolve(found, status=attrs.evolve(found.status, phase="Running"))
            going_on = state(job(verb=verb), found)
            assert isinstance(going_on, NotStarted | Working)
            assert going_on.stoppable
            assert may_work_for(found, backup())


@pytest.mark.parametrize(
    ("conditions", "pods", "expected"),
    [
        ((), [], (False, None)),
        ((true("Complete", at=AT),), [], (True, AT)),
        ((true("Failed", at=AT),), [], (False, AT)),
        # A pod that was taken away before our container began: no time, and an exit code of its kubelet's.
        ((true("Failed", at=AT),), [pod("Failed", terminated(began=False))], (False, AT)),
        ((), [pod("Failed", terminated(exit_code=137, began=False))], (False, NOW)),
        ((), [pod("Running", terminated(exit_code=128, reason="StartError"))], (False, NOW)),
    ],
)
def test_where_no_container_tells_the_job_does(
    conditions: tuple[Condition, ...], pods: list[Pod], expected: tuple[bool, datetime | None]
) -> None:
    found = state(job(*conditions), *pods)
    assert isinstance(found, Ours)
    assert (found.done, found.at if isinstance(found, Silent) else None) == expected


def finished_status(phase: str, reason: str) -> BackupStatus:
    return status("Scheduled", "Running", phase, reason=reason, timeCompleted=NOW)


def aftermath_beside(case: str, *parts: PartResult) -> dict[str, Any]:
    """The Job of the aftermath, with that container beside its worker."""
    told = report(*parts)
    good = told.outcome is not Outcome.FAILED
    message = encode_result(told).decode()
    conditions, found = beside(
        case, ContainerState(terminated=Terminated(not good, 0, "", message, NOW, AT)), good=good
    )
    there = aftermath(*conditions, told="clean release delete")
    return {"aftermath_job": there, "aftermath_pods": (of(found, "aftermath-uid"),)}


NO = PartResult(Part.CLEAN, done=False, reason="AccessDenied", message="you may not")
NOT_RELEASED = PartResult(Part.RELEASE, done=False, reason="DatabaseUnreachable", message="no route")


@pytest.mark.parametrize("case", BESIDE)
def test_an_aftermath_is_done_whatever_goes_on_beside_it(case: str) -> None:
    gone = going("Delete", finished_status("Complete", "ArchiveStored"))
    plan = gc.decide(facts(gone, evidence=NO_RUN, **aftermath_beside(case, CLEANED, RELEASED)), AT)
    assert outline(plan) == ["Normal ArchiveDeleted", "Normal Clean", "status Clean"]
    live = backup(status=finished_status("Failed", "Killed"))
    plan = run_backup.decide(facts(live, **aftermath_beside(case, CLEANED, RELEASED)), AT)
    assert patch_of(plan) == {"gcLifeTimeHeld": None}


@pytest.mark.parametrize("case", BESIDE)
def test_one_that_failed_is_tried_again_whatever_goes_on_beside_it(case: str) -> None:
    gone = going("Delete", finished_status("Complete", "ArchiveStored"))
    parts = aftermath_beside(case, NO, NOT_RELEASED)
    plan = gc.decide(facts(gone, evidence=NO_RUN, **parts), AT)
    assert outline(plan) == ["Warning CleanFailed", "status CleanFailed"]
    plan = gc.decide(facts(gone, evidence=NO_RUN, **parts), later(300))
    assert "delete aftermath-demo aftermath-uid" in outline(plan)


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("case", BESIDE)
def test_a_pod_that_goes_on_does_not_hold_its_backup(case: str, code: int) -> None:
    conditions, found = beside(case, ended(code), good=not code)
    gone = going("Retain", finished_status("Failed" if code else "Complete", "Because"))
    plan = gc.decide(facts(gone, job=job(*conditions), pods=(found,), evidence=NO_RUN), AT)
    assert outline(plan)[-1] == "finalizers ", "its Job goes with it, and the pod with that"


@pytest.mark.parametrize("verb", OUTCOMES)
@pytest.mark.parametrize("case", BESIDE)
def test_a_pod_that_one_beside_ours_keeps_up_is_let_run_for_five_minutes(case: str, verb: str) -> None:
    """Then its Job goes, and with it the pod: a log is not worth a pod that runs for a day."""
    conditions, found = beside(case, ended(1, verb), good=False)
    made: dict[str, tuple[Job, Pod]] = {verb: (job(*conditions, verb=verb, uid=JOB_UID), found)}
    parts = (
        {"job": made["backup"][0], "pods": (found,)}
        if verb == "backup"
        else {"aftermath_job": made["aftermath"][0], "aftermath_pods": (found,)}
    )
    live = backup(status=finished_status("Failed", "DumpFailed"))
    kept = DAY if found.ended else 300
    assert run_backup.decide(facts(live, **parts), later(kept - 1)).wake_at == later(kept)
    assert outline(run_backup.decide(facts(live, **parts), later(kept - 1))) == []
    assert outline(run_backup.decide(facts(live, **parts), later(kept))) == [f"delete {verb}-demo {JOB_UID}"]
    well = backup(status=finished_status("Complete", "ArchiveStored"))
    assert outline(run_backup.decide(facts(well, **parts), later(300))) == [f"delete {verb}-demo {JOB_UID}"]
