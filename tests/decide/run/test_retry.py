"""Opt-in retries: only after a disruption, only as often and as late as the policy says, one at a time."""

from typing import Any

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import AFTERMATH_LOOK
from tests.decide.moments import ended as over
from tidbbackup.decide.backup import decide
from tidbbackup.decide.facts import BackupFacts, Refusal
from tidbbackup.decide.plan import Create, Look, Plan
from tidbbackup.model.contract.aftermath import Part, PartResult
from tidbbackup.model.resource.backup import Backup, BackupStatus, RetryRecord
from tidbbackup.model.resource.kubernetes import Pod

POLICY: dict[str, Any] = {"backoffRetryPolicy": {}}
EVICTED = pod("Failed", reason="Evicted", message="low on memory")
DISRUPTED = true("Failed", "PodFailurePolicy", "Pod ns/p has condition DisruptionTarget")
NOTHING_THERE = PartResult(Part.INSPECT, reason="NothingStored", message="no archive")
NO_FORMER: dict[Look, tuple[object, ...]] = {JOB_LOOK: (), AFTERMATH_LOOK: (), PODS_LOOK: ()}


def ended(told: Pod, policy: dict[str, Any] | None = None, *records: RetryRecord) -> BackupFacts:
    """An attempt that never began, or whose worker said something, has ended."""
    told_before = attrs.evolve(status("Scheduled"), backoffRetryStatus=records)
    found = backup({"backoffRetryPolicy": policy or {}}, told_before)
    name = "backup-demo" + (f"-r{found.attempt}" if records else "")
    return facts(found, job=job(name=name), pods=(told,))


def record(number: int = 1, began: float | None = 0.0) -> RetryRecord:
    """A retry because of an eviction at NOW."""
    real = None if began is None else later(began)
    return RetryRecord(number, NOW, later(300), real, "Evicted", "low on memory")


def between_attempts() -> Backup:
    """A Backup whose second attempt is to come."""
    told = status("Running", "Scheduled", backoffRetryStatus=(record(began=None),), backupPath=URL)
    return backup(POLICY, told)


@pytest.mark.parametrize(
    "told",
    [
        EVICTED,
        gave_up("Terminated", "SIGTERM", uploadLeftOpen=True),
    ],
)
def test_a_disruption_is_retried(told: Pod) -> None:
    if told is not EVICTED:
        told = attrs.evolve(told, status=attrs.evolve(told.status, reason="NodeLost"))
    plan = decide(ended(told), NOW)

    assert outline(plan) == ["status -"]
    reason, message = cause_of(plan)
    assert reason == "RetryWaits"
    assert message.endswith("; the next begins at 2026-11-23T03:05:00Z")
    (written,) = patch_of(plan)["backoffRetryStatus"]
    assert written["retryNum"] == 1
    assert written["expectedRetryAt"] == "2026-11-23T03:05:00Z"
    assert written["retryReason"] in ("Evicted", "NodeLost")
    assert "realRetryAt" not in written or written["realRetryAt"] is None


@pytest.mark.parametrize(
    "told",
    [gave_up(), gave_up("Terminated", "SIGTERM"), pod("Failed", terminated(), reason="DeadlineExceeded")],
)
def test_nothing_else_is(told: Pod) -> None:
    plan = decide(ended(told), NOW)

    assert cause_of(plan)[0] != "RetryWaits"
    assert "backoffRetryStatus" not in patch_of(plan)


def test_a_disruption_is_known_from_the_job_alone() -> None:
    """The controller was away, and the pod went with its node before anybody read its conditions."""
    found = facts(backup(POLICY, status("Scheduled")), job=job(DISRUPTED), evidence={PODS_LOOK: ()})
    known = written(found.backup, decide(found, NOW))
    job_there = aftermath(COMPLETE, told="inspect release")
    inspected = facts(known, aftermath_job=job_there, aftermath_pods=(reported(NOTHING_THERE),))

    assert cause_of(decide(inspected, NOW))[0] == "RetryWaits"
    assert DISRUPTED.message in cause_of(decide(inspected, NOW))[1]


def test_without_a_policy_nothing_is_retried() -> None:
    found = facts(backup(status=status("Scheduled")), job=job(), pods=(EVICTED,))

    assert cause_of(decide(found, NOW)) == ("Evicted", "low on memory")


@pytest.mark.parametrize(
    ("policy", "records", "why"),
    [
        ({"maxRetryTimes": 0}, (), "maxRetryTimes 0 is reached"),
        ({}, (record(1), record(2)), "maxRetryTimes 2 is reached"),
        ({"retryTimeout": "4m"}, (), "that would be after retryTimeout 4m"),
        ({"maxRetryTimes": 9, "minRetryDuration": "10m"}, (record(1), record(2)), "retryTimeout 30m"),
        ({"minRetryDuration": "soon"}, (), "is no duration"),
    ],
)
def test_when_it_is_given_up(policy: dict[str, Any], records: tuple[RetryRecord, ...], why: str) -> None:
    plan = decide(ended(EVICTED, policy, *records), NOW)

    reason, message = cause_of(plan)
    assert patch_of(plan)["phase"] == "Failed"
    assert reason == "Evicted"
    assert message.startswith("low on memory; not retried (spec.backoffRetryPolicy): ")
    assert why in message


def test_each_pause_is_twice_the_last() -> None:
    plan = decide(ended(EVICTED, {"maxRetryTimes": 9}, record(1)), later(400))

    assert patch_of(plan)["backoffRetryStatus"][1]["expectedRetryAt"] == "2026-11-23T03:16:40Z"


def test_what_the_worker_warned_of_is_not_lost_on_the_way_to_the_next_attempt() -> None:
    told = gave_up(
        "Terminated",
        "SIGTERM",
        uploadLeftOpen=True,
        gcLifeTimeHeld=True,
        notices=(notice("GcLifeTimeStillRaised"),),
    )
    told = attrs.evolve(told, status=attrs.evolve(told.status, reason="NodeLost"))
    patch = patch_of(decide(ended(told), NOW))

    (warning,) = (each for each in patch["conditions"] if each["type"] == "Warning")
    assert warning["reason"] == "UploadLeftOpen"
    assert "so what" in warning["message"]
    assert "timeCompleted" not in patch


def test_the_log_of_a_former_attempt_stays_where_the_next_could_not_write_its_own() -> None:
    found = ended(gave_up("BucketNotFound"), {}, record())
    assert found.backup
    told = attrs.evolve(found.backup, status=attrs.evolve(found.backup.status, log=f"{URL}.log"))
    assert written(told, decide(attrs.evolve(found, backup=told), NOW)).status.log == f"{URL}.log"


@pytest.mark.parametrize("refusal", [None, Refusal(400, "cannot unmarshal"), Refusal(422, "Invalid")])
def test_a_spec_that_became_wrong_ends_it_for_good(refusal: Refusal | None) -> None:
    """Invalid would let the key's fields be edited, and what the first attempt left is found by that key."""
    found = between_attempts()
    if refusal is None:
        found = attrs.evolve(found, spec=backup(POLICY, s3={"sse": "x"}).spec)
    plan = decide(facts(found, evidence=NO_FORMER, refusal=refusal), later(300))

    assert outline(plan) == ["Warning Failed", "status Failed"]
    assert cause_of(plan)[0] == "InvalidSpec"
    assert patch_of(plan)["timeCompleted"] == "2026-11-23T03:05:00Z"


def test_the_next_attempt_waits_for_its_time() -> None:
    assert decide(facts(between_attempts()), later(299)) == Plan(wake_at=later(300))


def test_no_attempt_begins_after_the_timeout() -> None:
    """The controller was away over night, or a pod on a node that died does not go."""
    in_time = decide(facts(between_attempts(), evidence=NO_FORMER), later(1800))
    assert outline(in_time)[0] == "create backup-demo-r2"

    too_late = decide(facts(between_attempts(), evidence=NO_FORMER), later(1801))
    assert outline(too_late) == ["Warning Failed", "status Failed"]
    text = "low on memory; not retried (spec.backoffRetryPolicy): that would be after retryTimeout 30m"
    assert cause_of(too_late) == ("Evicted", text)
    assert patch_of(too_late)["timeCompleted"] == "2026-11-23T03:30:01Z"

    stays = facts(between_attempts(), evidence=NO_FORMER | {PODS_LOOK: (pod("Running", running()),)})
    assert decide(stays, later(1790)).wake_at == later(1800)
    assert patch_of(decide(stays, later(1801)))["phase"] == "Failed"


@pytest.mark.parametrize("seconds", [10, 1801])
def test_one_that_is_given_up_leaves_no_job_of_the_former_attempt(seconds: int) -> None:
    """Also before its time has come: nobody would look for them any more, nor for the staging volume."""
    found = between_attempts()
    if seconds < 300:
        found = attrs.evolve(found, spec=backup().spec)
    left = facts(found, evidence={JOB_LOOK: (job(),), AFTERMATH_LOOK: (aftermath(),)})
    assert outline(decide(left, later(seconds))) == [
        *("delete backup-demo job-uid", "delete aftermath-demo aftermath-uid"),
        *("Warning Failed", "status Failed"),
    ]
    assert look_of(decide, facts(found), later(seconds)) == JOB_LOOK


def test_the_former_attempt_makes_way_first() -> None:
    found = facts(between_attempts())
    assert look_of(decide, found, later(300)) == JOB_LOOK

    left = attrs.evolve(found, evidence=NO_FORMER | {JOB_LOOK: (job(),)})
    assert outline(decide(left, later(300))) == ["delete backup-demo job-uid"]
    going = attrs.evolve(found, evidence=NO_FORMER | {JOB_LOOK: (job(deletionTimestamp=NOW),)})
    assert decide(going, later(300)) == Plan(wake_at=later(310))
    late = attrs.evolve(found, evidence=NO_FORMER | {PODS_LOOK: (pod("Running", running()),)})
    assert decide(late, later(300)) == Plan(wake_at=later(310))


def test_then_it_has_a_job_of_its_own() -> None:
    plan = decide(facts(between_attempts(), evidence=NO_FORMER), later(300))

    assert outline(plan)[0] == "create backup-demo-r2"
    assert patch_of(plan)["backoffRetryStatus"][0]["realRetryAt"] == "2026-11-23T03:05:00Z"
    (create,) = (action for action in plan.actions if isinstance(action, Create))
    assert create.manifest["metadata"]["labels"]["tidb.pingcap.com/backup"] == "demo"


def test_one_whose_job_was_made_before_its_status_goes_on() -> None:
    found = facts(between_attempts(), job=job(name="backup-demo-r2"), pods=(pod("Running", running()),))
    plan = decide(found, later(301))

    assert patch_of(plan)["phase"] == "Running"
    assert patch_of(plan)["backoffRetryStatus"][0]["realRetryAt"] == "2026-11-23T03:05:01Z"


def test_each_attempt_is_inspected_and_what_ended_the_former_is_not_its_end() -> None:
    told = attrs.evolve(over("Evicted", "low on memory"), backoffRetryStatus=(record(),))
    job_there = aftermath(COMPLETE, told="inspect release")
    found = facts(
        backup(POLICY, told), aftermath_job=job_there, aftermath_pods=(reported(NOTHING_THERE, RELEASED),)
    )
    patch = patch_of(decide(found, NOW))
    assert (patch["runEnded"], len(patch["backoffRetryStatus"])) == (None, 2)


def test_a_status_without_records_is_the_first_attempt() -> None:
    assert backup(status=BackupStatus()).attempt == 1
