"""A Job of our Job's name: whose it is, and how it goes although the node of its pod is lost."""

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import failed
from tests.decide.test_lost_node import LOST, silent
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Delete
from tidbbackup.decide.run.job_state import Absent, Foreign, Former, Ours, job_state
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.kubernetes import Job, Pod

HELD = "held-uid"


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


DYING, LIVE = "a Backup that is being deleted", "one that is Failed"


def beside(what: str, *, deleting: bool) -> BackupFacts:
    """A Backup, made again under its old name, whose Job is to be made."""
    verb = "backup" if what == "backup" else "aftermath"
    former, pods = held(verb, deleting=deleting), (on_lost_node(),)
    if what == "backup":
        return facts(backup(), job=former, pods=pods, evidence=STILL_THERE)
    if what == LIVE:
        told = backup(status=failed("OOMKilled"))
        return facts(told, aftermath_job=former, aftermath_pods=pods, evidence=STILL_THERE)
    found = going("Delete", status("Complete"))
    return facts(found, evidence=NO_RUN | STILL_THERE, aftermath_job=former, aftermath_pods=pods)


@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize("what", ["backup", LIVE, DYING])
def test_a_formers_on_a_lost_node_does_not_hold_the_name(what: str, deleting: bool) -> None:
    found = beside(what, deleting=deleting)
    verb = "backup" if what == "backup" else "aftermath"
    decide = gc.decide if what == DYING else run_backup.decide
    early = decide(found, later(LOST - 1))
    assert (f"delete {verb}-demo {HELD}" in outline(early)) is not deleting
    if deleting:
        assert early.wake_at == later(LOST)

    (delete,) = (action for action in decide(found, later(LOST)).actions if isinstance(action, Delete))
    assert (delete.key.name, delete.uid, delete.abandon) == (f"{verb}-demo", HELD, True)


@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize("at", [LOST, 90_000])
def test_our_own_on_a_lost_node_is_abandoned(at: int, deleting: bool) -> None:
    """Made again within the day, and removed after it."""
    ours = held("aftermath", owner=backup().metadata.uid, deleting=deleting)
    held_still = at < 86400
    told = attrs.evolve(failed("NodeLost"), gcLifeTimeHeld=held_still)
    found = facts(backup(status=told), aftermath_job=ours, aftermath_pods=(on_lost_node(),))
    if held_still:
        assert run_backup.decide(found, later(LOST - 1)).wake_at == later(LOST)

    (delete,) = (
        action for action in run_backup.decide(found, later(at)).actions if isinstance(action, Delete)
    )
    assert (delete.key.name, delete.uid, delete.abandon) == ("aftermath-demo", HELD, True)


@pytest.mark.parametrize("verb", ["backup", "aftermath"])
@pytest.mark.parametrize("now_there", [(), (backup(uid="a-newer-one"),)])
def test_a_job_of_a_newer_backup_is_not_taken_for_a_former_ones(
    verb: str, now_there: tuple[Backup, ...]
) -> None:
    """Our cache of Backups lags: it still shows the one that was there before."""
    ours = backup() if verb == "backup" else going("Delete", status("Complete"))
    theirs = job(owner="a-newer-one", verb=verb)
    jobs = {"job": theirs} if verb == "backup" else {"aftermath_job": theirs}
    decide = run_backup.decide if verb == "backup" else gc.decide
    assert look_of(decide, facts(ours, evidence=NO_RUN, **jobs), NOW) in STILL_THERE

    seen = NO_RUN | dict.fromkeys(STILL_THERE, now_there)
    plan = decide(facts(ours, evidence=seen, **jobs), NOW)
    assert (outline(plan), plan.wake_at) == ([], later(10))
