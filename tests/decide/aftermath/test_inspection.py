"""A run that ended and left no result: what is asked of the storage, and what follows from the answer."""

from typing import Any

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import KILLED, RUNNING, SCHEDULED, WHY_KILLED, ended, settled
from tidbbackup.decide.backup import decide
from tidbbackup.decide.facts import BackupFacts, Refusal
from tidbbackup.decide.plan import Plan
from tidbbackup.decide.rows import Inspecting
from tidbbackup.model.contract.aftermath import Aftermath, Part, PartResult
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.resource.backup import BackupStatus
from tidbbackup.model.resource.kubernetes import ContainerState, Job, Pod

MUTE = pod("Succeeded", terminated())
WHOLE = PartResult(Part.INSPECT)
NOTHING_THERE = PartResult(Part.INSPECT, reason="NothingStored", message="there is no archive")
NO_MANIFEST = PartResult(Part.INSPECT, reason="ResultLost", message="no manifest")
DENIED = PartResult(Part.INSPECT, done=False, reason="AccessDenied", message="you may not")
LATEST = 1800 + 300


def inspected(*parts: PartResult, told: BackupStatus | None = None, **known: Any) -> BackupFacts:
    """The facts about a run that left no result, with what its Job has reported."""
    pods = (reported(*parts, **(whole() if WHOLE in parts else {})),) if parts else ()
    job_there = aftermath(COMPLETE if parts else true("x"), told="inspect release")
    known = {"aftermath_job": job_there, "aftermath_pods": pods} | known
    return facts(backup(status=told or ended()), **known)


def whole() -> dict[str, Any]:
    """What the manifest tells."""
    found = attrs.asdict(result(), recurse=False)
    return {
        name: found[name] for name in ("path", "size", "checksum", "commitTs", "databases", "databaseCount")
    }


def at(found: BackupFacts, seconds: float = 60) -> Plan:
    """What is decided so many seconds after the end."""
    return decide(found, later(seconds))


EXAMPLES = {
    Inspecting.WHOLE: (at(inspected(WHOLE, RELEASED)), ["Normal Complete", "status Complete"]),
    Inspecting.NOT_WHOLE: (at(inspected(NOTHING_THERE)), ["Warning Failed", "status Failed"]),
    Inspecting.UNTOLD: (at(inspected(DENIED), LATEST), ["Warning Failed", "status Failed"]),
    Inspecting.RELEASED: (at(inspected(DENIED, RELEASED)), ["status -"]),
    Inspecting.WAITS: (at(facts(backup(status=ended()))), ["create aftermath-demo"]),
}


@pytest.mark.parametrize("row", Inspecting, ids=lambda row: row.id)
def test_row(row: Inspecting) -> None:
    plan, expected = EXAMPLES[row]
    assert plan.row is row
    assert outline(plan) == expected


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (KILLED, "Killed"),
        (MUTE, "ResultLost"),
        (pod("Failed", terminated(exit_code=137, reason="OOMKilled")), "OOMKilled"),
        (pod("Failed", terminated(), reason="Evicted"), "Evicted"),
        (pod("Failed", running(), reason="NodeLost"), "NodeLost"),
    ],
)
@pytest.mark.parametrize("phase", [SCHEDULED, RUNNING])
def test_how_the_run_ended_is_remembered_before_anything_else(
    phase: BackupStatus, told: Pod, reason: str
) -> None:
    """A lost node's pod is deleted soon after: the retry that a lost node is promised must not be lost."""
    plan = decide(facts(backup(status=phase), job=job(), pods=(told,)), NOW)
    patch = patch_of(plan)
    assert cause_of(plan)[0] == "Inspecting"
    assert (patch["runEnded"]["reason"], patch["runEnded"]["stopped"]) == (reason, False)
    assert (patch["uploadLeftOpen"], patch["gcLifeTimeHeld"]) == (True, True)


@pytest.mark.parametrize("began", [True, False])
def test_it_has_its_whole_time_from_when_the_end_is_seen(began: bool) -> None:
    """A run of hours whose pod tells no time of its end; or the controller was away for a while."""
    killed = pod("Failed", terminated(exit_code=137, reason="ContainerStatusUnknown", began=began))
    known = facts(backup(status=RUNNING), job=job(), pods=(killed,))
    plan = decide(known, later(10_800))
    assert patch_of(plan)["runEnded"]["at"] == "2026-11-23T06:00:00Z"
    seen = attrs.evolve(known, backup=written(known.backup, plan))
    assert outline(decide(seen, later(10_801))) == ["create aftermath-demo"]


@pytest.mark.parametrize(
    "parts",
    [{"job": job(FAILED), "pods": (KILLED,)}, {"job": job(FAILED), "pods": ()}, {}],
    ids=["all there", "pod gone", "job gone"],
)
def test_from_then_on_nothing_of_the_run_is_needed(parts: dict[str, Any]) -> None:
    told = ended("NodeLost", "the node is gone")
    plan = at(inspected(NOTHING_THERE, RELEASED, told=told, **parts))
    assert cause_of(plan) == ("NodeLost", "the node is gone")
    with_policy = attrs.evolve(
        inspected(NOTHING_THERE, told=told), backup=backup({"backoffRetryPolicy": {}}, told)
    )
    assert cause_of(at(with_policy))[0] == "RetryWaits"
    assert patch_of(at(with_policy))["runEnded"] is None


@pytest.mark.parametrize(
    "state", [None, terminated(exit_code=137, reason="ContainerStatusUnknown", began=False)]
)
def test_a_run_that_never_began_is_not_inspected_and_has_left_nothing(state: ContainerState | None) -> None:
    """A kubelet calls a container terminated too that never began, when its pod ends."""
    evicted = pod("Failed", state, reason="Evicted")
    plan = decide(facts(backup(status=SCHEDULED), job=job(), pods=(evicted,)), NOW)
    assert cause_of(plan) == ("Evicted", "the node evicted the pod")
    assert not {"uploadLeftOpen", "gcLifeTimeHeld"} & patch_of(plan).keys()
    # One that was seen at work has begun, whatever its kubelet tells of it later.
    worked = decide(facts(backup(status=RUNNING), job=job(), pods=(evicted,)), NOW)
    assert (cause_of(worked)[0], patch_of(worked)["uploadLeftOpen"]) == ("Inspecting", True)
    # Nobody heard whether it began: its node was lost before it told.
    lost = decide(facts(backup(status=SCHEDULED), job=job(), pods=(pod("Failed", reason="NodeLost"),)), NOW)
    assert cause_of(lost)[0] == "Inspecting"


def test_a_job_that_somebody_deleted_is_a_wish_to_stop_and_not_inspected() -> None:
    plan = decide(settled(facts(backup(status=RUNNING)), jobs=[]), NOW)
    assert cause_of(plan)[0] == "JobDeleted"
    assert (patch_of(plan)["uploadLeftOpen"], patch_of(plan)["gcLifeTimeHeld"]) == (True, True)


def test_nor_is_a_run_whose_spec_has_become_wrong() -> None:
    wrong = attrs.evolve(backup(status=RUNNING), spec=backup(s3={"sse": "x"}).spec)
    plan = decide(facts(wrong, job=job(), pods=(KILLED,)), NOW)
    assert (cause_of(plan)[0], patch_of(plan)["uploadLeftOpen"]) == ("Killed", True)


def test_a_manifest_makes_it_complete_with_what_it_tells() -> None:
    patch = patch_of(at(inspected(WHOLE, RELEASED)))
    assert (patch["backupSize"], patch["checksum"], patch["commitTs"]) == (1234, "sha256:00", "5")
    assert (patch["databases"], patch["databaseCount"]) == (("a", "b"), 2)
    assert patch["timeCompleted"] == "2026-11-23T03:01:00Z"
    assert (patch["runEnded"], patch["uploadLeftOpen"], patch["gcLifeTimeHeld"]) == (None, None, None)
    reason, message = cause_of(at(inspected(WHOLE, RELEASED)))
    assert reason == "ArchiveFound"
    assert f"the worker's own result was lost (Killed: {WHY_KILLED})" in message
    # What is held in the database goes on being tried.
    unreleased = PartResult(Part.RELEASE, done=False, reason="DatabaseUnreachable", message="no route")
    assert "gcLifeTimeHeld" not in patch_of(at(inspected(WHOLE, unreleased)))


AT_WORK, BUSY = aftermath(told="inspect release"), aftermath_pod("Running", running())
UNTOLD = f"{WHY_KILLED}; whether its archive is whole could not be told: "


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (NOTHING_THERE, WHY_KILLED),
        (NO_MANIFEST, f"{WHY_KILLED}; no manifest"),
    ],
)
def test_else_it_failed_by_what_ended_the_run(part: PartResult, message: str) -> None:
    assert cause_of(at(inspected(part))) == ("Killed", message)


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (inspected(DENIED), "you may not"),
        (inspected(aftermath_job=None, refusal=Refusal(403, "exceeded quota")), "exceeded quota"),
        (inspected(aftermath_job=None, refusal=Refusal(422, "no")), "the API server refuses the Job: no"),
        (inspected(aftermath_job=aftermath(owner="")), "the name is taken by a Job"),
        (inspected(aftermath_job=AT_WORK, aftermath_pods=(BUSY,)), "it did not end in time"),
    ],
)
def test_whatever_is_in_the_way_is_told_and_waited_for_until_it_is_too_late(
    known: BackupFacts, why: str
) -> None:
    """A quota, an outage of the storage, a lost node: whoever corrects it in time gets a whole backup."""
    waits = at(known, LATEST - 1)
    assert waits.row is Inspecting.WAITS
    assert waits.wake_at is not None
    assert waits.wake_at <= later(LATEST)
    if known.aftermath_pods != (BUSY,):
        assert why in cause_of(at(known, 60))[1]
    over = at(known, LATEST)
    assert over.row is Inspecting.UNTOLD
    assert cause_of(over)[1].startswith(UNTOLD)
    assert why in cause_of(over)[1]


def test_the_number_of_a_request_is_no_news() -> None:
    """What we write wakes us: it would be asked for again and again without a pause."""
    refused = inspected(aftermath_job=None, refusal=Refusal(403, "denied: request 1f-07"))
    found = written(refused.backup, at(refused))
    other = attrs.evolve(refused, backup=found, refusal=Refusal(403, "denied: request 2e-08"))
    again = at(other, 61)
    assert (outline(again), again.wake_at) == ([], later(91))


def test_a_part_that_is_released_is_not_released_again() -> None:
    released = written(inspected().backup, at(inspected(DENIED, RELEASED)))
    assert not released.status.gcLifeTimeHeld
    job_there = aftermath(true("Failed", at=later(60)), told="inspect release")
    rest = facts(released, aftermath_job=job_there, aftermath_pods=(reported(DENIED, RELEASED),))
    assert cause_of(decide(rest, later(61)))[1].endswith("; you may not")
    assert "delete aftermath-demo aftermath-uid" in outline(decide(rest, later(120)))
    again = decide(facts(released), later(130))
    (create,) = again.actions
    assert told_by(create) == Aftermath((Part.INSPECT,))


@pytest.mark.parametrize("found", [aftermath(COMPLETE, told="inspect"), aftermath(FAILED, told="inspect")])
def test_a_job_whose_result_nobody_has_read_is_made_anew(found: Job) -> None:
    muted = facts(
        backup(status=ended()),
        aftermath_job=found,
        aftermath_pods=(aftermath_pod("Succeeded", said(result(Outcome.FAILED))),),
    )
    assert "delete aftermath-demo aftermath-uid" in outline(decide(muted, later(999)))
