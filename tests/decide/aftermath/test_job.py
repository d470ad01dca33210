"""The Job `aftermath-<bk>`, whoever asks for it: (life, what is wanted, since when) -> Step."""

from typing import Any

import attrs
import msgspec
import pytest

from tests.decide.builders import *
from tests.decide.moments import failed
from tidbbackup.decide.aftermath.job import Step, follow
from tidbbackup.decide.facts import BackupFacts, Refusal, Unknown
from tidbbackup.decide.plan import Ask, Create, Delete, Look, Plan
from tidbbackup.decide.pod import WorkerImage
from tidbbackup.decide.rows import AftermathJob
from tidbbackup.decide.run.life import life_of
from tidbbackup.model.contract.aftermath import Aftermath, Data, Part, PartResult
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.contract.task import decode_task
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.kubernetes import Job, Pod, decode_job
from tidbbackup.model.resource.storage_spec import S3Spec

ALL = Aftermath((Part.CLEAN, Part.RELEASE), Data.DELETE)
CLEAN = Aftermath((Part.CLEAN,), Data.DELETE)
GONE = "delete aftermath-demo aftermath-uid"
NO = PartResult(Part.CLEAN, done=False, reason="AccessDenied", message="you may not")
NOT_RELEASED = PartResult(Part.RELEASE, done=False, reason="DatabaseUnreachable", message="no route")
NO_NODE = aftermath_pod(conditions=(attrs.evolve(true("PodScheduled", "x", "no room"), status="False"),))
LOOK_AT_POD = Look("Event", "ns", fields="involvedObject.uid=pod-uid")
LOOK_AT_JOB = Look("Event", "ns", fields="involvedObject.uid=aftermath-uid")
PODS = Look("Pod", "ns", labels="tidb.pingcap.com/backup=demo,app.kubernetes.io/component=aftermath")


def step(
    found: Job | None = None,
    *pods: Pod,
    wanted: Aftermath = ALL,
    seconds: float = 0,
    of: Backup | None = None,
    **known: Any,
) -> Step:
    """What is done about that Job, wanted since NOW."""
    live = of or going("Delete", failed())
    parts: dict[str, Any] = {"image": IMAGE, "aftermath_job": found, "aftermath_pods": pods}
    return follow(life_of(BackupFacts(live, **(parts | known)), live, later(seconds)), wanted, NOW)


def words(found: Step) -> list[str]:
    """Its actions."""
    return outline(Plan(found.actions))


EVENT = happening("FailedCreate", 'serviceaccount "sa" not found')
WRONG = attrs.evolve(going("Delete", failed()), spec=backup(s3={"sse": "x"}).spec)
EXAMPLES: dict[AftermathJob, tuple[Step, list[str], float | None, str]] = {
    AftermathJob.NAME_TAKEN: (step(aftermath(owner="")), [], 30, "NameTaken"),
    AftermathJob.DONE: (
        step(aftermath(COMPLETE, told="clean release delete"), reported(CLEANED)),
        [],
        None,
        "",
    ),
    AftermathJob.LEAVES: (step(aftermath(owner="old"), evidence=STILL_THERE), [GONE], None, ""),
    AftermathJob.OUTDATED: (step(aftermath(told="inspect release")), [GONE], None, ""),
    AftermathJob.FAILED: (
        step(aftermath(FAILED, told=ALL), reported(NO, NOT_RELEASED), seconds=9),
        *([], 10, "AccessDenied"),
    ),
    AftermathJob.STARTS: (step(aftermath(told=ALL), NO_NODE, seconds=29), [], 30, ""),
    AftermathJob.STUCK: (step(aftermath(told=ALL), NO_NODE, seconds=30), [], 60, "Unschedulable"),
    AftermathJob.WORKS: (
        step(aftermath(told=ALL), aftermath_pod("Running", running()), seconds=999),
        *([], None, ""),
    ),
    AftermathJob.INVALID: (step(of=WRONG), ["ask aftermath-demo"], 30, "InvalidSpec"),
    AftermathJob.REFUSED: (step(refusal=Refusal(403, "no")), [], 30, "PodRefused"),
    AftermathJob.CREATE: (step(), ["create aftermath-demo"], None, ""),
}


@pytest.mark.parametrize("row", AftermathJob, ids=lambda row: row.id)
def test_row(row: AftermathJob) -> None:
    found, actions, wake, trouble = EXAMPLES[row]
    assert found.row is row
    assert words(found) == actions
    assert found.wake_at == (None if wake is None else later(wake))
    assert (found.trouble.reason if found.trouble else "") == trouble


def test_it_is_made_for_all_that_is_wanted_and_needs_no_secret() -> None:
    """A Secret that is missing keeps it from one part, not from the others."""
    (create,) = step().actions
    assert isinstance(create, Create)
    (container,) = create.manifest["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["tidbbackup", "worker", "aftermath"]
    secrets = [each["valueFrom"]["secretKeyRef"] for each in container["env"] if "secretKeyRef" in str(each)]
    assert len(secrets) == 4
    assert all(each["optional"] for each in secrets)
    task = decode_task(next(each["value"] for each in container["env"] if each["name"] == "TIDBBACKUP_TASK"))
    assert (task.aftermath, task.keysInSecret) == (ALL, True)


def test_each_part_that_is_done_counts_at_once() -> None:
    one = step(aftermath(FAILED, told=ALL), reported(CLEANED, NOT_RELEASED))
    assert one.report is not None
    assert one.trouble is not None
    assert one.trouble.message == "no route"
    # Once that is written, the rest is tried again by a Job of its own.
    rest = Aftermath((Part.RELEASE,))
    found = aftermath(true("Failed", at=later(5)), told=ALL)
    pods = reported(CLEANED, NOT_RELEASED)
    assert step(found, pods, wanted=rest, seconds=14).report is None
    assert words(step(found, pods, wanted=rest, seconds=14)) == []
    assert words(step(found, pods, wanted=rest, seconds=15)) == [GONE]


@pytest.mark.parametrize(
    ("told", "wanted", "counts"),
    [
        (Data.KEEP, Data.KEEP, True),
        (Data.DELETE, Data.KEEP, True),
        (Data.KEEP, Data.DELETE, False),
        (Data.KEEP, Data.DELETE_UNLESS_WHOLE, False),
        (Data.DELETE_UNLESS_WHOLE, Data.DELETE, False),
        (Data.DELETE, Data.DELETE, True),
    ],
)
def test_a_cleaning_counts_only_if_it_did_what_is_wanted_of_the_data(
    told: Data, wanted: Data, counts: bool
) -> None:
    """The policy may be edited while the Job works."""
    found = aftermath(COMPLETE, told=Aftermath((Part.CLEAN,), told))
    over = step(found, reported(CLEANED), wanted=Aftermath((Part.CLEAN,), wanted))
    assert (over.report is not None) == counts
    assert words(over) == ([] if counts else [GONE])
    at_work = aftermath(told=Aftermath((Part.CLEAN,), told))
    busy = step(at_work, aftermath_pod("Running", running()), wanted=Aftermath((Part.CLEAN,), wanted))
    assert words(busy) == ([] if told is wanted else [GONE]), "it must not delete what is to be kept"


@pytest.mark.parametrize(
    ("failed_after", "pause"), [(0, 10), (5, 10), (20, 20), (300, 300), (600, 600), (9999, 600)]
)
def test_each_pause_before_the_next_try_is_longer(failed_after: float, pause: float) -> None:
    found = aftermath(true("Failed", at=later(failed_after)), told=ALL)
    early = step(found, reported(NO, NOT_RELEASED), seconds=failed_after)
    assert early.wake_at == later(failed_after + min(pause, 30)), "the CRD may be deleted meanwhile"
    assert words(step(found, reported(NO, NOT_RELEASED), seconds=failed_after + pause - 1)) == []
    assert words(step(found, reported(NO, NOT_RELEASED), seconds=failed_after + pause)) == [GONE]


@pytest.mark.parametrize(
    ("pods", "reason"),
    [
        ([reported(NO)], "AccessDenied"),
        ([aftermath_pod("Failed", said(result(Outcome.FAILED, reason="InternalError")))], "InternalError"),
        ([aftermath_pod("Failed", said(result(Outcome.FAILED)))], "InternalError"),
        ([aftermath_pod("Failed", terminated(exit_code=137))], "Killed"),
        ([aftermath_pod("Failed", reason="Evicted")], "Evicted"),
    ],
)
def test_why_it_failed(pods: list[Pod], reason: str) -> None:
    found = step(aftermath(FAILED, told=CLEAN), *pods, wanted=CLEAN)
    assert found.trouble is not None
    assert found.trouble.reason == reason
    assert found.trouble.message


def test_a_job_that_has_ended_and_shows_no_pod_is_looked_at() -> None:
    """The cache of pods may lag behind that of Jobs; without its report all is done once more."""
    with pytest.raises(Unknown) as raised:
        step(aftermath(COMPLETE, told=CLEAN), wanted=CLEAN)
    assert raised.value.look == PODS
    there = step(aftermath(COMPLETE, told=CLEAN), wanted=CLEAN, evidence={PODS: (reported(CLEANED),)})
    assert there.row is AftermathJob.DONE
    # By its exit code all is done; only what an inspection has found is lost with its result.
    gone = step(aftermath(COMPLETE, told=CLEAN), wanted=CLEAN, evidence={PODS: ()})
    assert gone.report == WorkerResult(Outcome.DONE, parts=(CLEANED,))
    look = Aftermath((Part.INSPECT, Part.RELEASE))
    both = step(aftermath(COMPLETE, told=look), wanted=look, evidence={PODS: ()})
    assert both.report == WorkerResult(Outcome.DONE, parts=(RELEASED,))
    alone = Aftermath((Part.INSPECT,))
    again = step(aftermath(COMPLETE, told=look), wanted=alone, evidence={PODS: ()})
    assert (again.row, again.wake_at) == (AftermathJob.FAILED, later(10))


@pytest.mark.parametrize(("pods", "look"), [((), LOOK_AT_JOB), ((aftermath_pod(),), LOOK_AT_POD)])
def test_what_no_status_tells_is_asked_of_events(pods: tuple[Pod, ...], look: Look) -> None:
    """A service account or quota that is gone: without this the Backup would hang without a reason."""
    with pytest.raises(Unknown) as raised:
        step(aftermath(told=ALL), *pods, seconds=30)
    assert raised.value.look == look
    told = step(aftermath(told=ALL), *pods, seconds=30, evidence={look: (EVENT,)})
    assert told.trouble is not None
    assert told.trouble.reason == "ServiceAccountMissing"
    nothing = step(aftermath(told=ALL), *pods, seconds=30, evidence={look: ()})
    assert (nothing.row, nothing.wake_at) == (AftermathJob.STARTS, later(60))
    overdue = step(aftermath(told=ALL), *pods, seconds=1800, evidence={look: ()})
    assert overdue.trouble is not None
    assert overdue.trouble.reason == "PendingTooLong"


def test_one_that_a_webhook_has_stripped_of_its_annotations_goes_on() -> None:
    """What it was told stands in its pod template, which nobody can change: it was deleted and created again
    without a pause."""
    (create,) = step().actions
    assert isinstance(create, Create)
    meta = create.manifest["metadata"]
    meta |= {"annotations": {}, "uid": "aftermath-uid", "creationTimestamp": NOW.isoformat()}
    meta["ownerReferences"][0]["uid"] = UID
    found = decode_job(msgspec.json.encode(create.manifest))
    waits, works = aftermath_pod(), aftermath_pod("Running", running())
    assert [step(found, each).row for each in (waits, works)] == [AftermathJob.STARTS, AftermathJob.WORKS]
    assert step(found, reported(CLEANED, RELEASED)).row is AftermathJob.DONE
    assert words(step(found, works, wanted=CLEAN)) == [GONE]


def test_one_that_shows_no_task_is_awaited() -> None:
    found = attrs.evolve(aftermath(), aftermath=None)
    assert words(step(found, aftermath_pod("Running", running()))) == []
    assert words(step(found, reported(NO), seconds=9)) == []
    assert words(step(found, reported(NO), seconds=10)) == [GONE]


def test_one_that_hangs_is_ended_by_its_node_and_tried_again_after_a_pause() -> None:
    (create,) = step().actions
    assert isinstance(create, Create)
    assert create.manifest["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 3600
    late = aftermath_pod("Failed", reason="DeadlineExceeded", message="Pod was active too long")
    found = step(aftermath(true("Failed", at=later(3600)), told=ALL), late, seconds=3601)
    assert words(found) == []
    assert found.trouble is not None
    assert found.trouble.reason == "DeadlineExceeded"
    assert "worked for longer than 60 minutes" in found.trouble.message
    assert words(step(aftermath(true("Failed", at=later(3600)), told=ALL), late, seconds=4200)) == [GONE]


def test_one_that_does_not_start_is_made_anew_after_such_pauses() -> None:
    """What kept it may be corrected where no pod looks twice: a LimitRange, a webhook."""
    found = aftermath(told=ALL)
    assert words(step(found, NO_NODE, seconds=59)) == []
    assert words(step(found, NO_NODE, seconds=60)) == [GONE]
    late = aftermath(told=ALL, creationTimestamp=later(570))
    assert words(step(late, NO_NODE, seconds=1199)) == []
    assert words(step(late, NO_NODE, seconds=1200)) == [GONE]


def made_of(found: Backup, *conditions: Any) -> Job:
    """The Job as it is made of this Backup now."""
    annotations = aftermath_job(found, IMAGE, ALL)["metadata"]["annotations"]
    return aftermath(*conditions, told=ALL, annotations=annotations)


@pytest.mark.parametrize(
    ("conditions", "pods", "again"),
    [
        ((), (), True),
        ((), (NO_NODE,), True),
        ((FAILED,), (reported(NO, NOT_RELEASED),), True),
        ((), (aftermath_pod("Running", running()),), False),
        ((COMPLETE,), (reported(CLEANED, RELEASED),), False),
    ],
)
def test_one_that_waits_or_failed_is_made_anew_of_what_was_mended(
    conditions: Any, pods: tuple[Pod, ...], again: bool
) -> None:
    """Its pod would wait for the old Secret for ever, after the very cure that was told."""
    before = going("Delete", failed())
    assert GONE not in words(step(made_of(before, *conditions), *pods, of=before, seconds=1))
    s3 = attrs.evolve(before.spec.s3 or S3Spec(), secretName="another")
    after = attrs.evolve(before, spec=attrs.evolve(before.spec, s3=s3))
    spec = step(made_of(before, *conditions), *pods, of=after, seconds=1)
    image = step(made_of(before, *conditions), *pods, of=before, seconds=1, image=WorkerImage("newer:2"))
    assert (GONE in words(spec), GONE in words(image)) == (again, again)


def test_an_annotation_is_no_mending() -> None:
    """Some tools write the time there every few seconds: it would never be done."""
    before = going("Delete", failed())
    noted = attrs.evolve(before.metadata, annotations={"tool.example/seen": "3"})
    assert words(step(made_of(before), NO_NODE, of=attrs.evolve(before, metadata=noted), seconds=1)) == []


@pytest.mark.parametrize("wrong", ["spec", "address"])
def test_of_a_spec_that_is_wrong_none_is_made_but_one_that_is_there_goes_on(wrong: str) -> None:
    live = WRONG
    if wrong == "address":
        live = going("Delete", failed(backupPath="s3://other/key"))
    found = step(of=live)
    assert (found.row, isinstance(found.actions[0], Ask)) == (AftermathJob.INVALID, True)
    assert found.trouble is not None
    assert (
        "spec.s3.sse" if wrong == "spec" else "status.backupPath is s3://other/key"
    ) in found.trouble.message
    asked = step(of=live, refusal=Refusal(403, "a webhook says no"))
    assert (asked.row, words(asked)) == (AftermathJob.INVALID, [])
    over = step(aftermath(COMPLETE, told=ALL), reported(CLEANED), of=live)
    assert over.row is AftermathJob.DONE


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refusal(403, "exceeded quota: q", quota_exceeded=True), "QuotaExceeded"),
        (Refusal(403, "a webhook: being terminated"), "PodRefused"),
        (Refusal(422, "invalid"), "PodRefused"),
        (Refusal(409, "already exists"), "NameTaken"),
    ],
)
def test_why_it_is_refused(refusal: Refusal, reason: str) -> None:
    found = step(refusal=refusal)
    assert found.trouble is not None
    assert (found.trouble.reason, refusal.message in found.trouble.message) == (reason, True)


@pytest.mark.parametrize("owner", ["", "else"])
def test_one_of_somebody_else_is_left_alone(owner: str) -> None:
    found = aftermath(owner=owner, owner_name="other", deletionTimestamp=NOW)
    assert words(step(found, aftermath_pod("Running", running()))) == []


def test_one_on_a_lost_node_is_abandoned() -> None:
    """Deleted with its pods it would hold the name for as long as the node is away."""
    on_it = aftermath_pod("Running", running(), deletionTimestamp=NOW)
    for deleting in (None, NOW):
        found = aftermath(told=ALL, deletionTimestamp=deleting)
        assert step(found, on_it, seconds=299).wake_at == later(300)
        (delete,) = step(found, on_it, seconds=300).actions
        assert isinstance(delete, Delete)
        assert delete.abandon
