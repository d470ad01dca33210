"""Backups, Jobs and pods for the tests of decide, by what is special about them.

The tables of decide are written in these words and import all of them (`import *`): `__all__` is their list.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import attrs
import msgspec
import pytest

from tidbbackup.decide import render
from tidbbackup.decide.aftermath.finalizer import CRD_LOOK
from tidbbackup.decide.facts import BackupFacts, Facts, Unknown
from tidbbackup.decide.plan import (
    Action,
    Announce,
    Ask,
    Create,
    Delete,
    Look,
    PatchStatus,
    Plan,
    SetFinalizers,
    Tally,
)
from tidbbackup.decide.pod import WorkerImage
from tidbbackup.decide.spec.task import resolve_backup
from tidbbackup.decide.status import ends
from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Aftermath, Data, Part, PartResult
from tidbbackup.model.contract.result import Notice, Outcome, WorkerResult, encode_result
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.model.meta import Meta, OwnerReference
from tidbbackup.model.names import API_VERSION, BEGUN_UID, FINALIZER, job_name, labels
from tidbbackup.model.resource.backup import (
    KIND,
    Backup,
    BackupStatus,
    Condition,
    Phase,
    decode_backup,
)
from tidbbackup.model.resource.kubernetes import (
    ContainerState,
    ContainerStatus,
    Happening,
    Job,
    JobStatus,
    Pod,
    PodStatus,
    Running,
    Terminated,
    Waiting,
    decode_job,
)

__all__ = [
    "CLEANED",
    "COMPLETE",
    "FAILED",
    "FROM",
    "IMAGE",
    "JOB_LOOK",
    "JOB_UID",
    "KEY",
    "NOW",
    "NO_RUN",
    "PODS_LOOK",
    "RELEASED",
    "S3",
    "STILL_THERE",
    "UID",
    "URL",
    "aftermath",
    "aftermath_job",
    "aftermath_pod",
    "backup",
    "backup_job",
    "cause_of",
    "done",
    "facts",
    "gave_up",
    "going",
    "happening",
    "job",
    "later",
    "look_of",
    "notice",
    "outline",
    "parts",
    "patch_of",
    "plan_or_look",
    "pod",
    "report",
    "reported",
    "result",
    "running",
    "said",
    "status",
    "tallies",
    "task_of",
    "terminated",
    "told_by",
    "true",
    "waiting",
    "without_run",
    "written",
]

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
UID = "01234567-89ab-cdef-0123-456789abcdef"
JOB_UID = "job-uid"
IMAGE = WorkerImage("example.com/worker:1")
KEY = "backup-20261123T030000Z-01234567.tgz"
URL = f"s3://bucket/{KEY}"

JOB_LOOK = Look("Job", "ns", name="backup-demo")
PODS_LOOK = Look("Pod", "ns", labels="tidb.pingcap.com/backup=demo,app.kubernetes.io/component=backup")
NO_RUN: dict[Look, tuple[object, ...]] = {JOB_LOOK: (), PODS_LOOK: (), CRD_LOOK: ()}
"""What live looks find where there is no run, and where the CRD is not being deleted."""

DEATHS = {
    "Evicted",
    "OOMKilled",
    "Killed",
    "NodeLost",
    "DeadlineExceeded",
    "JobDeleted",
    "PodDeleted",
    "ResultLost",
}
"""Reasons of a failure whose worker left no result: an upload or an archive may exist."""

FROM: dict[str, Any] = {"host": "tidb", "secretName": "db"}
S3: dict[str, Any] = {"provider": "aws", "bucket": "bucket", "secretName": "s3"}


def later(seconds: float) -> datetime:
    """That many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def backup(
    spec: dict[str, Any] | None = None,
    status: BackupStatus | None = None,
    *,
    from_: dict[str, Any] | None = None,
    s3: dict[str, Any] | None = None,
    **meta: Any,
) -> Backup:
    """A Backup made at NOW, whose Job is next; `spec`, `from_` and `s3` are laid over a valid spec."""
    whole = {"from": FROM | (from_ or {}), "s3": S3 | (s3 or {})} | (spec or {})
    known: dict[str, Any] = {
        "name": "demo",
        "namespace": "ns",
        "uid": UID,
        "generation": 1,
        "resourceVersion": "7",
    }
    known |= {"finalizers": (FINALIZER,), "creationTimestamp": NOW} | meta
    begun = FINALIZER in known["finalizers"]
    known["annotations"] = ({BEGUN_UID: known["uid"]} if begun else {}) | known.get("annotations", {})
    read = decode_backup(msgspec.json.encode({"metadata": {}, "spec": whole}))
    read = attrs.evolve(read, metadata=Meta(**known))
    task = resolve_backup(read)
    if status is None and begun and isinstance(task, WorkerTask):
        status = BackupStatus(backupPath=task.target.url, observedGeneration=read.metadata.generation)
    return attrs.evolve(read, status=status or BackupStatus())


STILL_THERE: dict[Look, tuple[object, ...]] = {Look(KIND, "ns", names=("demo",)): (backup(),)}
"""A live look finds the very Backup that the cache has."""


def status(*phases: str, reason: str = "Because", **fields: Any) -> BackupStatus:
    """A status that went through these phases, the last of which holds.

    What its run may have left is remembered as that reason asks for.
    """
    died = "Failed" in phases and reason in DEATHS
    left = {"uploadLeftOpen": died, "gcLifeTimeHeld": died or reason == reasons.ARCHIVE_FOUND}
    conditions = tuple(
        Condition(phase, str(phase == phases[-1]), reason if phase == phases[-1] else "Earlier", "said", NOW)
        for phase in phases
    )
    over = next((each for each in conditions if each.type in (Phase.COMPLETE, Phase.FAILED)), None)
    conditions += tuple(ends(Phase(over.type), over)) if over else ()
    fields = {"observedGeneration": 1} | left | fields
    return BackupStatus(phase=phases[-1], conditions=conditions, **fields)


def job(
    *conditions: Condition, owner: str = UID, owner_name: str = "demo", verb: str = "backup", **meta: Any
) -> Job:
    """The Backup's Job of that verb, made at NOW."""
    references = (OwnerReference(API_VERSION, KIND, owner_name, owner, controller=True),) if owner else ()
    known: dict[str, Any] = {"name": job_name(verb, "demo"), "namespace": "ns", "uid": JOB_UID}
    known |= {"creationTimestamp": NOW, "ownerReferences": references, "labels": labels(verb, "demo")} | meta
    return Job(Meta(**known), JobStatus(conditions))


def true(kind: str, reason: str = "", message: str = "", at: datetime = NOW) -> Condition:
    """A condition that holds."""
    return Condition(kind, "True", reason, message, at)


COMPLETE = true("Complete")
FAILED = true("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")


def pod(
    phase: str = "Pending", state: ContainerState | None = None, *, owner: str = JOB_UID, **fields: Any
) -> Pod:
    """A pod of the Job; `fields` go into its status; name, uid and times into its metadata."""
    names = ("name", "uid", "creationTimestamp", "deletionTimestamp")
    meta = {name: fields.pop(name) for name in names if name in fields}
    known: dict[str, Any] = {
        "name": "p",
        "namespace": "ns",
        "uid": "pod-uid",
        "creationTimestamp": NOW,
    } | meta
    references = (OwnerReference("batch/v1", "Job", "backup-demo", owner, controller=True),)
    containers = () if state is None else (ContainerStatus("backup", state),)
    told = PodStatus(phase=phase, containerStatuses=containers, **fields)
    return Pod(Meta(ownerReferences=references, **known), status=told)


def waiting(reason: str = "", message: str = "") -> ContainerState:
    """A container that has not started."""
    return ContainerState(waiting=Waiting(reason, message))


def running(since: datetime | None = NOW) -> ContainerState:
    """A container that runs."""
    return ContainerState(running=Running(since))


def terminated(
    message: str = "", exit_code: int = 0, reason: str = "", signal: int = 0, *, began: bool = True
) -> ContainerState:
    """A container that has ended; one that never began tells no time of it."""
    return ContainerState(terminated=Terminated(exit_code, signal, reason, message, NOW if began else None))


def result(outcome: Outcome = Outcome.COMPLETE, **fields: Any) -> WorkerResult:
    """What a worker says of a run of a minute."""
    known: dict[str, Any] = {"outcome": outcome, "started": NOW, "finished": later(60)}
    if outcome is Outcome.COMPLETE:
        known |= {"path": URL, "size": 1234, "checksum": "sha256:00", "commitTs": "5"}
        known |= {"databases": ("a", "b"), "databaseCount": 2}
    return WorkerResult(**known | fields)


def said(found: WorkerResult) -> ContainerState:
    """A container whose last words these are."""
    return terminated(encode_result(found).decode(), 0 if found.outcome is not Outcome.FAILED else 1)


def done(**fields: Any) -> Pod:
    """A pod whose worker has completed."""
    return pod("Succeeded", said(result(**fields)))


def gave_up(reason: str = "DumpFailed", message: str = "it broke", **fields: Any) -> Pod:
    """A pod whose worker has failed and says why."""
    return pod("Failed", said(result(Outcome.FAILED, reason=reason, message=message, **fields)))


def happening(reason: str, message: str, at: float = 0.0) -> Happening:
    """An Event, `at` seconds after NOW."""
    return Happening(Meta(name="e"), "Warning", reason, message, later(at))


def notice(reason: str = "NoEffect", message: str = "so what") -> Notice:
    """Something that a worker noticed."""
    return Notice(reason, message)


def facts(found: Backup | None, **parts: Any) -> BackupFacts:
    """The facts about a Backup."""
    return BackupFacts(found, IMAGE, **parts)


F = TypeVar("F", bound=Facts)


def look_of(decide: Callable[[F, datetime], Plan], found: F, now: datetime) -> Look:
    """The look that has to come before the decision."""
    with pytest.raises(Unknown) as raised:
        decide(found, now)
    return raised.value.look


def plan_or_look(decide: Callable[[F, datetime], Plan], found: F, now: datetime) -> Plan | Look:
    """The decision, or the look that has to come before it."""
    try:
        return decide(found, now)
    except Unknown as unknown:
        return unknown.look


def outline(plan: Plan) -> list[str]:
    """A plan in one word per action, as a table shows it."""
    return [_word(action) for action in plan.actions]


def _word(action: object) -> str:
    match action:
        case Create(manifest=manifest):
            return f"create {manifest['metadata']['name']}"
        case Ask(manifest=manifest):
            return f"ask {manifest['metadata']['name']}"
        case Delete(key=key, uid=uid):
            return f"delete {key.name} {uid}"
        case PatchStatus(changes=changes):
            return f"status {changes.get('phase', '-')}"
        case SetFinalizers(finalizers=finalizers):
            return f"finalizers {','.join(finalizers)}"
        case Announce(type=type_, reason=reason):
            return f"{type_} {reason}"
        case _:
            raise AssertionError(f"no such action: {action}")


def tallies(plan: Plan) -> list[Tally]:
    """What the writes of a plan count for."""
    return [tally for action in plan.actions for tally in getattr(action, "tallies", ())]


def patch_of(plan: Plan) -> dict[str, Any]:
    """The one status patch of a plan."""
    (found,) = (action for action in plan.actions if isinstance(action, PatchStatus))
    return found.changes


def cause_of(plan: Plan) -> tuple[str, str]:
    """Reason and message of the condition that a plan makes True."""
    patch = patch_of(plan)
    (found,) = (
        condition
        for condition in patch["conditions"]
        if condition["status"] == "True" and condition["type"] in set(Phase)
    )
    assert patch.get("phase", found["type"]) == found["type"]
    return found["reason"], found["message"]


def written(found: Backup | None, plan: Plan) -> Backup:
    """The Backup once the status patch of that plan is written."""
    assert found is not None
    both = msgspec.to_builtins(found.status) | patch_of(plan)
    left = {name: value for name, value in both.items() if value is not None}
    return attrs.evolve(found, status=msgspec.convert(left, BackupStatus))


def going(policy: str | None = None, told: BackupStatus | None = None, **meta: Any) -> Backup:
    """A Backup that is being deleted."""
    spec = {} if policy is None else {"cleanPolicy": policy}
    return backup(spec, told, deletionTimestamp=NOW, **meta)


def task_of(found: Backup) -> WorkerTask:
    """What its spec comes to, in which nothing is wrong."""
    task = resolve_backup(found)
    assert isinstance(task, WorkerTask), task
    return task


def backup_job(found: Backup, image: WorkerImage) -> dict[str, Any]:
    """The Job that dumps it."""
    return render.backup_job(found, task_of(found), image)


def aftermath_job(found: Backup, image: WorkerImage, wanted: Aftermath) -> dict[str, Any]:
    """The Job that does that after its run."""
    return render.aftermath_job(found, task_of(found), image, wanted)


def parts(words: str) -> Aftermath:
    """What is left to do, as words: its parts, and what becomes of the data unless it is kept."""
    asked = words.split()
    data = next((Data(word) for word in asked if word in set(Data)), Data.KEEP)
    return Aftermath(tuple(Part(word) for word in asked if word in set(Part)), data)


def aftermath(*conditions: Condition, told: Aftermath | str = "clean delete", **meta: Any) -> Job:
    """The Job that does what is left to do after a run, and what it was told to do."""
    made = job(*conditions, verb="aftermath", **({"uid": "aftermath-uid"} | meta))
    return attrs.evolve(made, aftermath=parts(told) if isinstance(told, str) else told)


def told_by(action: Action) -> Aftermath | None:
    """What the worker is told to do by the Job that this creates."""
    assert isinstance(action, Create)
    return decode_job(msgspec.json.encode(action.manifest)).aftermath


def aftermath_pod(phase: str = "Pending", state: ContainerState | None = None, **fields: Any) -> Pod:
    """A pod of that Job."""
    return pod(phase, state, **({"owner": "aftermath-uid"} | fields))


def report(*parts: PartResult, **fields: Any) -> WorkerResult:
    """What its worker says."""
    failed = [part for part in parts if not part.done]
    why = {"reason": failed[0].reason, "message": failed[0].message} if failed else {}
    return result(Outcome.FAILED if failed else Outcome.DONE, parts=parts, **(why | fields))


def reported(*parts: PartResult, **fields: Any) -> Pod:
    """A pod whose worker says that."""
    told = report(*parts, **fields)
    return aftermath_pod("Failed" if told.outcome is Outcome.FAILED else "Succeeded", said(told))


CLEANED = PartResult(Part.CLEAN, reason="ArchiveDeleted")
RELEASED = PartResult(Part.RELEASE)


def without_run(found: Backup, **parts: Any) -> BackupFacts:
    """Facts where live looks have found no run."""
    return facts(found, evidence=NO_RUN, **parts)
