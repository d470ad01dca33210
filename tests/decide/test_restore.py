"""The table of a Restore: (facts, now) -> Plan."""

from typing import Any

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.spec.test_restored import restore
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Create, Look, Plan
from tidbbackup.decide.restore import RestoreFacts, decide
from tidbbackup.decide.rows import Restoring
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import decode_task
from tidbbackup.model.meta import OwnerReference
from tidbbackup.model.names import API_VERSION, BEGUN_UID
from tidbbackup.model.resource.backup import Condition, Phase, RunEnd
from tidbbackup.model.resource.kubernetes import Job, Pod
from tidbbackup.model.resource.restore import Restore, RestoreStatus

ARCHIVE = "s3://bucket/some/backup-1.tgz"
BEGUN = RestoreStatus(backupPath=ARCHIVE, observedGeneration=1)
JOB = Look("Job", "ns", name="restore-demo")
PODS = Look("Pod", "ns", labels="tidb.pingcap.com/restore=demo,app.kubernetes.io/component=restore")
NO_JOB: dict[Look, tuple[object, ...]] = {JOB: ()}
NO_PODS: dict[Look, tuple[object, ...]] = {PODS: ()}
THERE: dict[Look, tuple[object, ...]] = {Look("Restore", "ns", names=("demo",)): (restore(),)}
LOADED = result(tables=3, rows=100)


def told(*phases: str, reason: str = "Because", **fields: Any) -> RestoreStatus:
    """A status that went through these phases, the last of which holds."""
    conditions = tuple(Condition(each, str(each == phases[-1]), reason, "said", NOW) for each in phases)
    return attrs.evolve(BEGUN, phase=phases[-1], conditions=conditions, **fields)


def one(found: RestoreStatus = BEGUN, *, begun: bool = True, **spec: Any) -> Restore:
    """A Restore with that status."""
    made = restore(**spec)
    annotations = {BEGUN_UID: UID} if begun else {}
    return attrs.evolve(made, metadata=attrs.evolve(made.metadata, annotations=annotations), status=found)


def its_job(*conditions: Condition, owner: str = UID, **meta: Any) -> Job:
    """Its Job."""
    references = (OwnerReference(API_VERSION, "Restore", "demo", owner, controller=True),) if owner else ()
    return job(*conditions, verb="restore", **({"ownerReferences": references} | meta))


def plan(found: Restore | None, seconds: float = 0, **parts: Any) -> Plan:
    """What is decided about it."""
    return decide(RestoreFacts(restore=found, image=IMAGE, **parts), later(seconds))


RUNNING_ONE, WAITS = one(told("Scheduled", "Running")), one(told("Scheduled"))
NO_IMAGE = pod(state=waiting("ErrImagePull", "no such image"))
STOPPED = told("Scheduled", runEnded=RunEnd(NOW, "ImageUnavailable", "no such image", stopped=True))
GONE = f"delete restore-demo {JOB_UID}"
FAILED_PLAN = ["Warning Failed", "status Failed"]
COPY = attrs.evolve(one(), metadata=attrs.evolve(one().metadata, annotations={BEGUN_UID: "another"}))
EXAMPLES: dict[Restoring, tuple[Plan, list[str]]] = {
    Restoring.GONE: (plan(None), []),
    Restoring.LEFT_ALONE: (plan(COPY), ["Warning ForeignRestore"]),
    Restoring.EXPIRED: (
        plan(one(told("Complete", timeCompleted=NOW), ttlSecondsAfterFinished=60), 60),
        ["Normal Expired", f"delete demo {UID}"],
    ),
    Restoring.FINISHED: (plan(one(told("Complete", timeCompleted=NOW)), job=its_job(COMPLETE)), []),
    Restoring.STOPPED: (plan(one(STOPPED), evidence=NO_JOB | NO_PODS), FAILED_PLAN),
    Restoring.NAME_FORMER: (plan(one(), job=its_job(owner="old"), evidence=THERE), [GONE]),
    Restoring.NAME_TAKEN: (plan(one(), job=its_job(owner="")), FAILED_PLAN),
    Restoring.REPORTED: (
        plan(RUNNING_ONE, job=its_job(), pods=(pod("Succeeded", said(LOADED)),)),
        ["Normal Complete", "status Complete"],
    ),
    Restoring.SILENT: (
        plan(RUNNING_ONE, job=its_job(), pods=(pod("Failed", terminated(exit_code=137)),)),
        FAILED_PLAN,
    ),
    Restoring.WORKING: (
        plan(WAITS, job=its_job(), pods=(pod("Running", running()),)),
        ["Normal Running", "status Running"],
    ),
    Restoring.WAITING: (plan(one(), job=its_job()), ["Normal Scheduled", "status Scheduled"]),
    Restoring.OVERDUE: (plan(WAITS, 1800, job=its_job(), pods=(NO_IMAGE,)), ["status -", GONE]),
    Restoring.CACHE_LAGS: (plan(RUNNING_ONE, job=its_job(), pods=(pod(),)), []),
    Restoring.JOB_MISSING: (plan(RUNNING_ONE, evidence=NO_JOB | NO_PODS), FAILED_PLAN),
    Restoring.INVALID: (plan(one(to=None)), ["Warning Invalid", "status Invalid"]),
    Restoring.REFUSED: (plan(one(), refusal=Refusal(403, "no")), ["Warning PodRefused", "status -"]),
    Restoring.NOT_REMEMBERED: (plan(one(RestoreStatus(), begun=False)), ["finalizers "]),
    Restoring.NOT_LOCKED: (plan(one(RestoreStatus())), ["status -"]),
    Restoring.POD_ENDS: (plan(one(), evidence={PODS: (pod("Running", running()),)}), []),
    Restoring.BEGIN: (
        plan(one(), evidence=NO_PODS),
        ["create restore-demo", "Normal Scheduled", "status Scheduled"],
    ),
}


@pytest.mark.parametrize("row", Restoring, ids=lambda row: row.id)
def test_row(row: Restoring) -> None:
    found, expected = EXAMPLES[row]
    assert found.row is row
    assert outline(found) == expected


def test_its_job_streams_needs_no_volume_and_is_owned_by_it() -> None:
    (create, *_) = plan(one(overwrite="Tables", serviceAccount="sa"), evidence=NO_PODS).actions
    assert isinstance(create, Create)
    meta, inside = create.manifest["metadata"], create.manifest["spec"]["template"]["spec"]
    assert meta["ownerReferences"][0]["kind"] == "Restore"
    assert meta["labels"]["tidb.pingcap.com/restore"] == "demo"
    assert meta["labels"]["app.kubernetes.io/component"] == "restore"
    (container,) = inside["containers"]
    assert container["command"] == ["tidbbackup", "worker", "restore"]
    assert [volume["name"] for volume in inside["volumes"]] == ["run"]
    assert inside["serviceAccountName"] == "sa"
    task = decode_task(next(each["value"] for each in container["env"] if each["name"] == "TIDBBACKUP_TASK"))
    assert task.restore.overwrite
    assert task.target.url == ARCHIVE


def test_what_was_loaded_is_in_the_status() -> None:
    over = plan(RUNNING_ONE, 60, job=its_job(), pods=(pod("Succeeded", said(LOADED)),))
    patch = patch_of(over)
    assert (patch["tables"], patch["rows"], patch["commitTs"]) == (3, 100, "5")
    assert cause_of(over) == ("Restored", "3 tables with 100 rows in 1m0s, as many as in the archive")
    kinds = {each["type"]: each["status"] for each in patch["conditions"]}
    assert (kinds["Finished"], kinds["Succeeded"]) == ("True", "True")


@pytest.mark.parametrize(
    ("end", "reason", "words"),
    [
        (gave_up("TargetNotEmpty", "shop.orders exists"), "TargetNotEmpty", "shop.orders exists"),
        (pod("Failed", terminated(exit_code=137)), "Killed", "restore again with overwrite: Tables"),
        (pod("Succeeded", said(result(Outcome.DONE))), "InternalError", "the worker gave no reason"),
    ],
)
def test_why_it_failed_and_how_to_go_on(end: Pod, reason: str, words: str) -> None:
    over = plan(RUNNING_ONE, job=its_job(), pods=(end,))
    assert cause_of(over)[0] == reason
    assert words in cause_of(over)[1]


def test_one_whose_pod_never_began_has_loaded_nothing() -> None:
    over = plan(WAITS, job=its_job(), pods=(pod("Failed", reason="Evicted"),))
    assert "overwrite" not in cause_of(over)[1]


def test_a_pod_that_does_not_start_is_gone_before_it_is_failed() -> None:
    """One that started after Failed would load into a server that somebody uses again."""
    assert outline(plan(one(STOPPED), job=its_job())) == [GONE]
    assert plan(one(STOPPED), job=its_job(deletionTimestamp=NOW)).actions == ()
    late = plan(one(STOPPED), evidence={JOB: (its_job(),)})
    assert (late.actions, late.wake_at) == ((), later(10))
    gone = plan(one(STOPPED), evidence=NO_JOB | NO_PODS)
    assert cause_of(gone) == ("ImageUnavailable", "no such image")


def test_a_backup_that_is_not_complete_makes_it_invalid_until_it_is() -> None:
    named = one(RestoreStatus(), s3=None, backup="demo")
    runs = backup(status=status("Running"))
    assert cause_of(plan(named, backup=runs))[0] == "InvalidSpec"
    whole = backup(status=status("Complete", backupPath="s3://bucket/a.tgz"))
    assert patch_of(plan(named, backup=whole))["backupPath"] == "s3://bucket/a.tgz"


def test_a_job_that_the_cache_does_not_show_is_looked_for() -> None:
    found = RestoreFacts(restore=RUNNING_ONE, image=IMAGE)
    assert look_of(decide, found, NOW) == JOB
    assert outline(plan(RUNNING_ONE, evidence={JOB: (its_job(),)})) == []
    refused = RestoreFacts(restore=one(), image=IMAGE, refusal=Refusal(409, "exists"))
    assert look_of(decide, refused, NOW) == JOB
    taken = plan(one(), refusal=Refusal(409, "exists"), evidence={JOB: (its_job(owner=""),)})
    assert cause_of(taken)[0] == "NameTaken"


@pytest.mark.parametrize(
    ("refusal", "seconds", "phase", "wake"),
    [
        (Refusal(422, "no"), 0, "Invalid", 600),
        (Refusal(403, "q", quota_exceeded=True), 0, None, 60),
        (Refusal(403, "q", quota_exceeded=True), 1800, "Failed", None),
    ],
)
def test_what_is_refused(refusal: Refusal, seconds: float, phase: str | None, wake: float | None) -> None:
    held = attrs.evolve(BEGUN, conditions=(Condition(Phase.SCHEDULED, "False", "Earlier", "said", NOW),))
    found = plan(one(held), seconds, refusal=refusal)
    assert patch_of(found).get("phase") == phase
    assert found.wake_at == (None if wake is None else later(wake))


@pytest.mark.parametrize("spec", [{}, {"ttlSecondsAfterFinished": 3600}])
def test_its_job_goes_a_day_later_and_itself_when_that_is_wanted(spec: dict[str, Any]) -> None:
    over = one(told("Failed", timeCompleted=NOW), **spec)
    assert plan(over, job=its_job(FAILED)).wake_at == later(3600 if spec else 86400)
    if not spec:
        assert outline(plan(over, 86400, job=its_job(FAILED))) == [GONE]


@pytest.mark.parametrize("found", [one(), RUNNING_ONE, one(STOPPED)])
def test_two_never_load_into_one_server(found: Restore) -> None:
    """Its Job was deleted, or it was replaced: the garbage collector leaves the pod its grace."""
    at_work = {JOB: (), PODS: (pod("Running", running()),)}
    waits = plan(found, evidence=at_work)
    assert (waits.actions, waits.wake_at) == ((), later(10))
    lost = {JOB: (), PODS: (pod("Running", running(), deletionTimestamp=later(-300)),)}
    assert plan(found, evidence=lost).actions


def test_its_annotation_is_added_again_where_its_job_tells_that_it_is_no_copy() -> None:
    no_mark = attrs.evolve(RUNNING_ONE, metadata=attrs.evolve(RUNNING_ONE.metadata, annotations={}))
    assert outline(plan(no_mark, job=its_job())) == ["finalizers "]
    assert outline(plan(no_mark, job=its_job(owner="old"))) == ["Warning ForeignRestore"]


def test_without_a_manifest_nothing_is_said_to_be_as_in_the_archive() -> None:
    told_so = attrs.evolve(LOADED, notices=(notice("ManifestMissing", "it has none"),))
    over = plan(RUNNING_ONE, job=its_job(), pods=(pod("Succeeded", said(told_so)),))
    assert cause_of(over)[1] == "3 tables with 100 rows in 1m0s"


def test_what_was_refused_before_it_was_invalid_does_not_count() -> None:
    held = attrs.evolve(BEGUN, conditions=(Condition(Phase.SCHEDULED, "False", "Earlier", "said", NOW),))
    patch = patch_of(plan(one(held, to=None), 60))
    assert "Scheduled" not in [each["type"] for each in patch["conditions"]]


def test_a_copy_does_not_load_again() -> None:
    """It was restored by Velero, or applied with its status under another name."""
    no_mark = attrs.evolve(one(), metadata=attrs.evolve(one().metadata, annotations={}))
    theirs = one(RestoreStatus(phase="Complete"))
    for found in (COPY, no_mark, theirs):
        assert outline(plan(found)) == ["Warning ForeignRestore"]


def test_a_backup_that_dumps_from_the_target_now_is_a_warning_and_no_obstacle() -> None:
    begins = plan(one(), evidence=NO_PODS, dumps=("nightly",))
    assert begins.row is Restoring.BEGIN
    (warned,) = patch_of(begins)["warnings"]
    assert warned["reason"] == "BackupRuns"
    assert "Backup nightly dumps from the server of spec.to now" in warned["message"]
    late = plan(RUNNING_ONE, job=its_job(), pods=(pod("Running", running()),), dumps=("nightly",))
    assert patch_of(late)["warnings"] == (warned,)
