"""A container that a webhook put beside ours: the end of ours counts, for every kind of Job."""

from __future__ import annotations

from datetime import datetime

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import state
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.run.job_state import NotStarted, Ours, Reported, Silent, Working
from tidbbackup.decide.run.ownership import may_work_for
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
OUTCOMES = {
    "backup": Outcome.COMPLETE,
    "inspect": Outcome.COMPLETE,
    "clean": Outcome.CLEANED,
    "release": Outcome.RELEASED,
}


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


@pytest.mark.parametrize("case", BESIDE)
def test_a_cleaning_is_done_whatever_goes_on_beside_it(case: str) -> None:
    conditions, found = beside(case, ended(0, "clean"), good=True)
    gone = going("Delete", finished_status("Complete", "ArchiveStored"))
    plan = gc.decide(
        facts(gone, clean_job=clean(*conditions), clean_pods=(of(found, "clean-uid"),), evidence=NO_RUN), AT
    )
    assert outline(plan) == ["Normal ArchiveDeleted", "Normal Clean", "status Clean"]


@pytest.mark.parametrize("case", BESIDE)
def test_a_cleaning_that_failed_is_tried_again_whatever_goes_on_beside_it(case: str) -> None:
    conditions, found = beside(case, ended(1, "clean"), good=False)
    gone = going("Delete", finished_status("Complete", "ArchiveStored"))
    parts = {"clean_job": clean(*conditions), "clean_pods": (of(found, "clean-uid"),)}
    plan = gc.decide(facts(gone, evidence=NO_RUN, **parts), AT)
    assert outline(plan) == ["Warning CleanFailed", "status CleanFailed"]
    plan = gc.decide(facts(gone, evidence=NO_RUN, **parts), later(300))
    assert outline(plan)[-1] == "delete clean-demo clean-uid"


@pytest.mark.parametrize("case", BESIDE)
def test_a_release_is_done_whatever_goes_on_beside_it(case: str) -> None:
    conditions, found = beside(case, ended(0, "release"), good=True)
    told = finished_status("Failed", "Killed")
    parts = {"release_job": job(*conditions, verb="release", uid="r"), "release_pods": (of(found, "r"),)}
    plan = run_backup.decide(facts(backup(status=told), **parts), AT)
    assert (outline(plan), patch_of(plan)) == (["status -"], {"gcLifeTimeHeld": None})
    gone = going("Retain", told)
    left = gc.decide(facts(gone, clean_job=clean(COMPLETE, deletes=False), evidence=NO_RUN, **parts), AT)
    assert outline(left)[-1] == "status Clean"


@pytest.mark.parametrize("case", BESIDE)
def test_a_release_that_failed_is_tried_again_whatever_goes_on_beside_it(case: str) -> None:
    conditions, found = beside(case, ended(1, "release"), good=False)
    told = finished_status("Failed", "Killed")
    parts = {"release_job": job(*conditions, verb="release", uid="r"), "release_pods": (of(found, "r"),)}
    plan = run_backup.decide(facts(backup(status=told), **parts), later(300))
    assert outline(plan) == ["Warning ReleaseFailed", "delete release-demo r"]


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("case", BESIDE)
def test_a_pod_that_goes_on_is_stopped_when_its_backup_goes(case: str, code: int) -> None:
    conditions, found = beside(case, ended(code), good=not code)
    gone = going("Retain", finished_status("Failed" if code else "Complete", "Because"))
    plan = gc.decide(facts(gone, job=job(*conditions), pods=(found,), evidence=NO_RUN), AT)
    expected = "finalizers " if found.ended or conditions else f"delete backup-demo {JOB_UID}"
    assert outline(plan)[-1] == expected


@pytest.mark.parametrize("verb", ["backup", "inspect"])
@pytest.mark.parametrize("case", BESIDE)
def test_a_pod_that_one_beside_ours_keeps_up_is_let_run_for_five_minutes(case: str, verb: str) -> None:
    """Then its Job goes, and with it the pod: a log is not worth a pod that runs for a day."""
    conditions, found = beside(case, ended(1, verb), good=False)
    made: dict[str, tuple[Job, Pod]] = {verb: (job(*conditions, verb=verb, uid=JOB_UID), found)}
    parts = (
        {"job": made["backup"][0], "pods": (found,)}
        if verb == "backup"
        else {"inspect_job": made["inspect"][0], "inspect_pods": (found,)}
    )
    live = backup(status=finished_status("Failed", "DumpFailed"))
    kept = DAY if found.ended else 300
    assert run_backup.decide(facts(live, **parts), later(kept - 1)).wake_at == later(kept)
    assert outline(run_backup.decide(facts(live, **parts), later(kept - 1))) == []
    assert outline(run_backup.decide(facts(live, **parts), later(kept))) == [f"delete {verb}-demo {JOB_UID}"]
    well = backup(status=finished_status("Complete", "ArchiveStored"))
    assert outline(run_backup.decide(facts(well, **parts), later(300))) == [f"delete {verb}-demo {JOB_UID}"]


def test_a_cleaning_pod_that_still_starts_is_waited_for() -> None:
    gone = going("Delete", finished_status("Complete", "ArchiveStored"))
    parts = {"clean_job": clean(), "clean_pods": (cleaning_pod("Running", running()),)}
    assert outline(gc.decide(facts(gone, evidence=NO_RUN, **parts), AT)) == []
