"""A Backup that goes under OnFailure after a run that ended without a word: was it a failure?"""

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import KILLED, inspecting
from tidbbackup.decide.aftermath.inspection import found_whole
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.gc import decide
from tidbbackup.decide.run.life import life_of
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.resource.backup import BackupStatus
from tidbbackup.model.resource.kubernetes import Pod

STOPPED = status("Running", reason="RunStopped")


def answer(told: WorkerResult) -> Pod:
    """Its pod, with what it found."""
    return pod("Failed", said(told), owner="inspect-uid")


@pytest.mark.parametrize("told", [BackupStatus(), status("Invalid"), status("Running"), status("Scheduled")])
@pytest.mark.parametrize("ended", [(KILLED,), ()])
def test_it_is_looked_for_first(told: BackupStatus, ended: tuple[Pod, ...]) -> None:
    found = without_run(going("OnFailure", told), job=job(FAILED), pods=ended)
    plan = decide(found, NOW)
    assert outline(plan)[0] == "create inspect-demo"
    assert cause_of(plan)[0] == "Inspecting"

    waits = attrs.evolve(found, backup=going("OnFailure", status("Running")), inspect_job=inspecting())
    assert "create" not in " ".join(outline(decide(waits, NOW)))
    whole = attrs.evolve(waits, inspect_job=inspecting(COMPLETE), inspect_pods=(answer(result()),))
    plan = decide(whole, NOW)
    assert "clean-demo" not in " ".join(outline(plan))
    nothing = result(Outcome.FAILED, reason="NothingStored", message="no")
    failure = attrs.evolve(waits, inspect_job=inspecting(FAILED), inspect_pods=(answer(nothing),))
    assert outline(decide(failure, NOW)) == ["create clean-demo"]


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("Delete", status("Running")),
        ("Retain", status("Running")),
        ("OnFailure", status("Scheduled", "Running", reason="RunStopped")),
        ("OnFailure", attrs.evolve(STOPPED, phase="CleanFailed")),
        ("OnFailure", status("Running", "Failed", reason="Killed")),
    ],
)
def test_it_is_not_where_it_makes_no_difference_or_was_stopped(policy: str, told: BackupStatus) -> None:
    found = without_run(going(policy, told), job=job(FAILED), pods=(KILLED,))
    assert outline(decide(found, NOW)) == ["create clean-demo"]


def test_while_that_cannot_be_looked_for_nothing_is_deleted() -> None:
    """Not in the next round either, which finds the phase CleanFailed."""
    for told in (status("Running"), status("Running", "CleanFailed")):
        found = without_run(going("OnFailure", told), job=job(FAILED), pods=(KILLED,))
        refused = decide(attrs.evolve(found, refusal=Refusal(409, "inspect-demo already exists")), NOW)
        assert "create" not in " ".join(outline(refused))
    assert outline(decide(found, NOW)) == ["create inspect-demo"]


@pytest.mark.parametrize("seconds", [60, 3600])
def test_a_look_that_completed_has_found_it_whole_although_its_pod_is_gone(seconds: float) -> None:
    """It exits 0 only then: nothing of it is deleted, however long nobody has read its word."""
    told = status("Scheduled", "Running", reason="Inspecting")
    found = without_run(going("OnFailure", told), job=job(FAILED), inspect_job=inspecting(COMPLETE))
    assert found_whole(life_of(found, going("OnFailure", told), later(seconds)))
    assert "clean-demo" not in " ".join(outline(decide(found, later(seconds))))


@pytest.mark.parametrize("phase", ["Running", "CleanFailed"])
def test_a_look_whose_jobs_were_deleted_with_the_backup_is_begun_anew(phase: str) -> None:
    """With kubectl's --cascade=foreground, which is Argo CD's way, the garbage collector takes all its Jobs.
    That is no wish to stop a run: it was over."""
    told = status("Scheduled", "Running", reason="Inspecting")
    if phase != "Running":
        told = attrs.evolve(told, phase=phase, conditions=(*told.conditions, true(phase, "PodRefused")))
    plan = decide(without_run(going("OnFailure", told)), NOW)
    assert outline(plan)[0] == "create inspect-demo"
    # Where the look's own Job is still there it is followed.
    known = without_run(going("OnFailure", told), inspect_job=inspecting(deletionTimestamp=NOW))
    assert "create" not in " ".join(outline(decide(known, NOW)))
    # A run whose Job was deleted while it was at work is not asked after.
    plan = decide(without_run(going("OnFailure", status("Scheduled", "Running"))), NOW)
    assert outline(plan) == ["create clean-demo"]
    # Nor does the former attempt's look say anything of this one's run.
    again = status("Running", "Scheduled")
    looked = attrs.evolve(again.conditions[0], reason="Inspecting")
    plan = decide(
        without_run(going("OnFailure", attrs.evolve(again, conditions=(looked, again.conditions[1])))), NOW
    )
    assert outline(plan) == ["create clean-demo"]
