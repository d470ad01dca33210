"""A Job of our Job's name: whose it is, and how it goes although the node of its pod is lost."""

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import INSPECT_LOOK
from tests.decide.test_lost_node import LOST, silent
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Delete
from tidbbackup.decide.run.job_state import Absent, Foreign, Former, Ours, job_state
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.kubernetes import Job, Pod

HELD = "held-uid"
OOM = pod("Failed", terminated(exit_code=137, reason="OOMKilled"))


def held(verb: str, *, owner: str = "old-uid", deleting: bool = False) -> Job:
    """What holds the name of our Job of that verb."""
    return job(verb=verb, uid=HELD, owner=owner, deletionTimestamp=NOW if deleting else None)


def on_lost_node() -> Pod:
    """Its pod."""
    return silent(pod("Running", running(), owner=HELD, name="held", uid="held-pod"))


def test_whose_it_is() -> None:
    for found, whose in (
        (None, Absent),
        (job(), Ours),
        (job(owner="old-uid"), Former),
        (job(owner="old-uid", owner_name="other"), Foreign),
        (job(owner=""), Foreign),
    ):
        assert isinstance(job_state(found, (), backup(), NOW), whose)


def beside(verb: str, *, deleting: bool) -> BackupFacts:
    """A Backup, made again under its old name, whose Job of that verb is to be made."""
    former, pods = held(verb, deleting=deleting), (on_lost_node(),)
    if verb == "backup":
        return facts(backup(), job=former, pods=pods)
    if verb == "inspect":
        live = backup(status=status("Scheduled", "Running"))
        return facts(live, job=job(FAILED), pods=(OOM,), inspect_job=former, inspect_pods=pods)
    if verb == "release":
        failed = status("Running", "Failed", reason="OOMKilled", timeCompleted=NOW)
        return facts(backup(status=failed), release_job=former, release_pods=pods)
    found = going("Delete", status("Complete"))
    return facts(found, evidence=NO_RUN, clean_job=former, clean_pods=pods)


@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize("verb", ["backup", "inspect", "release", "clean"])
def test_a_formers_on_a_lost_node_does_not_hold_the_name(verb: str, deleting: bool) -> None:
    found = beside(verb, deleting=deleting)
    decide = gc.decide if verb == "clean" else run_backup.decide
    early = decide(found, later(LOST - 1))
    assert (f"delete {verb}-demo {HELD}" in outline(early)) is not deleting
    if deleting:
        assert early.wake_at == later(LOST)

    (delete,) = (action for action in decide(found, later(LOST)).actions if isinstance(action, Delete))
    assert (delete.key.name, delete.uid, delete.abandon) == (f"{verb}-demo", HELD, True)


@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize("at", [LOST, 90_000])
def test_our_release_on_a_lost_node_is_abandoned(at: int, deleting: bool) -> None:
    """Made anew within the day, and let go after it."""
    ours = held("release", owner=backup().metadata.uid, deleting=deleting)
    held_still = at < 86400
    failed = status("Failed", reason="NodeLost", timeCompleted=NOW, gcLifeTimeHeld=held_still)
    found = facts(backup(status=failed), release_job=ours, release_pods=(on_lost_node(),))
    if held_still:
        assert run_backup.decide(found, later(LOST - 1)).wake_at == later(LOST)

    (delete,) = (
        action for action in run_backup.decide(found, later(at)).actions if isinstance(action, Delete)
    )
    assert (delete.key.name, delete.uid, delete.abandon) == ("release-demo", HELD, True)


def on_failure(found_job: Job, found: Backup | None = None) -> BackupFacts:
    """A Backup that is deleted under OnFailure, its run having ended without a word."""
    dead = found or going("OnFailure", status("Scheduled", "Running"))
    ended = job(FAILED)
    seen = NO_RUN | {key: (ended,) for key in NO_RUN if key.name == "backup-demo"} | {INSPECT_LOOK: ()}
    return facts(dead, job=ended, pods=(OOM,), inspect_job=found_job, evidence=seen)


def test_nothing_is_deleted_while_a_foreign_job_is_in_the_way_of_the_look() -> None:
    foreign = held("inspect", owner="other")
    owner = attrs.evolve(foreign.metadata.ownerReferences[0], name="somebody")
    foreign = attrs.evolve(foreign, metadata=attrs.evolve(foreign.metadata, ownerReferences=(owner,)))
    plan = gc.decide(on_failure(foreign), later(10))
    assert outline(plan) == ["Warning CleanFailed", "status CleanFailed"]
    assert cause_of(plan)[0] == "NameTaken"
    assert plan.wake_at == later(40)

    # One that never began has made nothing that a look could find.
    secret = attrs.evolve(on_failure(foreign), pods=(pod("Failed"),))
    assert secret.backup is not None
    unbegun = attrs.evolve(secret, backup=attrs.evolve(secret.backup, status=status("Scheduled")))
    assert "NameTaken" not in str(gc.decide(unbegun, later(10)).actions)
