"""The table of a Backup that is being deleted: (facts, now) -> Plan.

Here is also what decide/aftermath/remains.py promises.
"""

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import LET_GO
from tidbbackup.decide.aftermath.finalizer import CRD_LOOK
from tidbbackup.decide.aftermath.remains import Remains, what_remains
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.gc import decide
from tidbbackup.decide.plan import Create
from tidbbackup.decide.run.life import life_of
from tidbbackup.model.contract.task import decode_task
from tidbbackup.model.names import DELETES_DATA, FINALIZER
from tidbbackup.model.resource.backup import Backup, BackupStatus, RetryRecord
from tidbbackup.model.resource.kubernetes import Job, Pod


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (facts(None), []),
        (facts(backup()), []),
        (facts(going(finalizers=("other",))), []),
        (facts(going(told=BackupStatus(phase="Complete"))), ["finalizers "]),
        (facts(going(), unreadable="Expected `int`"), ["finalizers "]),
        (facts(going(finalizers=("other", FINALIZER)), unreadable="x"), ["finalizers other"]),
        (facts(going(told=status("Complete", "Clean"))), ["finalizers "]),
        (
            facts(going(told=status("Running")), job=job()),
            ["Normal RunStopped", "status -", f"delete backup-demo {JOB_UID}"],
        ),
        (
            facts(going(), job=job()),
            ["Normal RunStopped", "Normal Scheduled", "status Scheduled", f"delete backup-demo {JOB_UID}"],
        ),
        (
            facts(going(told=status("Invalid")), job=job()),
            ["Normal RunStopped", "Normal Scheduled", "status Scheduled", f"delete backup-demo {JOB_UID}"],
        ),
        (
            facts(going(), job=job(deletionTimestamp=NOW)),
            ["Normal RunStopped", "Normal Scheduled", "status Scheduled"],
        ),
        (facts(going(told=status("Running")), job=job(deletionTimestamp=NOW)), []),
        (
            facts(
                going(told=status("Scheduled")),
                job=job(deletionTimestamp=NOW),
                pods=(pod("Running", running()),),
            ),
            ["Normal Running", "status Running"],
        ),
        (
            facts(going(told=status("Failed")), job=job()),
            ["Normal RunStopped", f"delete backup-demo {JOB_UID}"],
        ),
        (facts(going(told=status("Running")), pods=(pod("Running", running()),)), []),
        (without_run(going()), LET_GO),
        (without_run(going(told=status("Invalid"))), LET_GO),
        (facts(going("Retain", status("Complete"))), LET_GO),
        (facts(going("OnFailure", status("Complete"))), LET_GO),
        (without_run(going("Delete", status("Complete"))), ["create clean-demo"]),
        (without_run(going("Delete", status("Failed", reason="BucketNotFound"))), LET_GO),
        (without_run(going("Retain", status("Failed", reason="Killed"))), ["create clean-demo"]),
        (without_run(going("Retain", status("Running"))), ["create clean-demo"]),
    ],
)
def test_what_is_done(found: BackupFacts, expected: list[str]) -> None:
    plan = decide(found, NOW)

    assert outline(plan) == expected


@pytest.mark.parametrize(
    ("told", "policy", "cleans", "data"),
    [
        (status("Complete"), "Delete", True, True),
        (status("Complete"), "OnFailure", False, False),
        (status("Complete"), "Retain", False, False),
        (status("Complete"), None, False, False),
        (status("Complete", "CleanFailed"), "Delete", True, True),
        (status("Complete", "CleanFailed"), "Retain", False, False),
        (status("Failed", reason="DumpFailed"), "Delete", False, False),
        (status("Failed", reason="OOMKilled"), "Delete", True, True),
        (status("Failed", reason="OOMKilled"), "OnFailure", True, True),
        (status("Failed", reason="OOMKilled"), "Retain", True, False),
        (status("Running"), "Delete", True, True),
        (status("Running"), "OnFailure", True, True),
        (status("Running"), "Retain", True, False),
        (status("Scheduled"), "Retain", True, False),
        (status("Scheduled", reason="RunStopped"), "Delete", False, False),
        (status("Running", "Scheduled", reason="RunStopped"), "Delete", True, True),
        (status("Invalid"), "Delete", False, False),
    ],
)
def test_what_is_cleaned(told: BackupStatus, policy: str | None, cleans: bool, data: bool) -> None:
    actions = decide(without_run(going(policy, told)), NOW).actions
    creates = [action for action in actions if isinstance(action, Create)]

    assert bool(creates) == cleans
    for create in creates:
        (container,) = create.manifest["spec"]["template"]["spec"]["containers"]
        assert decode_task(container["env"][0]["value"]).deleteData == data
        assert (DELETES_DATA in create.manifest["metadata"]["annotations"]) == data


def remains(found: Backup, run: Job | None, pods: tuple[Pod, ...]) -> Remains:
    """What is left of a Backup whose run's Job and pods are these."""
    return what_remains(life_of(facts(found, job=run, pods=pods), found, NOW))


@pytest.mark.parametrize("phase", ["Failed", "Invalid"])
def test_an_earlier_attempt_that_died_is_cleaned_after(phase: str) -> None:
    record = RetryRecord(1, NOW, NOW, NOW, "NodeLost", "gone")
    told = status("Running", phase, reason="Unschedulable", uploadLeftOpen=True, gcLifeTimeHeld=True)
    told = attrs.evolve(told, backoffRetryStatus=(record,))
    found = remains(going("Delete", told), None, ())
    assert (found.uploads, found.data, found.unheard) == (True, True, True)


def test_a_job_that_completed_has_made_a_whole_archive_although_nobody_heard_of_it() -> None:
    """Its pod is gone, or being inspected: OnFailure is not asked to delete a good archive."""
    for policy, cleans in (("OnFailure", False), ("Retain", False), ("Delete", True)):
        found = remains(going(policy, status("Scheduled", "Running")), job(COMPLETE), ())
        assert (found.uploads, found.data, found.unheard) == (False, cleans, True)


def test_an_upload_left_open_is_cleaned_under_every_policy() -> None:
    warned = status("Failed", reason="DumpFailed", uploadLeftOpen=True)

    assert outline(decide(without_run(going("Retain", warned)), NOW)) == ["create clean-demo"]

    # Its archive may have appeared since (0048).
    for policy, data in (("Retain", False), ("OnFailure", True), ("Delete", True)):
        found = remains(going(policy, warned), None, ())
        assert (found.uploads, found.data, found.unheard) == (True, data, False)


# A run of which no status tells.


@pytest.mark.parametrize("told", [BackupStatus(), status("Invalid"), status("Running"), status("Scheduled")])
@pytest.mark.parametrize(
    ("policy", "ended", "expected"),
    [
        ("Delete", done(), ["create clean-demo"]),
        ("OnFailure", done(), LET_GO),
        ("Retain", done(), LET_GO),
        ("Delete", pod("Failed", terminated(exit_code=137)), ["create clean-demo"]),
        ("Retain", pod("Failed", terminated(exit_code=137)), ["create clean-demo"]),
        # What a worker itself reports of its failure counts before a status tells of it too (0006).
        ("OnFailure", gave_up("CredentialsRefused"), LET_GO),
        ("Retain", gave_up("CredentialsRefused"), LET_GO),
        ("Delete", gave_up("CredentialsRefused"), LET_GO),
        ("Retain", gave_up(uploadLeftOpen=True), ["create clean-demo"]),
        ("Retain", gave_up(gcLifeTimeHeld=True), ["create release-demo"]),
        ("Retain", gave_up("PodDeleted"), ["create clean-demo"]),
    ],
)
def test_a_run_that_ended_unnoticed_counts(
    told: BackupStatus, policy: str, ended: Pod, expected: list[str]
) -> None:
    """Deleted just then, or while the controller was away: what it left or made still counts."""
    condition = COMPLETE if ended.status.phase == "Succeeded" else FAILED
    found = without_run(going(policy, told), job=job(condition), pods=(ended,))

    assert outline(decide(found, NOW)) == expected


NEVER = terminated(exit_code=137, reason="ContainerStatusUnknown", began=False)


def test_a_container_that_ended_without_a_start_has_not_begun() -> None:
    """The Secret may be missing for which a cleaning pod would wait as well, for ever."""
    stopped = going("Retain", status("Scheduled", reason="RunStopped"))
    ending = facts(stopped, job=job(deletionTimestamp=NOW), pods=(pod("Pending", NEVER),))
    assert outline(decide(ending, NOW)) == []
    waits = facts(going("Retain", status("Scheduled")), job=job(), pods=(pod("Pending", NEVER),))
    assert patch_of(decide(waits, NOW))["conditions"][0]["message"].endswith("before it began")


@pytest.mark.parametrize(
    "told", [BackupStatus(), status("Scheduled"), status("Scheduled", "Failed", reason="Evicted")]
)
def test_a_run_that_ended_without_a_start_leaves_nothing(told: BackupStatus) -> None:
    def left(told: BackupStatus, ended: Pod) -> bool:
        return bool(remains(going("Delete", told), job(FAILED), (ended,)))

    assert not left(told, pod("Failed", NEVER, reason="Evicted"))
    assert not left(told, pod("Failed", reason="Evicted"))
    assert left(told, pod("Failed", terminated(exit_code=137), reason="Evicted"))
    # Nobody heard whether it began: its node was lost before it told, or the status knows better.
    assert left(told, pod("Failed", waiting("ContainerCreating"), reason="Evicted"))
    assert left(told, pod("Failed", reason="NodeLost"))
    assert left(status("Running", "Scheduled"), pod("Failed", NEVER, reason="Evicted"))


def test_a_former_attempt_that_died_outweighs_the_word_of_the_last() -> None:
    record = RetryRecord(1, NOW, NOW, NOW, "NodeLost", "gone")
    told = attrs.evolve(status("Scheduled", "Running"), backoffRetryStatus=(record,))
    left = remains(going("Retain", told), job(FAILED), (gave_up(),))
    assert (left.uploads, left.unheard) == (True, True)


def test_a_failure_is_one_whatever_is_still_there_to_tell_of_it() -> None:
    """Its Job goes a day later: the archive's fate is not to hang on that."""
    late = status("Scheduled", "Failed", reason="StartedTooLate")
    for policy, data in (("Retain", False), ("OnFailure", True), ("Delete", True)):
        for found, pods in ((job(COMPLETE), (done(),)), (job(COMPLETE), ()), (None, ())):
            left = remains(going(policy, late), found, pods)
            assert (left.uploads, left.data, left.kept, left.unheard) == (True, data, False, True)


@pytest.mark.parametrize(
    "told", [BackupStatus(), status("Failed", reason="Unschedulable"), status("Running")]
)
def test_nothing_goes_before_a_live_look(told: BackupStatus) -> None:
    found = facts(going("Delete", told), evidence={CRD_LOOK: ()})

    assert look_of(decide, found, NOW) == JOB_LOOK
    assert look_of(decide, attrs.evolve(found, evidence={CRD_LOOK: (), JOB_LOOK: ()}), NOW) == PODS_LOOK
    assert decide(attrs.evolve(found, evidence=NO_RUN), NOW).actions


@pytest.mark.parametrize(
    ("jobs", "pods", "expected", "wake"),
    [
        ([job()], [], ["Normal RunStopped", "status -", f"delete backup-demo {JOB_UID}"], None),
        ([job(FAILED)], [], [], 10),
        ([job(owner="former")], [], ["create clean-demo"], None),
        ([], [pod("Running", running())], [], 10),
        ([], [pod("Succeeded", terminated())], ["create clean-demo"], None),
        ([], [pod("Running", running(), creationTimestamp=later(-60))], ["create clean-demo"], None),
    ],
)
def test_what_the_live_look_finds(
    jobs: list[Job], pods: list[Pod], expected: list[str], wake: float | None
) -> None:
    found = facts(
        going("Delete", status("Running")), evidence=NO_RUN | {JOB_LOOK: tuple(jobs), PODS_LOOK: tuple(pods)}
    )
    plan = decide(found, NOW)

    assert outline(plan) == expected
    assert plan.wake_at == (None if wake is None else later(wake))


@pytest.mark.parametrize("phases", [("Complete",), ("Failed",), ("Complete", "CleanFailed")])
def test_what_is_final_stays_when_a_run_is_stopped(phases: tuple[str, ...]) -> None:
    """With a container put beside ours the pod runs on after the result."""
    plan = decide(
        facts(going("Delete", status(*phases)), job=job(), pods=(pod("Running", said(result())),)), NOW
    )

    assert outline(plan) == ["Normal RunStopped", f"delete backup-demo {JOB_UID}"]


def test_what_is_kept_is_said() -> None:
    told = attrs.evolve(status("Complete"), backupPath=URL, checksum="sha256:00")
    (say, _) = decide(facts(going("Retain", told)), NOW).actions
    assert getattr(say, "message", "") == f"{URL} is kept"

    unnoticed = without_run(going("Retain", BackupStatus()), job=job(COMPLETE), pods=(done(),))
    (say, _) = decide(unnoticed, NOW).actions
    assert getattr(say, "message", "") == f"{URL} is kept"

    never = without_run(going("Delete", status("Failed", reason="BucketNotFound")))
    (say, _) = decide(never, NOW).actions
    assert getattr(say, "message", "") == "there is nothing to clean"


def test_the_status_of_one_that_goes_observes_its_generation() -> None:
    plan = decide(facts(going(told=BackupStatus(observedGeneration=1), generation=2), job=job()), NOW)

    assert patch_of(plan)["observedGeneration"] == 2
    assert gave_up().ended


@pytest.mark.parametrize("policy", ["Retain", "OnFailure"])
def test_a_run_that_was_over_before_the_deletion_is_not_stopped_by_it(policy: str) -> None:
    """A container that a webhook put beside ours keeps the pod. The worker has had its say, and it counts."""
    told = pod("Running", said(result()))
    found = attrs.evolve(without_run(going(policy, status("Scheduled", "Running"))), job=job(), pods=(told,))
    assert outline(decide(found, NOW)) == LET_GO
    waits = attrs.evolve(found, backup=going("Delete", status("Running", "CleanFailed")))
    assert outline(decide(waits, NOW)) == ["create clean-demo"], "the policy may be edited yet"
    live = attrs.evolve(found, evidence=NO_RUN | {JOB_LOOK: (job(),), PODS_LOOK: (told,)})
    assert outline(decide(live, NOW)) == LET_GO


def test_one_that_died_before_the_deletion_is_asked_after_although_its_pod_lives_on() -> None:
    killed = pod("Running", terminated(exit_code=137))
    found = without_run(going("OnFailure", status("Scheduled", "Running")), job=job(), pods=(killed,))
    assert outline(decide(found, NOW))[0] == "create inspect-demo"
