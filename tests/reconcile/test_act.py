"""Carrying a Plan out: in order, up to the first failure, and again without harm."""

import re
from contextlib import nullcontext

import attrs
import msgspec
import pytest

from tests.decide.builders import IMAGE, NOW, UID, backup, backup_job
from tests.decide.schedule_builders import DUE, NAME, schedule
from tests.reconcile.recording import Recording, refusal, uncounted
from tidbbackup.decide.plan import (
    Announce,
    Ask,
    Counted,
    Create,
    Delete,
    PatchStatus,
    Plan,
    SetFinalizers,
    Tally,
)
from tidbbackup.decide.schedule.scheduled import manifest
from tidbbackup.kube.errors import ApiError, Conflict, NotFound, ServerError, read_status, status_error
from tidbbackup.kube.fence import boot_seconds
from tidbbackup.kube.writes import WriteGate, Writer
from tidbbackup.model.meta import Meta, ObjectKey
from tidbbackup.model.names import API_VERSION, DUE_TIME, SCHEDULE_LABEL, SCHEDULE_UID
from tidbbackup.reconcile.act import Actor, Refused, TooOld, event

KEY = ObjectKey("Backup", "ns", "demo")
JOB = ObjectKey("Job", "ns", "backup-demo")
CREATE = Create(backup_job(backup(), IMAGE))
DELETE = Delete(JOB, "job-uid")
STATUS = PatchStatus(KEY, "7", {"phase": "Scheduled"})
FINALIZERS = SetFinalizers(KEY, "7", ("f",), annotations={"a": "b"})
SAY = Announce("Backup", backup().metadata, "Warning", "Failed", "it broke")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


async def carry_out(double: Recording, *actions: object) -> None:
    """Carry a Plan of these actions out."""
    await counted(double, *actions)


async def counted(double: Recording, *actions: object) -> list[Tally]:
    """Carry it out; what has happened by that."""
    found: list[Tally] = []
    actor = Actor(Writer(double.client, WriteGate(), KEY), found.append)
    try:
        await actor.carry_out(Plan(actions, made_at=boot_seconds()), NOW)  # type: ignore[arg-type]
    except Conflict:
        assert found == []
        raise
    return found


async def test_everything_in_order() -> None:
    double = Recording()
    await carry_out(double, SAY, STATUS, FINALIZERS, DELETE, CREATE)

    (said,) = [line for line in double.asked if "Event" in line]
    assert double.asked == [
        said,
        "patch Backup ns/demo/status",
        "patch Backup ns/demo",
        "delete Job ns/backup-demo",
        "create Job ns/backup-demo",
    ]
    assert double.bodies[1] == {"metadata": {"resourceVersion": "7"}, "status": {"phase": "Scheduled"}}
    assert double.bodies[2] == {
        "metadata": {"resourceVersion": "7", "finalizers": ["f"], "annotations": {"a": "b"}}
    }
    assert (double.bodies[3]["uid"], double.bodies[3]["propagation"]) == ("job-uid", "Foreground")


async def test_what_comes_after_a_create_waits_until_the_cache_shows_what_was_created() -> None:
    double = Recording()
    await carry_out(double, CREATE, SAY, STATUS)

    assert double.asked == ["create Job ns/backup-demo"]


async def test_a_job_whose_pod_is_out_of_reach_is_deleted_without_waiting_for_it() -> None:
    double = Recording()
    await carry_out(double, attrs.evolve(DELETE, abandon=True))

    assert (double.bodies[0]["uid"], double.bodies[0]["propagation"]) == ("job-uid", "Background")


HAPPENED = Tally(Counted.FINISHED, "ns", "", "Failed")


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (attrs.evolve(STATUS, tallies=(HAPPENED,)), "patch_Backup"),
        (attrs.evolve(FINALIZERS, tallies=(HAPPENED,)), "patch_Backup"),
        (attrs.evolve(DELETE, tallies=(HAPPENED,)), "delete_Job"),
    ],
)
async def test_only_what_was_done_is_counted(action: Delete | PatchStatus | SetFinalizers, name: str) -> None:
    assert await counted(Recording(), action, STATUS) == [HAPPENED]
    assert await counted(Recording(**{name: refusal(404)}), action) == []
    if isinstance(action, Delete):
        assert await counted(Recording(**{name: refusal(409)}), action) == []
    else:
        with pytest.raises(Conflict):
            await counted(Recording(**{name: refusal(409)}), action)


async def test_it_stops_at_the_first_failure() -> None:
    double = Recording(patch_Backup=refusal(409))
    with pytest.raises(Conflict):
        await carry_out(double, STATUS, DELETE)

    assert double.asked == ["patch Backup ns/demo/status"]


def existing(uid: str, *more: str) -> dict[str, object]:
    """A Job that is there already, with these owners."""
    owners = [
        {"apiVersion": API_VERSION, "kind": "Backup", "name": "demo", "uid": each, "controller": each == uid}
        for each in (uid, *more)
    ]
    return {
        "metadata": {"name": "backup-demo", "uid": "j", "resourceVersion": "8", "ownerReferences": owners}
    }


@pytest.mark.parametrize("found", [existing(UID), existing(UID, "another")])
async def test_what_exists_and_is_ours_is_done(found: dict[str, object]) -> None:
    double = Recording(create_Job=refusal(409, "AlreadyExists"), get_Job=found)
    await carry_out(double, CREATE, STATUS)

    assert double.asked[1:] == ["get Job ns/backup-demo", "patch Backup ns/demo/status"]


async def test_what_exists_and_is_not_ours_is_for_deciding_again() -> None:
    double = Recording(create_Job=refusal(409, "AlreadyExists"), get_Job=existing("x"))
    with pytest.raises(Refused) as refused:
        await carry_out(double, CREATE, STATUS)

    assert refused.value.refusal.status == 409
    assert len(double.asked) == 2


RUN = manifest(schedule(), DUE)


def holder(**changes: dict[str, str]) -> dict[str, object]:
    """What holds the name of a schedule's Backup: that very Backup, but for these labels or annotations."""
    meta = {
        field: {**RUN["metadata"][field], **changes.get(field, {})} for field in ("labels", "annotations")
    }
    return {"metadata": {"name": NAME, "uid": "b", "resourceVersion": "8", **meta}}


@pytest.mark.parametrize("found", [holder(), holder(labels={"added": "later"}, annotations={"a": "b"})])
async def test_a_schedules_backup_that_was_made_for_the_same_due_time_is_done(
    found: dict[str, object],
) -> None:
    double = Recording(create_Backup=refusal(409, "AlreadyExists"), get_Backup=found)
    await carry_out(double, Create(RUN), STATUS)

    assert double.asked[1:] == [f"get Backup ns/{NAME}", "patch Backup ns/demo/status"]


@pytest.mark.parametrize(
    "found",
    [
        holder(annotations={SCHEDULE_UID: "of a former schedule"}),
        holder(annotations={DUE_TIME: "2026-10-24T14:00:00Z"}),
        holder(labels={SCHEDULE_LABEL: "another"}),
        {"metadata": {"name": NAME, "uid": "b", "resourceVersion": "8"}},
    ],
)
async def test_a_backup_that_was_made_for_anything_else_is_not_ours(found: dict[str, object]) -> None:
    double = Recording(create_Backup=refusal(409, "AlreadyExists"), get_Backup=found)
    with pytest.raises(Refused) as refused:
        await carry_out(double, Create(RUN), STATUS)

    assert refused.value.refusal.status == 409


async def test_a_backup_is_deleted_by_its_uid_and_sees_to_its_job_itself() -> None:
    double = Recording()
    await carry_out(double, Delete(ObjectKey("Backup", "ns", NAME), "b"))

    assert double.asked == [f"delete Backup ns/{NAME}"]
    assert (double.bodies[0]["uid"], double.bodies[0]["propagation"]) == ("b", "Background")


async def test_what_existed_and_is_gone_is_tried_again() -> None:
    double = Recording(create_Job=refusal(409, "AlreadyExists"), get_Job=refusal(404))
    with pytest.raises(NotFound):
        await carry_out(double, CREATE)


@pytest.mark.parametrize("code", [400, 403, 422])
async def test_what_the_server_will_not_take_is_for_deciding_again(code: int) -> None:
    with pytest.raises(Refused) as refused:
        await carry_out(Recording(create_Job=refusal(code, message="spec is bad")), CREATE)

    assert (refused.value.refusal.status, refused.value.refusal.message) == (code, "spec is bad")


@pytest.mark.parametrize(
    ("answer", "terminating", "quota"),
    [
        ({"details": {"causes": [{"reason": "NamespaceTerminating"}]}}, True, False),
        ({"message": "jobs is forbidden: exceeded quota: q"}, False, True),
        ({"message": "a webhook says: namespace being terminated"}, False, False),
    ],
)
async def test_a_refusal_tells_what_kind_it_is_by_its_structure(
    answer: dict[str, object], terminating: bool, quota: bool
) -> None:
    error = status_error("POST /x", 403, read_status(msgspec.json.encode(answer)))
    with pytest.raises(Refused) as refused:
        await carry_out(Recording(create_Job=error), CREATE)

    found = refused.value.refusal
    assert (found.namespace_terminating, found.quota_exceeded) == (terminating, quota)


@pytest.mark.parametrize(("age", "sent"), [(5.0, 2), (5.1, 0)])
async def test_a_plan_that_was_made_too_long_ago_is_dropped(age: float, sent: int) -> None:
    double = Recording()
    actor = Actor(Writer(double.client, WriteGate(), KEY), uncounted, clock=lambda: 100.0 + age)
    with pytest.raises(TooOld) if not sent else nullcontext():
        await actor.carry_out(Plan((STATUS, FINALIZERS), made_at=100.0), NOW)

    assert len(double.asked) == sent


async def test_the_rest_of_a_plan_is_dropped_where_the_process_stood_still() -> None:
    double = Recording()
    # Before and after the first action, and before the second one: stopped in between.
    times = iter([100.0, 100.1, 120.0])
    actor = Actor(Writer(double.client, WriteGate(), KEY), uncounted, clock=lambda: next(times))
    with pytest.raises(TooOld):
        await actor.carry_out(Plan((STATUS, FINALIZERS), made_at=100.0), NOW)

    assert double.asked == ["patch Backup ns/demo/status"]


async def test_a_slow_api_server_makes_no_plan_old() -> None:
    double = Recording()
    # Each action takes 30 s.
    times = iter([100.0, 130.0, 130.0, 160.0])
    actor = Actor(Writer(double.client, WriteGate(), KEY), uncounted, clock=lambda: next(times))
    await actor.carry_out(Plan((STATUS, FINALIZERS), made_at=100.0), NOW)

    assert len(double.asked) == 2


async def test_a_plan_without_a_time_is_never_carried_out() -> None:
    double = Recording()
    actor = Actor(Writer(double.client, WriteGate(), KEY), uncounted, clock=lambda: 100.0)
    with pytest.raises(TooOld):
        await actor.carry_out(Plan((CREATE,)), NOW)
    assert double.asked == []


async def test_to_ask_creates_nothing_and_is_not_waited_for() -> None:
    double = Recording()
    gate = WriteGate()
    plan = Plan((Ask(CREATE.manifest),), made_at=boot_seconds())
    await Actor(Writer(double.client, gate, KEY), uncounted).carry_out(plan, NOW)

    assert double.asked == ["dry run of create Job ns/backup-demo"]
    assert gate.settled(KEY)


async def test_a_name_that_is_taken_is_no_answer_to_it() -> None:
    double = Recording(dry_run_of_create_Job=refusal(409, "AlreadyExists"))
    await carry_out(double, Ask(CREATE.manifest), STATUS)

    assert double.asked[1:] == ["patch Backup ns/demo/status"]


@pytest.mark.parametrize("code", [400, 403, 422])
async def test_what_the_server_would_not_take_is_for_deciding_again_too(code: int) -> None:
    with pytest.raises(Refused) as refused:
        await carry_out(Recording(dry_run_of_create_Job=refusal(code)), Ask(CREATE.manifest), STATUS)

    assert refused.value.refusal.status == code


async def test_a_server_that_stumbles_is_tried_again() -> None:
    with pytest.raises(ServerError):
        await carry_out(Recording(create_Job=refusal(500)), CREATE)


@pytest.mark.parametrize(("answers", "action"), [("delete_Job", DELETE), ("patch_Backup", STATUS)])
async def test_what_is_gone_needs_nothing(answers: str, action: object) -> None:
    double = Recording(**{answers: refusal(404)})
    await carry_out(double, action, FINALIZERS if action is DELETE else DELETE)

    assert len(double.asked) == 2


async def test_another_object_of_that_name_is_not_deleted() -> None:
    await carry_out(Recording(delete_Job=refusal(409)), DELETE)


async def test_a_deletion_that_fails_is_tried_again() -> None:
    with pytest.raises(ServerError):
        await carry_out(Recording(delete_Job=refusal(503)), DELETE)


@pytest.mark.parametrize("error", [refusal(409, "AlreadyExists"), refusal(403), refusal(500)])
async def test_words_never_hold_up_deeds(error: ApiError) -> None:
    double = Recording(create_Event=error)
    await carry_out(double, SAY, DELETE)

    assert double.asked[-1] == "delete Job ns/backup-demo"


def test_the_same_said_twice_is_one_event_and_another_word_is_another() -> None:
    def name(uid: str, message: str) -> object:
        return event(
            Announce("Backup", Meta(name="demo", namespace="ns", uid=uid), "Normal", "R", message), NOW
        )["metadata"]["name"]

    assert name("1", "a") == name("1", "a")
    assert len({name("1", "a"), name("1", "b"), name("2", "a")}) == 3


@pytest.mark.parametrize("name", ["demo", "a" * 253, "a" * 199 + "." + "b" * 50, "a" * 198 + "--" + "b" * 50])
def test_an_events_name_and_message_are_bounded(name: str) -> None:
    made = event(Announce("Backup", Meta(name=name, namespace="ns"), "Normal", "R", "ü" * 5000), NOW)

    assert len(made["metadata"]["name"]) <= 253
    assert SUBDOMAIN.fullmatch(made["metadata"]["name"])
    assert len(made["message"]) == 1024
    assert (made["type"], made["count"], made["firstTimestamp"]) == ("Normal", 1, "2026-11-23T03:00:00Z")


def test_what_is_said_of_a_namespace_stands_in_default() -> None:
    about = Meta(name="shop", namespace="default")
    made = event(Announce("Namespace", about, "Warning", "NamespaceTerminating", "it goes"), NOW)

    assert made["metadata"]["namespace"] == "default"
    of = made["involvedObject"]
    assert (of["apiVersion"], of["kind"], of["name"], of["namespace"]) == ("v1", "Namespace", "shop", "")
