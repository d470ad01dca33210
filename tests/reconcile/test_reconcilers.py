"""One round: observe, decide (looking where decide asks for it), act; decide again where refused."""

from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

import attrs
import pytest

from tests.decide.builders import IMAGE, NOW, UID, backup, facts, later, status
from tests.reconcile.recording import Recording, refusal, uncounted
from tests.reconcile.scene import caches, job_of
from tidbbackup.decide.facts import Facts, Unknown
from tidbbackup.decide.plan import Look, Plan
from tidbbackup.kube.errors import ApiError, ServerError
from tidbbackup.kube.writes import WriteGate
from tidbbackup.model.meta import Meta
from tidbbackup.model.names import API_VERSION
from tidbbackup.model.resource.backup import Backup, Condition
from tidbbackup.model.resource.kubernetes import Job, JobStatus, Pod
from tidbbackup.reconcile.kinds import Caches
from tidbbackup.reconcile.reconcilers import Reconcilers, look


def into(counted: list[tuple[str, str]]) -> Callable[[str, str, float], None]:
    """Writes down which reconciles ended how, see KubeMetrics.reconciled."""
    return lambda controller, result, _: counted.append((controller, result))


async def reconcile(
    double: Recording, held: Caches, now: datetime = NOW
) -> tuple[datetime | None, list[tuple[str, str]]]:
    """One round for the Backup ns/demo."""
    counted: list[tuple[str, str]] = []
    made = Reconcilers(double.client, WriteGate(), held, IMAGE, lambda: now, into(counted), uncounted)
    return await made.reconcile(backup().key), counted


def phases(double: Recording) -> list[str]:
    """The phases that were written."""
    return [body["status"]["phase"] for body in double.bodies if body and "phase" in body.get("status", {})]


async def test_a_new_backup_gets_its_job() -> None:
    double = Recording()
    wake, counted = await reconcile(double, caches((backup(),)))

    assert double.asked == ["create Job ns/backup-demo"]
    assert (wake, counted) == (later(10), [("backup", "requeue_after")])

    # Once the cache shows the Job.
    await reconcile(double, caches((backup(),), (job_of("demo"),)))
    assert phases(double) == ["Scheduled"]


async def test_nothing_to_do_asks_nothing() -> None:
    double = Recording()

    assert await reconcile(double, caches()) == (None, [("backup", "success")])
    assert await reconcile(double, caches((backup(status=status("Complete")),))) == (
        None,
        [("backup", "success")],
    )
    assert double.asked == []


RUNNING = backup(status=status("Scheduled", "Running"))


async def test_a_job_that_is_missing_is_looked_for_at_the_server() -> None:
    gone = Recording(get_Job=refusal(404))
    await reconcile(gone, caches((RUNNING,)))
    assert gone.asked[0] == "get Job ns/backup-demo"
    assert phases(gone) == ["Failed"]

    owners = [{"apiVersion": API_VERSION, "kind": "Backup", "name": "demo", "uid": UID, "controller": True}]
    found = {"metadata": {"name": "backup-demo", "ownerReferences": owners}}
    for answer in (found, found | {"status": {"startTime": "that cannot be read"}}):
        there = Recording(get_Job=answer)
        assert (await reconcile(there, caches((RUNNING,))))[0] is None
        assert there.asked == ["get Job ns/backup-demo"]


async def test_pods_are_looked_for_by_their_labels() -> None:
    over = attrs.evolve(job_of("demo"), status=JobStatus((Condition("Complete", "True"),)))
    double = Recording()
    await reconcile(double, caches((RUNNING,), (over,)))

    labels = "tidb.pingcap.com/backup=demo,app.kubernetes.io/component=backup"
    assert double.asked[:2] == [f"list Pod ns/{labels}", "patch Backup ns/demo/status"]


@pytest.mark.parametrize(
    ("answers", "phase", "result"),
    [
        ({"create_Job": refusal(422, "Invalid")}, ["Invalid"], "requeue_after"),
        ({"create_Job": refusal(403, "Forbidden", "exceeded quota")}, [], "requeue_after"),
        (
            {
                "create_Job": refusal(409, "AlreadyExists"),
                "get_Job": {"metadata": {"name": "backup-demo", "uid": "stranger", "resourceVersion": "1"}},
            },
            ["Failed"],
            "requeue_after",
        ),
    ],
)
async def test_refused_it_decides_again(answers: dict[str, Any], phase: list[str], result: str) -> None:
    double = Recording(**answers)
    wake, counted = await reconcile(double, caches((backup(),)))

    assert phases(double) == phase
    assert counted == [("backup", result)]
    assert (wake is None) == (result == "success")


async def test_an_error_is_counted_and_passed_on() -> None:
    counted: list[tuple[str, str]] = []
    double = Recording(create_Job=refusal(500))
    made = Reconcilers(
        double.client,
        WriteGate(),
        caches((backup(),)),
        IMAGE,
        lambda: NOW,
        into(counted),
        uncounted,
    )
    with pytest.raises(ServerError):
        await made.reconcile(backup().key)

    assert counted == [("backup", "error")]


@pytest.mark.parametrize(
    "found", [backup(deletionTimestamp=NOW), backup(status=status("Failed"), deletionTimestamp=NOW)]
)
async def test_one_that_is_being_deleted_is_gcs(found: Backup) -> None:
    double = Recording(get_Job=refusal(404))
    wake, counted = await reconcile(double, caches((found,)))

    assert counted == [("gc", "success")]
    assert wake is None
    assert double.asked[-1] == "patch Backup ns/demo"
    assert double.bodies[-1]["metadata"]["finalizers"] == []


@pytest.mark.parametrize("answer", [refusal(404), refusal(403)])
async def test_a_crd_that_cannot_be_looked_at_holds_up_no_cleaning(answer: ApiError) -> None:
    double = Recording(get_Job=refusal(404), get_CustomResourceDefinition=answer)
    await reconcile(
        double, caches((backup(status=status("Failed", reason="Killed"), deletionTimestamp=NOW),))
    )

    assert double.asked[-1] == "create Job ns/aftermath-demo"


async def test_where_the_crd_goes_the_backup_is_let_go_uncleaned() -> None:
    crd = {"metadata": {"name": "backups.pingcap.com", "deletionTimestamp": "2026-11-23T03:00:00Z"}}
    double = Recording(get_Job=refusal(404), get_CustomResourceDefinition=crd)
    await reconcile(
        double, caches((backup(status=status("Failed", reason="Killed"), deletionTimestamp=NOW),))
    )

    assert "get CustomResourceDefinition /backups.pingcap.com" in double.asked
    assert double.bodies[-1]["metadata"]["finalizers"] == []


ODD_JOB = {"metadata": {"name": "backup-demo", "uid": "u"}, "status": {"conditions": "many"}}
ODD_POD = {"metadata": {"name": "p", "uid": "u"}, "status": {"phase": 5}}


async def test_a_live_look_at_what_cannot_be_read_finds_it_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    double = Recording(get_Job=ODD_JOB, list_Pod=[ODD_POD])
    (job,) = await look(double.client, Look("Job", "ns", name="backup-demo"))
    (pod,) = await look(double.client, Look("Pod", "ns", labels="a=b"))

    assert job == Job(Meta(name="backup-demo", uid="u"))
    assert pod == Pod(Meta(name="p", uid="u"))
    assert [record.getMessage() for record in caplog.records] == [
        "Job /backup-demo: Expected `array`, got `str` - at `$.status.conditions`",
        "Pod /p: Expected `str`, got `int` - at `$.status.phase`",
    ]


async def test_a_decision_that_asks_for_ever_is_told_in_a_few_words() -> None:
    double, asked = Recording(), count()

    def decide(found: Facts, now: datetime) -> Plan:
        raise Unknown(Look("Job", "ns", name=f"job-{next(asked)}"))

    made = Reconcilers(double.client, WriteGate(), caches(), IMAGE, lambda: NOW, into([]), uncounted)
    with pytest.raises(AssertionError, match=r"more than 5 looks: .*job-4") as bug:
        await made._round("gc", backup().key, facts(backup({"mydumper": {"options": ["x" * 9999]}})), decide)

    assert len(str(bug.value)) < 1000


async def test_a_plan_of_a_process_that_stood_still_is_made_again_at_once() -> None:
    double = Recording()
    # Decided; then, before the first action, it was stopped for 20 seconds.
    times = iter([100.0, 120.0])
    made = Reconcilers(
        double.client,
        WriteGate(),
        caches((backup(),)),
        IMAGE,
        lambda: NOW,
        into([]),
        uncounted,
        times.__next__,
    )
    assert await made.reconcile(backup().key) == NOW
    assert double.asked == []
