"""Who puts TiDB's GC life time back after a worker that could not: when `release-<bk>` runs and ends."""

from typing import Any

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import releasing
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.facts import BackupFacts, Refusal
from tidbbackup.decide.plan import Announce, Plan
from tidbbackup.decide.render import WorkerImage, release_job
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import decode_task
from tidbbackup.model.resource.backup import Backup, BackupStatus, RetryRecord

DAY = 86400


def ended(phase: str = "Failed", reason: str = "Killed") -> BackupStatus:
    return status("Scheduled", "Running", phase, reason=reason, timeCompleted=NOW)


def live(told: BackupStatus, seconds: float = 0, **parts: Any) -> Plan:
    return run_backup.decide(facts(backup(status=told), **parts), later(seconds))


def leaving(found: Backup, seconds: float = 0, **parts: Any) -> Plan:
    return gc.decide(BackupFacts(found, IMAGE, evidence=NO_RUN, **parts), later(seconds))


def words(plan: Plan) -> str:
    return "; ".join(action.message for action in plan.actions if isinstance(action, Announce))


@pytest.mark.parametrize("reason", sorted(reasons.DIED_WITHOUT_A_WORD))
def test_after_a_death_without_a_word_it_is_released(reason: str) -> None:
    assert outline(live(ended(reason=reason))) == ["create release-demo"]


@pytest.mark.parametrize(
    "told", [ended(reason="DumpFailed"), ended(reason="Unschedulable"), ended("Complete", "ArchiveStored")]
)
def test_a_worker_that_had_its_say_has_put_it_back_itself(told: BackupStatus) -> None:
    assert outline(live(told)) == []


@pytest.mark.parametrize("outcome", [Outcome.COMPLETE, Outcome.FAILED])
def test_a_worker_that_could_not_says_so(outcome: Outcome) -> None:
    told = pod("Succeeded", said(result(outcome, gcLifeTimeHeld=True)))
    plan = live(status("Scheduled", "Running"), job=job(), pods=(told,))
    assert patch_of(plan)["gcLifeTimeHeld"] is True
    # Its Job goes in time; the status stays.
    phase = "Complete" if outcome is Outcome.COMPLETE else "Failed"
    warned = attrs.evolve(ended(phase, "DumpFailed"), gcLifeTimeHeld=True)
    assert outline(live(warned)) == ["create release-demo"]


def test_a_run_that_was_inspected_is_released_also_where_it_was_whole() -> None:
    """The inspecting Job goes after minutes, and anybody may delete it: the status alone tells."""
    found = ended("Complete", "ArchiveFound")
    assert outline(live(found)) == ["create release-demo"]
    assert outline(live(found, DAY - 1)) == ["create release-demo"]
    assert outline(live(found, DAY)) == ["Warning ReleaseGivenUp", "status -"]
    assert outline(leaving(going("Retain", found))) == ["create release-demo"]


def test_not_while_the_worker_may_still_do_it_itself() -> None:
    stopping = pod("Running", running())
    assert outline(live(ended(reason="JobDeleted"), pods=(stopping,))) == []


def test_once_it_is_done_the_status_is_the_record_and_its_job_goes_in_time() -> None:
    done = releasing(true("Complete"))
    plan = live(ended(), release_job=done)
    assert (outline(plan), patch_of(plan)) == (["status -"], {"gcLifeTimeHeld": None})
    over = attrs.evolve(ended(), gcLifeTimeHeld=False)
    assert outline(live(over)) == []
    assert (outline(live(over, release_job=done)), live(over, release_job=done).wake_at) == ([], later(DAY))
    assert outline(live(over, DAY, release_job=done)) == ["delete release-demo release-uid"]


def test_a_failure_is_told_and_tried_again_at_doubling_pauses() -> None:
    why = pod("Failed", said(result(Outcome.FAILED, message="no route")), owner="release-uid")
    failed_at = attrs.evolve(FAILED, lastTransitionTime=later(100))
    parts: dict[str, Any] = {"release_job": releasing(failed_at), "release_pods": (why,)}
    plan = live(ended(), 101, **parts)
    assert (outline(plan), plan.wake_at) == (["Warning ReleaseFailed"], later(200))
    assert "no route" in words(plan)
    assert outline(live(ended(), 200, **parts)) == [
        "Warning ReleaseFailed",
        "delete release-demo release-uid",
    ]


def test_one_that_waits_or_failed_is_made_anew_of_what_was_mended() -> None:
    annotations = release_job(backup(), IMAGE)["metadata"]["annotations"]
    for conditions, changes in (((), True), ((FAILED,), True), ((true("Complete"),), False)):
        found = facts(backup(status=ended()), release_job=releasing(*conditions, annotations=annotations))
        assert "delete" not in " ".join(outline(run_backup.decide(found, later(1))))
        mended = attrs.evolve(found, image=WorkerImage("w:2"))
        deleted = outline(run_backup.decide(mended, later(1)))[-1:] == ["delete release-demo release-uid"]
        assert deleted == changes


def test_after_a_day_it_is_given_up_with_what_to_do_by_hand() -> None:
    """Also where no Job was ever made. The Event goes after an hour: the Warning stays."""
    for found in (releasing(FAILED), None):
        plan = live(ended(), DAY, release_job=found)
        assert outline(plan) == ["Warning ReleaseGivenUp", "status -"]
        assert "SELECT * FROM mysql.tidb WHERE variable_name = 'tikv_gc_life_time'" in words(plan)
        patch = patch_of(plan)
        assert patch["gcLifeTimeHeld"] is None
        assert patch["conditions"][-1]["reason"] == "ReleaseGivenUp"
        assert patch["conditions"][-1]["message"] in words(plan)
    over = attrs.evolve(ended(), gcLifeTimeHeld=False)
    assert outline(live(over, DAY, release_job=releasing(FAILED))) == ["delete release-demo release-uid"]


def test_another_ones_job_is_in_the_way() -> None:
    assert outline(live(ended(), release_job=releasing(owner="else", owner_name="x"))) == [
        "Warning ReleaseFailed"
    ]
    former = releasing(owner="former")
    assert outline(live(ended(), release_job=former)) == ["delete release-demo release-uid"]


def test_a_refused_job_is_told_and_tried_again() -> None:
    plan = live(ended(), refusal=Refusal(403, "exceeded quota"))
    assert (outline(plan), plan.wake_at) == (["Warning ReleaseFailed"], later(60))
    assert "exceeded quota" in words(plan)


def test_a_deleted_backup_is_released_before_it_goes() -> None:
    stopped = going("Retain", status("Scheduled", "Running", "Clean"))
    assert outline(leaving(stopped)) == ["create release-demo"]
    assert outline(leaving(stopped, release_job=releasing())) == []
    assert outline(leaving(stopped, release_job=releasing(true("Complete")))) == ["finalizers "]


def test_a_deletion_is_not_held_up_for_longer_than_45_seconds() -> None:
    stopped = going("Retain", status("Scheduled", "Running", "Clean"))
    plan = leaving(stopped, 44, release_job=releasing())
    assert (outline(plan), plan.wake_at) == ([], later(45))
    assert outline(leaving(stopped, 45, release_job=releasing())) == [
        "Warning ReleaseGivenUp",
        "finalizers ",
    ]


def test_what_the_storage_took_is_not_taken_from_the_release() -> None:
    told = status("Scheduled", "Running", "Clean")
    late = attrs.evolve(true("Clean"), lastTransitionTime=later(600))
    conditions = tuple(late if each.type == "Clean" else each for each in told.conditions)
    stopped = going("Retain", attrs.evolve(told, conditions=conditions))
    plan = leaving(stopped, 600)
    assert (outline(plan), plan.wake_at) == (["create release-demo"], later(645))
    assert outline(leaving(stopped, 645)) == ["Warning ReleaseGivenUp", "finalizers "]


def test_nor_is_what_a_look_at_the_storage_took() -> None:
    """Under OnFailure, where that found a whole archive."""
    found = going("OnFailure", status("Scheduled", "Running", reason="Inspecting"))
    looked = job(attrs.evolve(true("Complete"), lastTransitionTime=later(600)), verb="inspect", uid="i")
    pods = (pod("Succeeded", said(result()), owner="i"),)
    for parts in ({"inspect_job": looked}, {"inspect_job": looked, "inspect_pods": pods}):
        plan = leaving(found, 644, job=job(FAILED), **parts)
        assert (outline(plan), plan.wake_at) == (["create release-demo"], later(645))
        over = ["Warning ReleaseGivenUp", "Normal DataKept", "finalizers "]
        assert outline(leaving(found, 645, job=job(FAILED), **parts)) == over


def test_one_try_is_made_after_a_cleaning_that_is_not_asked_for_any_more() -> None:
    """CleanFailed for an hour, then set to Retain."""
    found = going("Retain", attrs.evolve(ended("Complete", "ArchiveFound"), phase="CleanFailed"))
    plan = leaving(found, 3600)
    assert (outline(plan), plan.wake_at) == (["create release-demo"], later(3645))

    tried = releasing(creationTimestamp=later(3600))
    plan = leaving(found, 3644, release_job=tried)
    assert (outline(plan), plan.wake_at) == ([], later(3645))
    over = ["Warning ReleaseGivenUp", "Normal DataKept", "finalizers "]
    assert outline(leaving(found, 3645, release_job=tried)) == over
    failed = releasing(FAILED, creationTimestamp=later(3600))
    assert outline(leaving(found, 3610, release_job=failed)) == over
    assert outline(leaving(found, 3600, refusal=Refusal(403, "exceeded quota"))) == over


def test_an_attempt_that_never_began_says_nothing_of_the_one_that_died() -> None:
    record = RetryRecord(1, NOW, later(10), later(10), "NodeLost", "gone")
    told = attrs.evolve(ended(reason="Unschedulable"), backoffRetryStatus=(record,), gcLifeTimeHeld=True)
    assert outline(live(told)) == ["create release-demo"]


def cleaned(reason: str, seconds: float) -> BackupStatus:
    """Clean now, Failed so many seconds after NOW."""
    told = ended(reason=reason)
    conditions = tuple(
        attrs.evolve(each, status="False") if each.type == "Failed" else each for each in told.conditions
    )
    return attrs.evolve(
        told, phase="Clean", conditions=(*conditions, true("Clean")), timeCompleted=later(seconds)
    )


def test_what_holds_nothing_any_more_goes_at_once() -> None:
    assert outline(leaving(going("Retain", cleaned("Killed", 0)))) == ["create release-demo"]
    released = attrs.evolve(cleaned("Killed", 0), gcLifeTimeHeld=False)
    assert outline(leaving(going("Retain", released))) == ["finalizers "]
    assert outline(leaving(going("Retain", cleaned("DumpFailed", 0)))) == ["finalizers "]


def test_a_namespace_that_goes_is_not_held_up() -> None:
    stopped = going("Retain", status("Scheduled", "Running", "Clean"))
    refusal = Refusal(403, "being terminated", namespace_terminating=True)
    assert outline(leaving(stopped, refusal=refusal)) == ["finalizers "]


def test_its_job_gets_the_database_and_nothing_of_the_storage() -> None:
    spec = {"tikvGCLifeTime": "24h", "activeDeadlineSeconds": 9999, "storageSize": "1Gi"}
    made = release_job(backup(spec, from_={"tlsClientSecretName": "tls"}, s3={"caSecretName": "ca"}), IMAGE)
    assert made["metadata"]["name"] == "release-demo"
    assert made["metadata"]["labels"]["app.kubernetes.io/component"] == "release"
    inside = made["spec"]["template"]["spec"]
    (container,) = inside["containers"]
    assert container["command"] == ["tidbbackup", "worker", "release"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert "DB_PASSWORD" in variables
    assert not [name for name in variables if name.startswith("AWS_")]
    assert [volume["name"] for volume in inside["volumes"]] == ["run", "db-tls"]
    assert inside["activeDeadlineSeconds"] == 120
    task = decode_task(variables["TIDBBACKUP_TASK"] or "")
    assert task.database is not None
    assert task.database.tls


def test_a_run_that_died_in_mid_run_without_any_status_is_released_too() -> None:
    """Deleted between the Job and its status: only the Job tells of the run."""
    killed = pod("Failed", terminated(exit_code=137))
    found = going("Retain", BackupStatus())
    at_rest = attrs.evolve(found, status=status("Clean"))
    assert outline(leaving(at_rest, job=job(FAILED), pods=(killed,))) == ["create release-demo"]
