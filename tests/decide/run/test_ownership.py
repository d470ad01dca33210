"""Whose a Job is: API group, kind, name and uid of its controlling owner, for every Job that we make."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import ended, failed
from tests.decide.run.test_name_lock import HELD
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Create, Delete, Look, Plan
from tidbbackup.decide.run.job_state import Foreign, Former, Ours, job_state
from tidbbackup.decide.run.ownership import events_of_start, job_key, pods_made_by
from tidbbackup.model.meta import ObjectKey, OwnerReference
from tidbbackup.model.names import job_name
from tidbbackup.model.resource.backup import RetryRecord
from tidbbackup.model.resource.kubernetes import Job, Pod
from tidbbackup.reconcile.act import is_ours

OURS = OwnerReference("pingcap.com/v1alpha1", "Backup", "demo", UID, controller=True)
OWNERS = {
    "this Backup": (OURS, Ours),
    "another version of our group": (attrs.evolve(OURS, apiVersion="pingcap.com/v1beta1"), Ours),
    "a former one": (attrs.evolve(OURS, uid="old"), Former),
    "a former one, by another version": (
        attrs.evolve(OURS, uid="old", apiVersion="pingcap.com/v1beta1"),
        Former,
    ),
    "CloudNativePG's Backup of the same name": (
        OwnerReference("postgresql.cnpg.io/v1", "Backup", "demo", "old", controller=True),
        Foreign,
    ),
    "another group, our uid": (attrs.evolve(OURS, apiVersion="k8up.io/v1"), Foreign),
    "a group that ends like ours": (attrs.evolve(OURS, apiVersion="x.pingcap.com/v1alpha1"), Foreign),
    "no group": (attrs.evolve(OURS, apiVersion="v1", uid="old"), Foreign),
    "nothing said of the group": (attrs.evolve(OURS, apiVersion="", uid="old"), Foreign),
    "another kind": (attrs.evolve(OURS, kind="BackupSchedule", uid="old"), Foreign),
    "another kind, our uid": (attrs.evolve(OURS, kind="CronJob"), Foreign),
    "another name": (attrs.evolve(OURS, name="other", uid="old"), Foreign),
    "another name, our uid": (attrs.evolve(OURS, name="other"), Foreign),
    "one that does not control it": (attrs.evolve(OURS, controller=None), Foreign),
    "a former one that does not control it": (
        attrs.evolve(OURS, uid="old", controller=False),
        Foreign,
    ),
    "nobody": (None, Foreign),
}
RECORD = RetryRecord(1, NOW, NOW, None, "Evicted", "evicted")
VERBS = ("backup", "retry", "inspect", "release", "clean")
TOLD = {"inspect": "inspect release", "release": "release", "clean": "clean delete"}
MADE_BY = {"backup": "backup", "retry": "backup"}


def held(verb: str, owner: OwnerReference | None) -> Job:
    """What has the name of our Job of that verb."""
    made_by = MADE_BY.get(verb, "aftermath")
    name = job_name(made_by, "demo", 2 if verb == "retry" else 1)
    owners = (owner,) if owner else ()
    if verb in TOLD:
        return aftermath(told=TOLD[verb], uid=HELD, ownerReferences=owners)
    return job(verb=made_by, name=name, uid=HELD, ownerReferences=owners)


def beside(verb: str, found: Job) -> tuple[Any, BackupFacts]:
    """A Backup whose Job of that verb is to be made, and who decides about it."""
    live = run_backup.decide
    if verb == "backup":
        return live, facts(backup(), job=found, evidence=STILL_THERE)
    if verb == "retry":
        policy: dict[str, Any] = {"backoffRetryPolicy": {}}
        again = backup(policy, status("Scheduled", backoffRetryStatus=(RECORD,), backupPath=URL))
        return live, facts(again, job=found, evidence=STILL_THERE)
    if verb == "inspect":
        return live, facts(backup(status=ended()), aftermath_job=found, evidence=STILL_THERE)
    if verb == "release":
        died = backup(status=failed("OOMKilled"))
        return live, facts(died, aftermath_job=found, evidence=STILL_THERE)
    seen, left = NO_RUN | STILL_THERE, going("Delete", status("Complete"))
    return gc.decide, facts(left, evidence=seen, aftermath_job=found)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", OWNERS)
def test_only_a_former_backups_job_is_deleted(kind: str, verb: str) -> None:
    owner, whose = OWNERS[kind]
    found = held(verb, owner)
    decide, known = beside(verb, found)
    assert known.backup is not None
    assert isinstance(job_state(found, (), known.backup, NOW), whose)

    plan = plan_or_look(decide, known, later(10))
    actions = plan.actions if isinstance(plan, Plan) else ()

    gone = [action.uid for action in actions if isinstance(action, Delete)]
    assert gone == ([HELD] if whose is Former else [])
    said = [action for action in actions if "not ours" in str(action)]
    assert bool(said) == (whose is Foreign), "what is in the way is told"
    assert not [action for action in actions if isinstance(action, Create)]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", OWNERS)
def test_a_create_is_done_by_our_own_job_alone(kind: str, verb: str) -> None:
    """What the API server shows under the name that it says is taken."""
    owner, whose = OWNERS[kind]
    found = held(verb, owner)

    assert is_ours(found.metadata, wanted(verb)) == (whose is Ours)


def wanted(verb: str) -> dict[str, Any]:
    """The manifest that is to be created."""
    evicted = backup(
        {"backoffRetryPolicy": {}}, status("Scheduled", backoffRetryStatus=(RECORD,), backupPath=URL)
    )
    empty = {
        "backup": facts(backup(), evidence=NO_RUN),
        "retry": facts(evicted),
        "inspect": facts(backup(status=ended())),
        "release": facts(backup(status=failed("OOMKilled"))),
        "clean": facts(going("Delete", status("Complete")), evidence=NO_RUN),
    }[verb]
    decide = gc.decide if verb == "clean" else run_backup.decide
    while isinstance(plan := plan_or_look(decide, empty, NOW + timedelta(seconds=1)), Look):
        empty = attrs.evolve(empty, evidence={**empty.evidence, plan: ()})
    assert IMAGE.name in str(plan.actions)
    (create,) = (action for action in plan.actions if isinstance(action, Create))
    return create.manifest


# What a Job has made, and where its trouble is told.


def test_only_the_pods_that_this_job_made_are_its_own() -> None:
    """A former Job of the same name has left one with the same labels."""
    own, former = pod(), pod(owner="former-uid", name="q", uid="q-uid")
    assert pods_made_by(job(), [former, own]) == [own]


@pytest.mark.parametrize(
    ("verb", "attempts", "name"),
    [
        ("backup", 0, "backup-demo"),
        ("backup", 1, "backup-demo-r2"),
        ("aftermath", 1, "aftermath-demo"),
    ],
)
def test_attempts_have_jobs_of_their_own_and_what_comes_after_them_has_one(
    verb: str, attempts: int, name: str
) -> None:
    found = backup(status=status("Scheduled", backoffRetryStatus=(RECORD,) * attempts))
    assert job_key(verb, found) == ObjectKey("Job", "ns", name)


def test_why_nothing_starts_is_said_of_the_newest_pod_or_of_the_job() -> None:
    older = pod(name="older", uid="1", creationTimestamp=NOW)
    newer = pod(name="newer", uid="2", creationTimestamp=later(5))
    former = pod(name="former", uid="3", owner="former-uid", creationTimestamp=later(9))

    def asked(*pods: Pod, of_claim: bool = False) -> str:
        return events_of_start(job(), pods, of_claim=of_claim).fields

    assert asked(former) == f"involvedObject.uid={JOB_UID}"
    assert asked(newer, former, older) == "involvedObject.uid=2"
    claim = asked(older, newer, of_claim=True)
    assert claim == "involvedObject.kind=PersistentVolumeClaim,involvedObject.name=newer-staging"
    assert asked(of_claim=True) == f"involvedObject.uid={JOB_UID}", "no pod has no claim"
