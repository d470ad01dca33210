"""A run that does not start, or that the API server refuses: (facts, now) -> Plan.

Here is also what decide/run/beginning.py and decide/run/stopping.py promise.
"""

import attrs
import msgspec
import pytest

from tests.decide.builders import *
from tests.decide.moments import SCHEDULED, settled
from tidbbackup.decide.backup import decide
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Look, Plan
from tidbbackup.model.names import DUE_TIME
from tidbbackup.model.resource.backup import BackupStatus, Condition, RunEnd
from tidbbackup.model.resource.kubernetes import Job, Pod

# A pod that does not start.


def events_look(uid: str) -> Look:
    """The look for what is said of one object."""
    return Look("Event", "ns", fields=f"involvedObject.uid={uid}")


PENDING = pod(state=waiting("ErrImagePull", "no such image"))


@pytest.mark.parametrize(
    ("seconds", "deadline", "phase", "wake"),
    [
        (0, 1800, "Scheduled", 10),
        (9, 1800, "Scheduled", 10),
        (10, 1800, "Scheduled", 70),
        (1790, 1800, "Scheduled", 1800),
        (1799, 1800, "Scheduled", 1800),
        (1800, 1800, "stopped", None),
        (0, 5, "Scheduled", 5),
        (4, 5, "Scheduled", 5),
        (5, 5, "stopped", None),
        (9999, 2**31 - 1, "Scheduled", 10059),
    ],
)
def test_how_long_a_pod_may_wait(seconds: float, deadline: int, phase: str, wake: float | None) -> None:
    found = facts(backup({"pendingDeadlineSeconds": deadline}), job=job(), pods=(PENDING,))
    plan = decide(found, later(seconds))

    stopped = "runEnded" in patch_of(plan)
    assert (patch_of(plan)["phase"], stopped) == ("Scheduled", phase == "stopped")
    assert plan.wake_at == (None if wake is None else later(wake))


def test_at_first_every_pod_waits_and_that_alarms_nobody() -> None:
    found = facts(backup(), job=job(), pods=(PENDING,))

    assert cause_of(decide(found, later(5)))[0] == "JobCreated"
    assert cause_of(decide(found, later(10)))[0] == "ImageUnavailable"


def test_given_up_its_job_is_deleted_and_only_then_it_is_failed() -> None:
    """Else a pod that starts in that moment would leave a run behind that nobody knows of."""
    plan = decide(facts(backup(status=SCHEDULED), job=job(), pods=(PENDING,)), later(1800))
    assert outline(plan) == ["status -", f"delete backup-demo {JOB_UID}"]
    end = patch_of(plan)["runEnded"]
    assert (end["reason"], end["stopped"]) == ("ImageUnavailable", True)
    assert "uploadLeftOpen" not in patch_of(plan)

    why = "the pod did not start within 1800 s: no such image"
    told = attrs.evolve(SCHEDULED, runEnded=RunEnd(later(1800), "ImageUnavailable", why, stopped=True))
    waits = facts(backup(status=told), job=job(deletionTimestamp=NOW), pods=(PENDING,))
    assert decide(waits, later(1801)).actions == ()
    gone = decide(settled(facts(backup(status=told)), jobs=[], pods=[]), later(1802))
    assert outline(gone) == ["Warning Failed", "status Failed"]
    assert cause_of(gone) == ("ImageUnavailable", why)
    assert patch_of(gone)["runEnded"] is None


def test_one_that_starts_while_it_is_given_up_is_cleaned_after() -> None:
    told = attrs.evolve(SCHEDULED, runEnded=RunEnd(NOW, "ImageUnavailable", "so", stopped=True))
    began = facts(backup(status=told), job=job(deletionTimestamp=NOW), pods=(pod("Running", running()),))
    assert patch_of(decide(began, NOW)) == {"uploadLeftOpen": True, "gcLifeTimeHeld": True}
    noted = attrs.evolve(told, uploadLeftOpen=True, gcLifeTimeHeld=True)
    waits = attrs.evolve(began, backup=backup(status=noted))
    assert outline(decide(waits, NOW)) == []
    gone = decide(settled(facts(backup(status=noted)), jobs=[], pods=[]), NOW)
    assert "it started while it was stopped" in cause_of(gone)[1]


@pytest.mark.parametrize(("pods", "uid"), [((), JOB_UID), ((pod(),), "pod-uid")])
def test_what_no_status_tells_is_asked_of_events(pods: tuple[Pod, ...], uid: str) -> None:
    found = facts(backup(status=SCHEDULED), job=job(), pods=pods)
    look = events_look(uid)

    assert look_of(decide, found, later(10)) == look
    seen = attrs.evolve(found, evidence={look: (happening("FailedCreate", "exceeded quota"),)})
    plan = decide(seen, later(10))
    assert cause_of(plan)[0] == "QuotaExceeded"
    assert plan.wake_at == later(70)
    assert patch_of(decide(seen, later(1800)))["runEnded"]["reason"] == "QuotaExceeded"


def test_where_nothing_tells_anything_it_says_so() -> None:
    found = facts(backup(status=SCHEDULED), job=job(), evidence={events_look(JOB_UID): ()})

    assert cause_of(decide(found, later(10)))[0] == "JobCreated"
    assert patch_of(decide(found, later(1800)))["runEnded"]["reason"] == "PendingTooLong"


def test_a_volume_that_is_not_there_is_asked_of_its_claim() -> None:
    unbound = Condition("PodScheduled", "False", message="unbound PersistentVolumeClaims")
    found = facts(backup(status=SCHEDULED), job=job(), pods=(pod(conditions=(unbound,)),))
    look = Look(
        "Event", "ns", fields="involvedObject.kind=PersistentVolumeClaim,involvedObject.name=p-staging"
    )

    assert look_of(decide, found, later(10)) == look
    told = attrs.evolve(found, evidence={look: (happening("ProvisioningFailed", "no such class"),)})
    assert "no such class" in cause_of(decide(told, later(10)))[1]
    silent = attrs.evolve(found, evidence={look: ()})
    assert cause_of(decide(silent, later(10)))[0] == "VolumeUnavailable"


# The API server refuses the Job.

HELD_BACK = BackupStatus(
    conditions=(Condition("Scheduled", "False", "Earlier", "said", NOW),), observedGeneration=1
)


@pytest.mark.parametrize(
    ("refusal", "seconds", "expected", "wake"),
    [
        (Refusal(422, "spec.template: Invalid"), 0, ["Warning Invalid", "status Invalid"], 600),
        (Refusal(400, "cannot unmarshal"), 0, ["Warning Invalid", "status Invalid"], 600),
        (Refusal(403, "q", quota_exceeded=True), 0, ["Warning QuotaExceeded", "status -"], 60),
        (Refusal(403, "webhook denied: exceeded quota"), 1790, ["Warning PodRefused", "status -"], 1800),
        (Refusal(403, "webhook denied: exceeded quota"), 1800, ["Warning Failed", "status Failed"], None),
    ],
)
def test_refused(refusal: Refusal, seconds: float, expected: list[str], wake: float | None) -> None:
    plan = decide(facts(backup(status=HELD_BACK), refusal=refusal), later(seconds))

    assert outline(plan) == expected
    assert plan.wake_at == (None if wake is None else later(wake))


def test_one_of_a_schedule_that_is_refused_for_good_is_not_tried_again() -> None:
    """The next due time has a Backup of its own: all that were refused would begin at once, beside it."""
    scheduled = backup(annotations={DUE_TIME: "2026-11-23T03:00:00Z"})
    assert decide(facts(scheduled, refusal=Refusal(422, "denied")), NOW).wake_at is None


@pytest.mark.parametrize("told", [BackupStatus(backupPath=URL), status("Invalid", backupPath=URL)])
def test_patience_counts_from_the_first_refusal(told: BackupStatus) -> None:
    """It may have been Invalid before, or without a controller, for hours."""
    plan = decide(facts(backup(status=told), refusal=Refusal(403, "exceeded quota")), later(9999))
    assert outline(plan) == ["Warning PodRefused", "status -"]
    assert plan.wake_at == later(9999 + 60)
    patch = patch_of(plan)
    (held,) = (each for each in patch["conditions"] if each["type"] == "Scheduled")
    assert (held["status"], held["reason"]) == ("False", "PodRefused")
    assert held["lastTransitionTime"] == "2026-11-23T05:46:39Z"
    assert "phase" not in patch

    seen = attrs.evolve(told, conditions=msgspec.convert(patch["conditions"], tuple[Condition, ...]))
    seen = attrs.evolve(seen, observedGeneration=1)
    again = decide(facts(backup(status=seen), refusal=Refusal(403, "exceeded quota")), later(9999 + 1790))
    assert (outline(again), again.wake_at) == ([], later(9999 + 1800))
    taken = decide(facts(backup(status=seen)), later(10050))
    assert cause_of(taken)[0] == "JobCreated"


@pytest.mark.parametrize("why", ["spec", "policy"])
def test_what_was_refused_before_it_was_invalid_does_not_count(why: str) -> None:
    wrong = facts(backup(status=HELD_BACK), refusal=Refusal(422, "no"))
    if why == "spec":
        wrong = facts(backup(status=HELD_BACK, s3={"sse": "x"}))
    invalid = seen_after(HELD_BACK, decide(wrong, NOW))
    assert invalid.phase == "Invalid"
    corrected = decide(facts(backup(status=invalid), refusal=Refusal(403, "quota")), later(86_400))
    assert outline(corrected) == ["Warning PodRefused", "status -"]
    assert corrected.wake_at == later(86_460)


def seen_after(told: BackupStatus, plan: Plan) -> BackupStatus:
    """The status once a plan has been carried out."""
    patch = patch_of(plan)
    conditions = msgspec.convert(patch["conditions"], tuple[Condition, ...])
    return attrs.evolve(told, phase=patch.get("phase", told.phase), conditions=conditions)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (Refusal(403, "denied: request 1f-07"), Refusal(403, "denied: request 2e-08")),
        (Refusal(422, "denied: request 1f-07"), Refusal(422, "denied: request 2e-08")),
    ],
)
def test_the_number_of_a_request_is_no_news(first: Refusal, other: Refusal) -> None:
    """What we write wakes us: it would be asked for again and again without a pause."""
    told = BackupStatus(observedGeneration=1)
    told = seen_after(told, decide(facts(backup(status=told), refusal=first), NOW))
    again = decide(facts(backup(status=told), refusal=other), later(1))
    assert outline(again) == []
    assert again.wake_at in (later(61), later(601))

    edited = backup(status=told, generation=2)
    assert "status -" in outline(decide(facts(edited, refusal=other), later(1)))
    another = attrs.evolve(other, message="another policy: request 3")
    assert "status -" in outline(decide(facts(backup(status=told), refusal=another), later(1)))


def test_what_is_refused_for_good_ends_then_and_its_ttl_counts_from_there() -> None:
    refused = facts(backup({"ttlSecondsAfterFinished": 60}, HELD_BACK), refusal=Refusal(403, "no"))

    patch = patch_of(decide(refused, later(1800)))
    assert (patch["phase"], patch["timeCompleted"]) == ("Failed", "2026-11-23T03:30:00Z")
    assert "timeTaken" not in patch


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ([job(owner="")], ["Warning Failed", "status Failed"]),
        ([job(owner="old")], [f"delete backup-demo {JOB_UID}"]),
        ([job()], []),
        ([], []),
    ],
)
def test_a_name_that_no_cache_shows_as_taken(jobs: list[Job], expected: list[str]) -> None:
    found = facts(backup(), refusal=Refusal(409, "already exists"), evidence=STILL_THERE)

    assert look_of(decide, found, NOW) == JOB_LOOK
    plan = decide(settled(found, jobs=jobs), NOW)
    assert outline(plan) == expected
    assert plan.wake_at is not None
    assert plan.wake_at > NOW


def test_a_spec_edited_into_nonsense_after_its_job_was_made_does_not_stop_the_run() -> None:
    """We died before the status was written, so nothing kept the user from editing."""
    edited = backup({"mydumper": {"options": ["x"]}}, s3={"provider": "azure", "options": ["x"]})

    assert patch_of(decide(facts(edited, job=job()), NOW))["phase"] == "Scheduled"
    assert (
        patch_of(decide(facts(edited, job=job(), pods=(pod("Running", running()),)), NOW))["phase"]
        == "Running"
    )
    assert patch_of(decide(facts(edited, job=job(), pods=(done(),)), NOW))["phase"] == "Complete"


def test_the_longest_deadline_is_still_a_date() -> None:
    plan = decide(facts(backup({"pendingDeadlineSeconds": 2**31 - 1}), job=job(), pods=(PENDING,)), later(20))

    assert plan.wake_at == later(80)
