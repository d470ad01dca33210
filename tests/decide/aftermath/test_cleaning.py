"""The table of a Backup that is being deleted, from its cleaning Job on: (facts, now) -> Plan."""

from datetime import timedelta

import attrs
import msgspec
import pytest

from tests.decide.builders import *
from tests.decide.moments import LET_GO
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.gc import decide
from tidbbackup.decide.plan import NOTHING, Look
from tidbbackup.decide.render import WorkerImage, clean_job
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.names import FINALIZER
from tidbbackup.model.resource.backup import Backup, BackupStatus, Condition
from tidbbackup.model.resource.kubernetes import Job, Pod
from tidbbackup.model.resource.storage_spec import S3Spec

# The cleaning Job.


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (clean(), []),
        (clean(deletionTimestamp=NOW), []),
        (clean(COMPLETE), ["Normal ArchiveDeleted", "Normal Clean", "status Clean"]),
        (clean(owner="old"), ["delete clean-demo clean-uid"]),
        (clean(owner=""), ["Warning CleanFailed", "status CleanFailed"]),
        (clean(owner="x", owner_name="other"), ["Warning CleanFailed", "status CleanFailed"]),
    ],
)
def test_how_the_cleaning_stands(found: Job, expected: list[str]) -> None:
    assert outline(decide(without_run(going("Delete", status("Complete")), clean_job=found), NOW)) == expected


def test_what_was_deleted_is_said() -> None:
    plan = decide(without_run(going("Delete", status("Complete")), clean_job=clean(COMPLETE)), NOW)

    assert cause_of(plan) == ("ArchiveDeleted", f"{URL} is deleted")


@pytest.mark.parametrize("reason", sorted(reasons.LEFT_IN_THE_BUCKET))
def test_what_a_cleaning_has_left_in_the_bucket_is_a_warning(reason: str) -> None:
    told = said(result(Outcome.CLEANED, notices=(notice(reason, "nothing was deleted"),)))
    found = without_run(
        going("Delete", status("Complete")),
        clean_job=clean(COMPLETE),
        clean_pods=(cleaning_pod("Succeeded", told),),
    )

    plan = decide(found, NOW)
    assert outline(plan)[0] == f"Warning {reason}"
    assert cause_of(plan) == (reason, "nothing was deleted")


def test_a_delete_marker_is_told() -> None:
    told = said(result(Outcome.CLEANED, notices=(notice("DeleteMarker", "a delete marker was written"),)))
    found = without_run(
        going("Delete", status("Complete")),
        clean_job=clean(COMPLETE),
        clean_pods=(cleaning_pod("Succeeded", told),),
    )

    message = f"{URL} is deleted; a delete marker was written"
    assert cause_of(decide(found, NOW)) == ("ArchiveDeleted", message)


def test_leftovers_alone_are_cleaned_without_a_word_of_deleting() -> None:
    plan = decide(
        without_run(going("Retain", status("Running")), clean_job=clean(COMPLETE, deletes=False)), NOW
    )

    assert outline(plan) == ["Normal Clean", "status Clean"]
    assert "no archive is deleted" in cause_of(plan)[1]


@pytest.mark.parametrize(
    ("policy", "found", "expected"),
    [
        ("Retain", clean(), ["delete clean-demo clean-uid"]),
        ("Retain", clean(FAILED), ["delete clean-demo clean-uid"]),
        ("Retain", clean(deletionTimestamp=NOW), []),
        ("Retain", clean(COMPLETE), LET_GO),
        ("Delete", clean(deletes=False), ["delete clean-demo clean-uid"]),
        ("Delete", clean(COMPLETE, deletes=False), ["delete clean-demo clean-uid"]),
    ],
)
def test_a_cleaning_told_other_than_the_policy_now_wants_is_stopped_first(
    policy: str, found: Job, expected: list[str]
) -> None:
    """The user may set Retain while the cleaning pod waits: it must not delete the archive after all."""
    assert outline(decide(without_run(going(policy, status("Complete")), clean_job=found), NOW)) == expected


@pytest.mark.parametrize(
    ("pods", "reason"),
    [
        (
            [cleaning_pod("Failed", said(result(Outcome.FAILED, reason="AccessDenied", message="no")))],
            "AccessDenied",
        ),
        ([cleaning_pod("Failed", said(result(Outcome.FAILED)))], "CleanFailed"),
        ([cleaning_pod("Failed", terminated(exit_code=137))], "Killed"),
        ([], "CleanFailed"),
        ([pod("Failed", said(result(Outcome.FAILED, reason="DumpFailed")))], "CleanFailed"),
    ],
)
def test_why_cleaning_failed(pods: list[Pod], reason: str) -> None:
    found = without_run(going("Delete", status("Complete")), clean_job=clean(FAILED), clean_pods=tuple(pods))
    plan = decide(found, NOW)

    assert cause_of(plan)[0] == reason
    assert cause_of(plan)[1]
    assert plan.wake_at == later(10)


@pytest.mark.parametrize(
    ("failed_after", "pause"), [(0, 10), (5, 10), (20, 20), (300, 300), (600, 600), (9999, 600)]
)
def test_each_pause_before_the_next_try_is_longer(failed_after: float, pause: float) -> None:
    failed = clean(true("Failed", at=later(failed_after)))
    found = without_run(going("Delete", status("Complete")), clean_job=failed)

    assert decide(found, later(failed_after)).wake_at == later(failed_after + min(pause, 30))
    assert "delete clean-demo clean-uid" not in outline(decide(found, later(failed_after + pause - 1)))
    assert outline(decide(found, later(failed_after + pause)))[-1] == "delete clean-demo clean-uid"


def test_a_failure_without_a_time_counts_from_the_jobs_creation() -> None:
    failed = clean(attrs.evolve(FAILED, lastTransitionTime=None))

    assert decide(
        without_run(going("Delete", status("Complete")), clean_job=failed), later(5)
    ).wake_at == later(10)


@pytest.mark.parametrize(
    ("policy", "told", "cure"),
    [
        ("Delete", status("Complete"), "set spec.cleanPolicy to Retain"),
        ("Delete", status("Running"), f"remove the finalizer {FINALIZER}"),
        ("Retain", status("Running"), f"remove the finalizer {FINALIZER}"),
    ],
)
def test_the_way_out_that_is_told_is_one(policy: str, told: BackupStatus, cure: str) -> None:
    stuck = without_run(going(policy, told), clean_job=clean(FAILED, deletes=policy == "Delete"))

    assert cure in cause_of(decide(stuck, NOW))[1]


def test_a_spec_that_is_wrong_cannot_be_cleaned() -> None:
    found = attrs.evolve(
        going("Delete", status("Complete")), spec=backup({"cleanPolicy": "Delete"}, s3={"sse": "x"}).spec
    )
    plan = decide(without_run(found), NOW)

    assert cause_of(plan)[0] == "InvalidSpec"
    assert "spec.s3.sse" in cause_of(plan)[1]
    assert plan.wake_at == later(30), "the CRD may be deleted meanwhile, and nobody would tell"


def test_a_spec_that_has_become_wrong_does_not_undo_a_cleaning() -> None:
    told = status("Complete", backupPath=URL)
    found = attrs.evolve(going("Delete", told), spec=backup({"cleanPolicy": "Delete"}, s3={"sse": "x"}).spec)

    done = decide(without_run(found, clean_job=clean(COMPLETE)), NOW)
    assert cause_of(done) == ("ArchiveDeleted", f"{URL} is deleted")
    assert decide(without_run(found, clean_job=clean()), NOW).wake_at == later(30)
    failed = decide(without_run(found, clean_job=clean(FAILED)), later(10))
    assert outline(failed)[-1] == "delete clean-demo clean-uid"


# A cleaning pod that does not start.

LOOK_AT_POD = Look("Event", "ns", fields="involvedObject.uid=pod-uid")
LOOK_AT_JOB = Look("Event", "ns", fields="involvedObject.uid=clean-uid")


def test_it_is_given_half_a_minute() -> None:
    no_secret = cleaning_pod(state=waiting("CreateContainerConfigError", 'secret "s3" not found'))
    found = without_run(going("Delete", status("Complete")), clean_job=clean(), clean_pods=(no_secret,))

    early, late = decide(found, later(29)), decide(found, later(30))
    assert (outline(early), early.wake_at) == ([], later(30))
    assert cause_of(late)[0] == "SecretMissing"
    assert late.wake_at == later(60)


def test_one_that_does_not_start_is_made_anew_after_such_pauses() -> None:
    """What kept it may be mended where no pod looks twice: a LimitRange, a webhook."""
    found = without_run(going("Delete", status("Complete")), clean_job=clean(), clean_pods=(NO_SECRET,))
    assert "delete" not in " ".join(outline(decide(found, later(59))))
    assert outline(decide(found, later(60)))[-1] == "delete clean-demo clean-uid"

    later_one = attrs.evolve(found, clean_job=clean(creationTimestamp=later(570)))
    assert "delete" not in " ".join(outline(decide(later_one, later(1199))))
    assert outline(decide(later_one, later(1200)))[-1] == "delete clean-demo clean-uid"


@pytest.mark.parametrize(("pods", "look"), [((), LOOK_AT_JOB), ((cleaning_pod(),), LOOK_AT_POD)])
def test_what_no_status_tells_is_asked_of_events(pods: tuple[Pod, ...], look: Look) -> None:
    """A service account or quota that is gone: without this the Backup would hang without a word."""
    found = without_run(going("Delete", status("Complete")), clean_job=clean(), clean_pods=pods)

    assert look_of(decide, found, later(30)) == look
    told = happening("FailedCreate", 'serviceaccount "sa" not found')
    plan = decide(attrs.evolve(found, evidence=NO_RUN | {look: (told,)}), later(30))
    assert cause_of(plan)[0] == "ServiceAccountMissing"
    silent = decide(attrs.evolve(found, evidence=NO_RUN | {look: ()}), later(30))
    assert (silent.actions, silent.wake_at) == ((), later(60))


def test_one_that_works_is_left_alone() -> None:
    busy = cleaning_pod("Running", running())
    found = without_run(going("Delete", status("Complete")), clean_job=clean(), clean_pods=(busy,))

    assert decide(found, later(999)) == NOTHING


# What it was made of has been mended since.

NO_SECRET = cleaning_pod(state=waiting("CreateContainerConfigError", 'secret "s3" not found'))
NEWER = WorkerImage("example.com/worker:2")


def made_of(found: Backup, *conditions: Condition) -> Job:
    """The cleaning Job as it is made of this Backup now."""
    annotations = clean_job(found, IMAGE, delete_data=True)["metadata"]["annotations"]
    return clean(*conditions, annotations=annotations)


@pytest.mark.parametrize("pods", [(), (NO_SECRET,)])
@pytest.mark.parametrize("mended", ["spec", "image"])
def test_one_that_cannot_start_is_made_anew_of_what_was_mended(mended: str, pods: tuple[Pod, ...]) -> None:
    """Its pod would wait for the old Secret for ever, after the very cure that was told."""
    before = going("Delete", status("Complete"))
    found = without_run(before, clean_job=made_of(before), clean_pods=pods)
    assert outline(decide(found, later(1))) == []

    s3 = attrs.evolve(before.spec.s3 or S3Spec(), secretName="another")
    after = attrs.evolve(before, spec=attrs.evolve(before.spec, s3=s3))
    changed = attrs.evolve(found, backup=after) if mended == "spec" else attrs.evolve(found, image=NEWER)
    assert outline(decide(changed, later(1))) == ["delete clean-demo clean-uid"]


def test_one_that_has_failed_is_too_without_a_pause() -> None:
    before = going("Delete", status("Complete", "CleanFailed"))
    found = without_run(before, clean_job=made_of(before, FAILED))
    assert "delete clean-demo clean-uid" not in outline(decide(found, later(1)))
    assert outline(decide(attrs.evolve(found, image=NEWER), later(1))) == ["delete clean-demo clean-uid"]


def test_an_annotation_is_no_mending() -> None:
    """Some tools write the time there every few seconds: it would never be done."""
    before = going("Delete", status("Complete"))
    found = without_run(before, clean_job=made_of(before), clean_pods=(NO_SECRET,))
    noted = attrs.evolve(before.metadata, annotations={"tool.example/seen": "3"})
    assert outline(decide(attrs.evolve(found, backup=attrs.evolve(before, metadata=noted)), later(1))) == []


def test_one_that_works_or_is_done_is_not() -> None:
    before = going("Delete", status("Complete"))
    busy = without_run(before, clean_job=made_of(before), clean_pods=(cleaning_pod("Running", running()),))
    done = without_run(before, clean_job=made_of(before, COMPLETE))
    for found in (busy, done):
        assert not [
            word for word in outline(decide(attrs.evolve(found, image=NEWER), NOW)) if "delete" in word
        ]


def test_whatever_it_waits_for_it_is_looked_at_twice_a_minute() -> None:
    """The CRD may be deleted meanwhile, or its namespace, and nobody would tell."""
    late = later(7200)
    failed = clean(true("Failed", at=late))
    for found in (failed, clean(owner="")):
        plan = decide(without_run(going("Delete", status("Complete")), clean_job=found), late)
        assert plan.wake_at == late + timedelta(seconds=30)


# The API server refuses the cleaning Job.


@pytest.mark.parametrize(
    ("refusal", "expected", "wake"),
    [
        (
            Refusal(403, "no", namespace_terminating=True),
            ["Warning NamespaceTerminating", "finalizers "],
            None,
        ),
        (Refusal(403, "a webhook: being terminated"), ["Warning CleanFailed", "status CleanFailed"], 30),
        (Refusal(422, "invalid"), ["Warning CleanFailed", "status CleanFailed"], 30),
        (Refusal(409, "already exists"), ["Warning CleanFailed", "status CleanFailed"], 30),
    ],
)
def test_refused(refusal: Refusal, expected: list[str], wake: float | None) -> None:
    plan = decide(without_run(going("Delete", status("Complete")), refusal=refusal), NOW)

    assert outline(plan) == expected
    assert plan.wake_at == (None if wake is None else later(wake))


def test_the_number_of_a_request_is_no_news() -> None:
    first, other = Refusal(403, "denied: request 1f-07"), Refusal(403, "denied: request 2e-08")
    found = going("Delete", status("Complete"))
    patch = patch_of(decide(without_run(found, refusal=first), NOW))
    conditions = msgspec.convert(patch["conditions"], tuple[Condition, ...])
    told = attrs.evolve(found.status, phase="CleanFailed", conditions=conditions)
    again = decide(without_run(attrs.evolve(found, status=told), refusal=other), later(1))
    assert (outline(again), again.wake_at) == ([], later(31))


@pytest.mark.parametrize(("quota", "reason"), [(True, "QuotaExceeded"), (False, "PodRefused")])
def test_a_quota_on_jobs_is_named_as_one(quota: bool, reason: str) -> None:
    refused = Refusal(403, "exceeded quota: q", quota_exceeded=quota)
    plan = decide(without_run(going("Delete", status("Complete")), refusal=refused), NOW)
    assert cause_of(plan)[0] == reason
