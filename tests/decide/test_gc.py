"""The table of a Backup that is being deleted: (facts, now) -> Plan."""

from typing import Any

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import KILLED, LET_GO, RUNNING, SCHEDULED, ended, failed
from tidbbackup.decide.aftermath.finalizer import CRD_LOOK
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.gc import decide
from tidbbackup.decide.plan import Announce, Plan
from tidbbackup.decide.rows import Leaving
from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Aftermath, Part, PartResult
from tidbbackup.model.meta import Definition, Meta, ObjectKey
from tidbbackup.model.names import FINALIZER
from tidbbackup.model.resource.backup import Backup, BackupStatus, RetryRecord
from tidbbackup.model.resource.kubernetes import Job, Pod

STOPPED = ended("RunStopped", stopped=True)
NOT_BEGUN = ended("RunStopped", stopped=True, uploadLeftOpen=False, gcLifeTimeHeld=False)
COMPLETED = status("Complete", backupPath=URL)
RECORD = RetryRecord(1, NOW, later(300), None, "Evicted", "low on memory")
AT_WORK = pod("Running", running())
BUSY = aftermath_pod("Running", running())
NAMESPACE_GOES = Refusal(403, "no", namespace_terminating=True)
READER = ObjectKey("Restore", "elsewhere", "yesterday")
STOP = f"delete backup-demo {JOB_UID}"


def after(found: Backup, *parts: PartResult, told: str, seconds: float = 0, **known: Any) -> Plan:
    """What is decided once the Job of the aftermath has reported."""
    reports = (reported(*parts, **known),)
    known = {"aftermath_job": aftermath(COMPLETE, told=told), "aftermath_pods": reports}
    return decide(without_run(found, **known), later(seconds))


CRD_GOES = {CRD_LOOK: (Definition(Meta(name="backups.pingcap.com", deletionTimestamp=NOW)),)}
EXAMPLES: dict[Leaving, tuple[Plan, list[str]]] = {
    Leaving.NOT_OURS: (decide(facts(going(finalizers=("other",))), NOW), []),
    Leaving.FOREIGN: (decide(facts(going(), unreadable="Expected `int`"), NOW), ["finalizers "]),
    Leaving.STOPPED: (decide(facts(going(told=STOPPED), job=job(deletionTimestamp=NOW)), NOW), []),
    Leaving.STOP: (
        decide(facts(going(told=RUNNING), job=job(), pods=(AT_WORK,)), NOW),
        ["Normal RunStopped", "status -", STOP],
    ),
    Leaving.REPORTED: (
        decide(facts(going(told=RUNNING), job=job(), pods=(done(),)), NOW),
        ["Normal Complete", "status Complete"],
    ),
    Leaving.SILENT: (decide(facts(going(told=RUNNING), job=job(), pods=(KILLED,)), NOW), ["status -"]),
    Leaving.UNSEEN: (decide(facts(going(), evidence=NO_RUN | {JOB_LOOK: (job(),)}), NOW), []),
    Leaving.JOB_MISSING: (decide(without_run(going(told=RUNNING)), NOW), ["status -"]),
    Leaving.POD_ENDS: (decide(facts(going(told=failed("JobDeleted")), pods=(AT_WORK,)), NOW), []),
    Leaving.NOT_WANTED: (
        decide(facts(going("Retain", COMPLETED), aftermath_job=aftermath()), NOW),
        ["delete aftermath-demo aftermath-uid"],
    ),
    Leaving.NOTHING_LEFT: (decide(facts(going("Retain", COMPLETED)), NOW), LET_GO),
    Leaving.CRD_GOES: (
        decide(facts(going("Delete", COMPLETED), evidence=NO_RUN | CRD_GOES), NOW),
        ["Warning CRDTerminating", "finalizers "],
    ),
    Leaving.READ: (
        decide(without_run(going("Delete", COMPLETED), readers=(READER,)), NOW),
        ["Normal ArchiveInUse"],
    ),
    Leaving.NAMESPACE_GOES: (
        decide(without_run(going("Delete", COMPLETED), refusal=NAMESPACE_GOES), NOW),
        ["Warning NamespaceTerminating", "finalizers "],
    ),
    Leaving.CLEANED: (
        after(going("Delete", COMPLETED), CLEANED, told="clean delete"),
        ["Normal ArchiveDeleted", "Normal Clean", "status Clean"],
    ),
    Leaving.RELEASED: (
        after(going("Retain", failed("Killed", "Clean")), RELEASED, told="release"),
        ["status -"],
    ),
    Leaving.CLEANING: (decide(without_run(going("Delete", COMPLETED)), NOW), ["create aftermath-demo"]),
    Leaving.RELEASE_GIVEN_UP: (
        decide(
            without_run(
                going("Retain", failed("Killed", "Clean")),
                aftermath_job=aftermath(told="release"),
                aftermath_pods=(BUSY,),
            ),
            later(45),
        ),
        ["Warning ReleaseGivenUp", "status -"],
    ),
    Leaving.RELEASING: (
        decide(without_run(going("Retain", failed("Killed", "Clean"))), later(44)),
        ["create aftermath-demo"],
    ),
}
EXAMPLES[Leaving.NO_RETRY] = (
    decide(
        facts(
            going(told=attrs.evolve(SCHEDULED, backoffRetryStatus=(RECORD,))),
            evidence={**NO_RUN, attrs.evolve(JOB_LOOK, name="backup-demo-r2"): ()},
        ),
        NOW,
    ),
    ["status -"],
)


@pytest.mark.parametrize("row", Leaving, ids=lambda row: row.id)
def test_row(row: Leaving) -> None:
    plan, expected = EXAMPLES[row]
    assert plan.row is row
    assert outline(plan) == expected


# Its run is stopped, or has ended, and the status tells how.


@pytest.mark.parametrize(
    "told", [BackupStatus(backupPath=URL, observedGeneration=1), status("Invalid"), SCHEDULED]
)
def test_a_run_of_which_no_status_tells_is_stopped_before_it_began(told: BackupStatus) -> None:
    plan = decide(facts(going(told=told), job=job()), NOW)
    assert outline(plan)[-1] == STOP
    patch = patch_of(plan)
    assert (patch.get("phase", "Scheduled"), patch["runEnded"]["stopped"]) == ("Scheduled", True)
    assert "before it began" in patch["runEnded"]["message"]
    assert not {"uploadLeftOpen", "gcLifeTimeHeld"} & patch.keys()


def test_one_that_is_at_work_may_have_left_anything() -> None:
    patch = patch_of(decide(facts(going(told=SCHEDULED), job=job(), pods=(AT_WORK,)), NOW))
    assert (patch["phase"], patch["uploadLeftOpen"], patch["gcLifeTimeHeld"]) == ("Running", True, True)


def test_one_that_began_just_before_its_job_was_deleted_is_noted() -> None:
    found = facts(going(told=NOT_BEGUN), job=job(deletionTimestamp=NOW), pods=(AT_WORK,))
    assert patch_of(decide(found, NOW)) == {"uploadLeftOpen": True, "gcLifeTimeHeld": True}
    orphan = facts(going(told=NOT_BEGUN), pods=(AT_WORK,))
    assert patch_of(decide(orphan, NOW))["uploadLeftOpen"]
    # A kubelet calls a container terminated too that never began.
    never = pod("Pending", terminated(exit_code=137, reason="ContainerStatusUnknown", began=False))
    assert (
        outline(decide(facts(going(told=NOT_BEGUN), job=job(deletionTimestamp=NOW), pods=(never,)), NOW))
        == []
    )


@pytest.mark.parametrize("told", [BackupStatus(backupPath=URL, observedGeneration=1), SCHEDULED, RUNNING])
@pytest.mark.parametrize(
    ("end", "phase", "left"),
    [
        (done(), "Complete", (False, False)),
        (gave_up("CredentialsRefused"), "Failed", (False, False)),
        (gave_up(uploadLeftOpen=True), "Failed", (True, False)),
        (gave_up(gcLifeTimeHeld=True), "Failed", (False, True)),
        (KILLED, "", (True, True)),
        (pod("Failed", reason="Evicted"), "", (False, False)),
        (pod("Failed", waiting("ContainerCreating"), reason="Evicted"), "", (True, True)),
        (pod("Failed", reason="NodeLost"), "", (True, True)),
    ],
)
def test_a_run_that_ended_unnoticed_counts(
    told: BackupStatus, end: Pod, phase: str, left: tuple[bool, bool]
) -> None:
    """Deleted just then, or while the controller was away: what it left or made still counts."""
    found = going("Delete", told)
    after_it = written(found, decide(facts(found, job=job(), pods=(end,)), NOW)).status
    assert (after_it.phase in ("Complete", "Failed")) == bool(phase)
    assert not phase or after_it.phase == phase
    # One that was seen at work has begun, whatever its kubelet tells of it later.
    left = (True, True) if told is RUNNING and not phase else left
    assert (after_it.uploadLeftOpen, after_it.gcLifeTimeHeld) == left
    assert (after_it.runEnded is not None) == (not phase)


def test_no_other_attempt_follows() -> None:
    found = going(told=RUNNING)
    found = attrs.evolve(found, spec=backup({"backoffRetryPolicy": {}}).spec)
    told = gave_up("Terminated", "SIGTERM")
    told = attrs.evolve(told, status=attrs.evolve(told.status, reason="Evicted"))
    assert patch_of(decide(facts(found, job=job(), pods=(told,)), NOW))["phase"] == "Failed"


@pytest.mark.parametrize("told", [status("Invalid"), BackupStatus()])
def test_one_that_was_never_begun_just_goes(told: BackupStatus) -> None:
    assert outline(decide(without_run(going("Delete", told)), NOW)) == LET_GO


# Nothing goes before a live look.


@pytest.mark.parametrize("told", [BackupStatus(), RUNNING, failed("Unschedulable"), STOPPED])
def test_nothing_goes_before_a_live_look(told: BackupStatus) -> None:
    found = facts(going("Delete", told), evidence={CRD_LOOK: ()})
    assert look_of(decide, found, NOW) == JOB_LOOK
    assert look_of(decide, attrs.evolve(found, evidence={CRD_LOOK: (), JOB_LOOK: ()}), NOW) == PODS_LOOK
    assert decide(attrs.evolve(found, evidence=NO_RUN), NOW).actions


@pytest.mark.parametrize(
    ("jobs", "pods", "waits"),
    [
        ([job()], [], True),
        ([job(FAILED)], [], True),
        ([job(owner="former")], [], False),
        ([], [AT_WORK], True),
        ([], [pod("Succeeded", terminated())], False),
        ([], [pod("Running", running(), creationTimestamp=later(-60))], False),
    ],
)
def test_what_the_live_look_finds(jobs: list[Job], pods: list[Pod], waits: bool) -> None:
    seen = NO_RUN | {JOB_LOOK: tuple(jobs), PODS_LOOK: tuple(pods)}
    plan = decide(facts(going("Delete", failed()), evidence=seen), NOW)
    assert (outline(plan) == [], plan.wake_at == later(10)) == (waits, waits)


# What is cleaned.


def test_what_was_deleted_is_said() -> None:
    told = notice("DeleteMarker", "a delete marker was written")
    plan = after(going("Delete", COMPLETED), CLEANED, told="clean delete", notices=(told,))
    assert cause_of(plan) == ("ArchiveDeleted", f"{URL} is deleted; a delete marker was written")


@pytest.mark.parametrize("reason", sorted(reasons.LEFT_IN_THE_BUCKET))
def test_what_a_cleaning_has_left_in_the_bucket_is_a_warning(reason: str) -> None:
    told = notice(reason, "nothing was deleted")
    plan = after(going("Delete", COMPLETED), CLEANED, told="clean delete", notices=(told,))
    assert outline(plan)[0] == f"Warning {reason}"
    assert cause_of(plan) == (reason, "nothing was deleted")


def test_a_backup_that_is_found_whole_is_kept_under_on_failure() -> None:
    kept = PartResult(Part.CLEAN, reason="DataKept")
    plan = after(going("OnFailure", ended()), kept, RELEASED, told="clean release delete-unless-whole")
    assert cause_of(plan) == ("DataKept", f"the backup is whole: {URL} is kept")
    assert (patch_of(plan)["uploadLeftOpen"], patch_of(plan)["gcLifeTimeHeld"]) == (None, None)


def test_a_failed_run_that_left_nothing_but_its_log_says_what_was_deleted() -> None:
    kept = PartResult(Part.CLEAN, reason="DataKept")
    told = failed("DumpFailed", backupPath=URL, log=f"{URL}.log")
    plan = after(going("Delete", told), kept, told="clean log")
    assert cause_of(plan) == ("DataKept", f"{URL}.log is deleted, the run has left nothing else")


def test_leftovers_alone_are_cleaned_without_a_word_of_deleting() -> None:
    kept = PartResult(Part.CLEAN, reason="DataKept")
    plan = after(going("Retain", STOPPED), kept, told="clean release")
    assert "no archive is deleted" in cause_of(plan)[1]
    # What was not put back in the database is tried again for a while.
    assert "gcLifeTimeHeld" not in patch_of(plan)


@pytest.mark.parametrize(
    ("policy", "found", "expected"),
    [
        ("Retain", aftermath(), ["delete aftermath-demo aftermath-uid"]),
        ("Retain", aftermath(COMPLETE), LET_GO),
        ("Delete", aftermath(told="clean"), ["delete aftermath-demo aftermath-uid"]),
        ("Delete", aftermath(COMPLETE, told="clean"), ["delete aftermath-demo aftermath-uid"]),
    ],
)
def test_a_cleaning_told_other_than_the_policy_now_wants_counts_for_nothing(
    policy: str, found: Job, expected: list[str]
) -> None:
    pods = (reported(CLEANED),) if found.ended else (BUSY,)
    known = without_run(going(policy, COMPLETED), aftermath_job=found, aftermath_pods=pods)
    assert outline(decide(known, NOW)) == expected


@pytest.mark.parametrize(
    ("policy", "told", "cure"),
    [
        ("Delete", COMPLETED, "set spec.cleanPolicy to Retain"),
        ("Delete", STOPPED, f"remove the finalizer {FINALIZER}"),
        ("Retain", STOPPED, f"remove the finalizer {FINALIZER}"),
    ],
)
def test_the_trouble_is_told_with_a_way_out(policy: str, told: BackupStatus, cure: str) -> None:
    stuck = decide(without_run(going(policy, told), refusal=Refusal(403, "exceeded quota")), NOW)
    assert outline(stuck) == ["Warning CleanFailed", "status CleanFailed"]
    assert cure in cause_of(stuck)[1]
    assert stuck.wake_at == later(30), "the CRD may be deleted meanwhile, and nothing would tell"


def test_the_number_of_a_request_is_no_news() -> None:
    first, other = Refusal(403, "denied: request 1f-07"), Refusal(403, "denied: request 2e-08")
    found = going("Delete", COMPLETED)
    found = written(found, decide(without_run(found, refusal=first), NOW))
    again = decide(without_run(found, refusal=other), later(1))
    assert (outline(again), again.wake_at) == ([], later(31))


def test_what_is_kept_is_said() -> None:
    told = attrs.evolve(COMPLETED, checksum="sha256:00")
    (say, _) = decide(facts(going("Retain", told)), NOW).actions
    assert getattr(say, "message", "") == f"{URL} is kept"
    (say, _) = decide(without_run(going("Delete", failed("BucketNotFound"))), NOW).actions
    assert getattr(say, "message", "") == "there is nothing to clean"


def test_the_status_of_one_that_goes_observes_its_generation() -> None:
    plan = decide(facts(going(told=BackupStatus(observedGeneration=1), generation=2), job=job()), NOW)
    assert patch_of(plan)["observedGeneration"] == 2


# What may be left in the database comes last, and holds up a deletion for seconds.


def test_the_release_is_tried_beside_the_cleaning_and_then_for_45_seconds() -> None:
    found = going("Retain", STOPPED)
    (create,) = decide(without_run(found), NOW).actions
    assert told_by(create) == Aftermath((Part.CLEAN, Part.RELEASE))
    cleaned = going("Retain", failed("Killed", "Clean"))
    told = attrs.evolve(true("Clean"), lastTransitionTime=later(600))
    conditions = tuple(told if each.type == "Clean" else each for each in cleaned.status.conditions)
    late = attrs.evolve(cleaned, status=attrs.evolve(cleaned.status, conditions=conditions))
    waits = decide(without_run(late), later(644))
    assert (outline(waits), waits.wake_at) == (["create aftermath-demo"], later(645))
    job_there = aftermath(told="release", creationTimestamp=later(600))
    given_up = decide(without_run(late, aftermath_job=job_there, aftermath_pods=(BUSY,)), later(645))
    assert outline(given_up) == ["Warning ReleaseGivenUp", "status -"]
    assert outline(decide(without_run(written(late, given_up)), later(646))) == ["finalizers "]


@pytest.mark.parametrize("away", [46, 90_000])
def test_one_try_is_made_although_the_controller_was_away(away: float) -> None:
    found = going("Retain", failed("Killed", "Clean"))
    tried = decide(without_run(found), later(away))
    assert (outline(tried), tried.wake_at) == (["create aftermath-demo"], later(away + 45))
    job_there = aftermath(told="release", creationTimestamp=later(away))
    known = without_run(found, aftermath_job=job_there, aftermath_pods=(BUSY,))
    assert outline(decide(known, later(away + 44))) == []
    assert outline(decide(known, later(away + 45))) == ["Warning ReleaseGivenUp", "status -"]


def test_a_cleaning_that_is_done_counts_although_the_crd_goes_and_the_release_is_not() -> None:
    no_route = PartResult(Part.RELEASE, done=False, reason="DatabaseUnreachable", message="no route")
    found = facts(
        going("Delete", failed()),
        evidence=NO_RUN | CRD_GOES,
        aftermath_job=aftermath(FAILED, told="clean release delete"),
        aftermath_pods=(reported(CLEANED, no_route),),
    )
    assert decide(found, NOW).row is Leaving.CLEANED


def test_why_it_is_not_put_back_is_told() -> None:
    plan = decide(
        without_run(going("Retain", failed("Killed", "Clean")), refusal=Refusal(403, "a quota")), NOW
    )
    (say,) = (action for action in plan.actions if isinstance(action, Announce))
    assert (say.reason, "a quota" in say.message) == ("ReleaseFailed", True)


def test_one_try_is_made_after_a_cleaning_that_is_not_asked_for_any_more() -> None:
    """CleanFailed for an hour, then set to Retain."""
    found = going("Retain", attrs.evolve(failed("DumpFailed", "CleanFailed"), gcLifeTimeHeld=True))
    assert outline(decide(without_run(found), later(3600))) == ["create aftermath-demo"]


# A container that a webhook put beside ours keeps its pod.


@pytest.mark.parametrize("policy", ["Retain", "OnFailure", "Delete"])
def test_a_run_that_was_over_before_the_deletion_is_not_stopped_by_it(policy: str) -> None:
    told = pod("Running", said(result()))
    found = facts(going(policy, RUNNING), job=job(), pods=(told,))
    plan = decide(found, NOW)
    assert outline(plan) == ["Normal Complete", "status Complete"]
    live = NO_RUN | {JOB_LOOK: (job(),), PODS_LOOK: (told,)}
    over = attrs.evolve(found, backup=written(found.backup, plan), evidence=live)
    assert outline(decide(over, NOW)) == (["create aftermath-demo"] if policy == "Delete" else LET_GO)


def test_an_archive_that_a_restore_reads_stays_until_that_has_ended() -> None:
    """As Kubernetes keeps a PersistentVolumeClaim that a pod uses."""
    waits = decide(without_run(going("Delete", COMPLETED), readers=(READER,)), NOW)
    (said,) = waits.actions
    assert isinstance(said, Announce)
    assert "elsewhere/yesterday" in said.message
    assert waits.wake_at is None
    kept = decide(without_run(going("Retain", COMPLETED), readers=(READER,)), NOW)
    assert kept.row is Leaving.NOTHING_LEFT
    over = decide(without_run(going("Delete", COMPLETED)), NOW)
    assert over.row is Leaving.CLEANING


def test_a_cleaning_that_has_been_made_is_not_held_by_a_restore_that_comes_later() -> None:
    found = without_run(
        going("Delete", COMPLETED), readers=(READER,), aftermath_job=aftermath(told="clean delete")
    )
    assert decide(found, NOW).row is Leaving.CLEANING
