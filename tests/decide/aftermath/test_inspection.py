"""A run that ended without a word: what is asked of the storage, and what follows from the answer."""

from typing import Any

import attrs
import msgspec
import pytest

from tests.decide.builders import *
from tests.decide.moments import KILLED, RUNNING, inspecting, state
from tidbbackup.decide.backup import decide
from tidbbackup.decide.facts import BackupFacts, Refusal
from tidbbackup.decide.plan import Create
from tidbbackup.decide.run.job_state import Silent
from tidbbackup.model.names import ENDED_BY, ENDED_BY_MESSAGE
from tidbbackup.model.resource.backup import Condition
from tidbbackup.model.resource.kubernetes import ContainerState, Job, Pod, Terminated

MUTE = pod("Succeeded", terminated())
WHY_KILLED = "the worker was killed (SIGKILL) from outside"


def silent(told: Pod = KILLED, found: Job | None = None, *pods: Pod, **parts: Any) -> BackupFacts:
    """The facts about a run whose worker said nothing, and about its inspection."""
    known = facts(backup(status=RUNNING), job=job(), pods=(told,), inspect_job=found, inspect_pods=pods)
    return attrs.evolve(known, **parts)


def told_of(reason: str, message: str) -> dict[str, str]:
    """The annotations of a Job that inspects a run which ended so."""
    return {ENDED_BY: reason, ENDED_BY_MESSAGE: message}


def answer(told: Pod) -> Pod:
    """A pod of that Job with these words."""
    owner = attrs.evolve(told.metadata.ownerReferences[0], uid="inspect-uid")
    return attrs.evolve(told, metadata=attrs.evolve(told.metadata, ownerReferences=(owner,)))


@pytest.mark.parametrize(
    "told",
    [
        KILLED,
        MUTE,
        pod("Failed", terminated(exit_code=137, reason="OOMKilled")),
        pod("Failed", terminated(), reason="Evicted"),
        pod("Failed", running(), reason="NodeLost"),
    ],
)
def test_whoever_had_begun_and_left_no_word_is_asked_after(told: Pod) -> None:
    plan = decide(silent(told), NOW)

    assert outline(plan) == ["create inspect-demo", "status -"]
    assert cause_of(plan)[0] == "Inspecting"
    assert plan.wake_at == later(1800)
    (create,) = (action for action in plan.actions if isinstance(action, Create))
    container = create.manifest["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["tidbbackup", "worker", "inspect"]
    assert "DB_PASSWORD" not in [variable["name"] for variable in container["env"]]
    assert create.manifest["metadata"]["annotations"][ENDED_BY] == verdict_reason(told)


def verdict_reason(told: Pod) -> str:
    """What is read from a pod that left no word."""
    found = state(job(), told)
    assert isinstance(found, Silent)
    return found.cause.reason


@pytest.mark.parametrize(
    "state", [None, terminated(exit_code=137, reason="ContainerStatusUnknown", began=False)]
)
def test_whoever_had_not_begun_is_not(state: ContainerState | None) -> None:
    """A kubelet calls a container terminated too that never began, when its pod ends."""
    found = facts(
        backup(status=status("Scheduled")), job=job(), pods=(pod("Failed", state, reason="Evicted"),)
    )

    assert cause_of(decide(found, NOW)) == ("Evicted", "the node evicted the pod")


def test_a_job_that_was_deleted_is_not_but_an_inspection_that_is_on_is_followed() -> None:
    missing = attrs.evolve(silent(), job=None, pods=(), evidence={JOB_LOOK: ()})
    assert cause_of(decide(missing, NOW))[0] == "JobDeleted"

    on = attrs.evolve(
        missing, inspect_job=inspecting(), inspect_pods=(answer(pod("Succeeded", said(result()))),)
    )
    assert patch_of(decide(on, NOW))["phase"] == "Complete"


def test_a_look_that_had_begun_is_begun_anew_where_both_jobs_are_gone() -> None:
    told = status("Scheduled", "Running", reason="Inspecting")
    gone = facts(backup(status=told), evidence={JOB_LOOK: ()})
    assert outline(decide(gone, NOW))[0] == "create inspect-demo"


@pytest.mark.parametrize(
    "later_on",
    [
        {"job": job(FAILED), "pods": (), "evidence": {PODS_LOOK: ()}},
        {"job": None, "pods": (), "evidence": {JOB_LOOK: ()}},
    ],
    ids=["pod gone", "job gone"],
)
def test_what_ended_the_run_stays_its_cause_whatever_is_deleted_meanwhile(later_on: dict[str, Any]) -> None:
    """A lost node's pod is deleted soon after: the retry that a lost node is promised must not be lost."""
    found = inspecting(annotations=told_of("NodeLost", "the node is gone"))
    nothing = answer(gave_up("NothingStored", "there is no archive"))
    known = silent(KILLED, found, nothing, **later_on)

    assert cause_of(decide(known, NOW)) == ("NodeLost", "the node is gone")
    with_policy = backup({"backoffRetryPolicy": {}}, RUNNING)
    assert cause_of(decide(attrs.evolve(known, backup=with_policy), NOW))[0] == "RetryWaits"
    still_on = attrs.evolve(known, inspect_pods=())
    assert "(NodeLost: the node is gone)" in cause_of(decide(still_on, NOW))[1]


def test_an_inspecting_job_that_lost_its_annotations_knows_no_better() -> None:
    found = silent(KILLED, inspecting(), answer(gave_up("NothingStored", "no")))

    assert cause_of(decide(found, NOW)) == ("Killed", WHY_KILLED)


def test_a_manifest_makes_it_complete_with_what_it_tells() -> None:
    plan = decide(silent(MUTE, inspecting(), answer(pod("Succeeded", said(result())))), later(99))

    patch = patch_of(plan)
    assert outline(plan) == ["Normal Complete", "status Complete"]
    assert (patch["backupPath"], patch["backupSize"], patch["checksum"]) == (URL, 1234, "sha256:00")
    assert (patch["commitTs"], patch["databases"], patch["databaseCount"]) == ("5", ("a", "b"), 2)
    assert patch["timeCompleted"] == "2026-11-23T03:01:00Z"
    reason, message = cause_of(plan)
    assert reason == "ArchiveFound"
    assert "read from its manifest, the worker's own word was lost (ResultLost: " in message


UNTOLD = f"{WHY_KILLED}; whether its archive is whole could not be told: "


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (gave_up("NothingStored", "there is no archive"), WHY_KILLED),
        (gave_up("ResultLost", "no manifest"), f"{WHY_KILLED}; no manifest"),
        (gave_up("AccessDenied", "you may not"), f"{UNTOLD}you may not"),
        (MUTE, f"{UNTOLD}the worker ended with exit code 0 and left no result; see the pod's log"),
    ],
)
def test_else_it_failed_by_its_own_cause(told: Pod, message: str) -> None:
    assert cause_of(decide(silent(KILLED, inspecting(), answer(told)), NOW)) == ("Killed", message)


def test_one_that_completed_and_lost_its_pod_is_made_anew() -> None:
    """It has found a whole backup; only what that is made of went with the pod."""
    found = inspecting(COMPLETE)
    for seconds in (1, 1801):
        plan = decide(silent(KILLED, found), later(seconds))
        assert outline(plan) == ["delete inspect-demo inspect-uid", "status -"]
        assert cause_of(plan)[0] == "Inspecting"
    going = inspecting(COMPLETE, deletionTimestamp=NOW)
    assert outline(decide(silent(KILLED, going), later(1801))) == ["status -"]


def test_one_that_completed_is_not_made_anew_while_the_cache_still_shows_its_pod_at_work() -> None:
    """The caches of Jobs and pods run apart: its result comes with the pod."""
    at_work = answer(pod("Running", running()))
    plan = decide(silent(KILLED, inspecting(COMPLETE), at_work), later(1))
    assert outline(plan) == ["status -"]
    assert cause_of(plan)[0] == "Inspecting"
    word = answer(pod("Succeeded", said(result())))
    assert patch_of(decide(silent(KILLED, inspecting(COMPLETE), word), later(2)))["phase"] == "Complete"


AGAIN = status("Scheduled", "Running", reason="InspectingAgain", timeStarted=NOW)


@pytest.mark.parametrize(
    ("found", "pods", "why"),
    [
        (inspecting(FAILED), (), "the worker's pod is gone, deleted from outside (BackoffLimitExceeded)"),
        (inspecting(FAILED), (pod("Failed", reason="Evicted"),), "the node evicted the pod"),
        (inspecting(), (pod("Failed", terminated(exit_code=143), deletionTimestamp=NOW),), "was deleted"),
        (inspecting(), (pod("Running", running(), deletionTimestamp=later(-300)),), "its node  is lost"),
        (inspecting(FAILED), (gave_up("Terminated", "told to stop"),), "told to stop"),
    ],
)
def test_one_that_is_taken_away_is_made_anew_once(found: Job, pods: tuple[Pod, ...], why: str) -> None:
    """Under OnFailure what cannot be told in the end is deleted: a drained node is no such end."""
    known = silent(KILLED, found, *map(answer, pods))
    plan = decide(known, later(1))
    assert outline(plan) == ["delete inspect-demo inspect-uid", "status -"]
    assert cause_of(plan)[0] == "InspectingAgain"

    known = attrs.evolve(known, backup=backup(status=AGAIN))
    assert cause_of(decide(known, later(1)))[0] == "Killed"
    assert why in cause_of(decide(known, later(1)))[1]
    # Whatever is said of it meanwhile, that it is the second look stays.
    waits = silent(KILLED, inspecting(), answer(pod()), backup=backup(status=AGAIN))
    assert cause_of(decide(waits, later(1)))[0] == "InspectingAgain"


@pytest.mark.parametrize("pods", [(), (KILLED,), (pod("Running", running()),), (pod(),)])
def test_one_that_is_being_deleted_is_made_anew_unless_it_has_a_word(pods: tuple[Pod, ...]) -> None:
    """By the garbage collector, where the Backup is deleted in the foreground."""
    leaving = inspecting(deletionTimestamp=NOW)
    plan = decide(silent(KILLED, leaving, *map(answer, pods)), later(3600))
    assert outline(plan) == ["status -"]
    assert cause_of(plan)[0] == "Inspecting"
    known = silent(KILLED, leaving, answer(pod("Succeeded", said(result()))))
    assert patch_of(decide(known, NOW))["phase"] == "Complete"


def test_its_start_is_waited_for_as_long_as_a_backups() -> None:
    """A lost node is just when a pod has to wait for room."""
    no_room = answer(pod(conditions=(Condition("PodScheduled", "False", "Unschedulable", "no room"),)))
    plan = decide(silent(KILLED, inspecting(), no_room), later(1799))
    assert outline(plan) == ["status -"]
    assert plan.wake_at == later(1800)
    assert "; its pod has not started: no room" in cause_of(plan)[1]

    over = decide(silent(KILLED, inspecting(), no_room), later(1800))
    assert cause_of(over)[0] == "Killed"
    assert cause_of(over)[1].startswith(f"{UNTOLD}Job inspect-demo did not start within 1800 s: no room")


def test_once_it_runs_it_has_five_minutes() -> None:
    looking = silent(KILLED, inspecting(), answer(pod("Running", running(later(1000)))))
    assert decide(looking, later(1299)).wake_at == later(1300)

    over = decide(looking, later(1300))
    assert cause_of(over) == ("Killed", f"{UNTOLD}Job inspect-demo did not end within 300 s")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (inspecting(owner=""), ["Warning Failed", "status Failed"]),
        (inspecting(owner="former"), ["delete inspect-demo inspect-uid", "status -"]),
        (inspecting(owner="former", deletionTimestamp=NOW), ["status -"]),
    ],
)
def test_whose_name_is_held(found: Job, expected: list[str]) -> None:
    assert outline(decide(silent(KILLED, found), NOW)) == expected


def test_a_quota_is_waited_for_too() -> None:
    ended = attrs.evolve(FAILED, lastTransitionTime=later(100))
    refused = silent(job=job(ended), refusal=Refusal(403, "exceeded quota"))
    plan = decide(refused, later(1899))
    assert outline(plan) == ["status -"]
    assert plan.wake_at == later(1900)
    assert "; the API server refuses the Job: exceeded quota" in cause_of(plan)[1]
    assert cause_of(decide(refused, later(1900))) == (
        "Killed",
        f"{UNTOLD}the API server refuses the Job: exceeded quota",
    )
    assert decide(refused, later(200)).wake_at == later(230)


def test_the_number_of_a_request_is_no_news() -> None:
    refused = silent(job=job(FAILED), refusal=Refusal(403, "denied: request 1f-07"))
    patch = patch_of(decide(refused, NOW))
    conditions = msgspec.convert(patch["conditions"], tuple[Condition, ...])
    told = attrs.evolve(RUNNING, conditions=conditions, backupPath=patch["backupPath"])
    other = attrs.evolve(refused, backup=backup(status=told), refusal=Refusal(403, "denied: request 2e-08"))
    again = decide(other, later(1))
    assert (outline(again), again.wake_at) == ([], later(31))


SIDECAR = pod("Running", ContainerState(terminated=Terminated(137, finishedAt=later(100))))
GOING = pod("Running", running(), deletionTimestamp=later(100))


@pytest.mark.parametrize(("told", "begins"), [(SIDECAR, 100), (GOING, 400)])
def test_the_wait_for_a_quota_ends_also_where_the_job_never_does(told: Pod, begins: int) -> None:
    """A container that was put beside the worker keeps it running, or nothing is heard of its node."""
    refused = silent(told, refusal=Refusal(403, "exceeded quota"))
    plan = decide(refused, later(begins + 1799))
    assert (outline(plan), plan.wake_at) == (["status -"], later(begins + 1800))
    assert patch_of(decide(refused, later(begins + 1800)))["phase"] == "Failed"


def test_nor_is_it_waited_for_without_end_where_both_jobs_were_deleted() -> None:
    looked = attrs.evolve(RUNNING.conditions[-1], reason="Inspecting")
    told = attrs.evolve(RUNNING, conditions=(RUNNING.conditions[0], looked))
    refused = facts(backup(status=told), refusal=Refusal(403, "quota"), evidence={JOB_LOOK: ()})
    assert outline(decide(refused, later(1799))) == ["status -"]
    assert patch_of(decide(refused, later(1800)))["phase"] == "Failed"


@pytest.mark.parametrize(
    "refusal",
    [
        *(Refusal(400, "what"), Refusal(409, "exists"), Refusal(422, "no")),
        Refusal(403, "it goes", namespace_terminating=True),
    ],
)
def test_refused(refusal: Refusal) -> None:
    reason, message = cause_of(decide(silent(refusal=refusal), NOW))

    assert reason == "Killed"
    assert message == f"{UNTOLD}the API server refuses the Job: {refusal.message}"


@pytest.mark.parametrize(
    ("phase", "found", "seconds", "expected"),
    [
        ("Failed", inspecting(), 0, ["delete inspect-demo inspect-uid"]),
        ("Failed", inspecting(FAILED), 0, []),
        ("Complete", inspecting(true("Complete")), 0, []),
        ("Complete", inspecting(true("Complete")), 300, ["delete inspect-demo inspect-uid"]),
        ("Complete", inspecting(true("Complete"), deletionTimestamp=NOW), 300, []),
        ("Complete", inspecting(true("Complete"), owner="else"), 300, []),
    ],
)
def test_when_its_job_goes(phase: str, found: Job, seconds: float, expected: list[str]) -> None:
    released = job(true("Complete"), verb="release")
    over = facts(backup(status=status(phase, timeCompleted=NOW)), inspect_job=found, release_job=released)

    gone = [word for word in outline(decide(over, later(seconds))) if "release" not in word]
    assert gone == expected
