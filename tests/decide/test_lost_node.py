"""A node that is lost and stays in the list: its pods never go, and everything else goes on."""

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import AFTERMATH_LOOK, ended, failed, state
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Announce, Delete, Plan
from tidbbackup.decide.run.job_state import NotStarted, Ours, Reported, Silent, Working
from tidbbackup.model.resource.backup import Backup, RetryRecord
from tidbbackup.model.resource.kubernetes import Job, Pod, PodSpec

GRACE_OVER = 330
LOST = GRACE_OVER + 300
"""Seconds after NOW: five minutes after its grace nothing has been heard of the pod."""


def silent(found: Pod | None = None) -> Pod:
    """A pod that was to be gone at GRACE_OVER, on a node that says no more."""
    taint = true("DisruptionTarget", "DeletionByTaintManager")
    found = found or pod("Running", running(), conditions=(taint,))
    meta = attrs.evolve(found.metadata, deletionTimestamp=later(GRACE_OVER))
    return attrs.evolve(found, metadata=meta, spec=PodSpec("node-7"))


@pytest.mark.parametrize("found_job", [job(), job(FAILED), job(deletionTimestamp=NOW)])
@pytest.mark.parametrize(("found", "before"), [(silent(), Working), (silent(pod()), NotStarted)])
def test_it_counts_as_lost_minutes_after_it_was_to_be_gone(
    found_job: Job, found: Pod, before: type[Ours]
) -> None:
    if found_job.ended and before is NotStarted:
        before = Silent
    assert isinstance(state(found_job, found, at=LOST - 1), before)
    broken = state(found_job, found, at=LOST)
    assert isinstance(broken, Silent)
    assert (broken.lost, broken.stoppable, broken.at) == (True, False, later(LOST))
    assert broken.cause.reason == "NodeLost"
    assert "kubectl delete node node-7" in broken.cause.message


def test_one_that_was_heard_of_is_not() -> None:
    whole = silent(pod("Running", said(result())))
    reported = state(job(), whole, at=LOST)
    assert isinstance(reported, Reported)
    assert reported.result == result()
    killed = state(job(), silent(pod("Failed", terminated(exit_code=137, reason="OOMKilled"))), at=LOST)
    assert isinstance(killed, Silent)
    assert killed.cause.reason == "OOMKilled"


# A Backup that lives.


def at_work(found: Backup | None = None) -> BackupFacts:
    """Its worker ran when the node was lost."""
    live = found or backup(status=status("Scheduled", "Running", timeStarted=NOW))
    return facts(live, job=job(), pods=(silent(),))


def test_its_run_ends_within_a_bound() -> None:
    early = run_backup.decide(at_work(), later(LOST - 1))
    assert ("Running" not in outline(early), early.wake_at) == (True, later(LOST))

    # Whether it was whole already is asked of the storage, as after any end without a word.
    late = run_backup.decide(at_work(), later(LOST))
    assert cause_of(late)[0] == "Inspecting"
    assert patch_of(late)["runEnded"]["reason"] == "NodeLost"


def test_its_gc_life_time_is_put_back_although_the_pod_is_still_there() -> None:
    over = attrs.evolve(failed("NodeLost"), timeCompleted=later(LOST))
    assert "create aftermath-demo" in outline(run_backup.decide(at_work(backup(status=over)), later(LOST)))

    # One that still stops may put it back itself.
    soon = attrs.evolve(over, timeCompleted=later(LOST - 60))
    waits = run_backup.decide(at_work(backup(status=soon)), later(LOST - 60))
    assert "create aftermath-demo" not in outline(waits)
    assert waits.wake_at == later(LOST)


def test_no_other_attempt_writes_to_its_key_beside_it() -> None:
    record = RetryRecord(1, later(LOST), later(LOST), None, "NodeLost", "lost")
    told = attrs.evolve(status("Running", "Scheduled"), backoffRetryStatus=(record,))
    tried = facts(
        backup({"backoffRetryPolicy": {}}, told),
        pods=(silent(),),
        evidence={JOB_LOOK: (), AFTERMATH_LOOK: (), PODS_LOOK: (silent(),)},
    )
    assert run_backup.decide(tried, later(LOST + 60)) == Plan(wake_at=later(LOST + 70))


# One that is being deleted.


def test_its_deletion_goes_on_and_says_what_may_still_be_at_work() -> None:
    stopped = going("Delete", ended("RunStopped", stopped=True))
    found = without_run(stopped, job=job(deletionTimestamp=NOW), pods=(silent(),))
    found = attrs.evolve(found, evidence=NO_RUN | {JOB_LOOK: (found.job,), PODS_LOOK: (silent(),)})
    assert gc.decide(found, later(LOST - 1)) == Plan(wake_at=later(LOST))

    (abandon,) = gc.decide(found, later(LOST)).actions
    assert isinstance(abandon, Delete)
    assert abandon.abandon, "its name is free at once"
    found = attrs.evolve(found, job=None, evidence=NO_RUN | {PODS_LOOK: (silent(),)})
    plan = gc.decide(found, later(LOST))
    assert outline(plan) == ["create aftermath-demo", "Warning NodeLost"]
    (say,) = (action for action in plan.actions if isinstance(action, Announce))
    assert "node-7" in say.message

    cleaned = attrs.evolve(found, aftermath_job=aftermath(COMPLETE), aftermath_pods=(reported(CLEANED),))
    assert "status Clean" in outline(gc.decide(cleaned, later(LOST + 9)))


def test_an_orphan_of_it_does_not_hold_it_either() -> None:
    """Its Job was deleted by hand, without its pods."""
    found = without_run(going("Delete", ended("JobDeleted")), pods=(silent(),))
    assert gc.decide(found, later(LOST - 1)) == Plan(wake_at=later(LOST))
    assert "create aftermath-demo" in outline(gc.decide(found, later(LOST)))


@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_a_cleaning_on_it_is_abandoned_and_made_anew(policy: str, deleting: bool) -> None:
    """Deleted with its pods it would stay, and hold the name, for as long as the node is away."""
    on_it = silent(aftermath_pod("Running", running()))
    found_job = aftermath(deletionTimestamp=NOW if deleting else None)
    found = without_run(going(policy, status("Complete")), aftermath_job=found_job, aftermath_pods=(on_it,))
    if deleting or policy == "Delete":
        assert gc.decide(found, later(LOST - 1)) == Plan(wake_at=later(LOST))

    plan = gc.decide(found, later(LOST))
    (delete,) = plan.actions
    assert isinstance(delete, Delete)
    assert (delete.key.name, delete.uid, delete.abandon) == ("aftermath-demo", "aftermath-uid", True)


def test_a_job_of_somebody_else_is_left_alone_there_too() -> None:
    on_it = silent(aftermath_pod("Running", running()))
    for job_there in (aftermath(owner=""), aftermath(owner="", deletionTimestamp=NOW)):
        found = without_run(
            going("Delete", status("Complete")), aftermath_job=job_there, aftermath_pods=(on_it,)
        )
        assert "delete" not in " ".join(outline(gc.decide(found, later(LOST))))


def test_one_that_waits_there_is_too() -> None:
    on_it = silent(aftermath_pod(state=waiting("ContainerCreating")))
    found = without_run(
        going("Delete", status("Complete")), aftermath_job=aftermath(), aftermath_pods=(on_it,)
    )
    assert outline(gc.decide(found, later(LOST))) == ["delete aftermath-demo aftermath-uid"]
