"""The table of a live Backup: (facts, now) -> Plan.

Here is also what decide/facts.py, decide/plan.py, decide/run/following.py and decide/run/ending.py promise.
"""

from datetime import datetime, timedelta

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import AFTERMATH_LOOK, KILLED, RUNNING, SCHEDULED, ended, settled
from tidbbackup.decide.backup import decide
from tidbbackup.decide.facts import BackupFacts, Caps, Refusal
from tidbbackup.decide.plan import NOTHING, Delete, Look, Plan
from tidbbackup.decide.rows import Living
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.names import FINALIZER
from tidbbackup.model.resource.backup import Backup, BackupStatus, RetryRecord
from tidbbackup.model.resource.kubernetes import Job, Pod

RECORD = RetryRecord(1, NOW, later(300), None, "Evicted", "low on memory")
BETWEEN = backup({"backoffRetryPolicy": {}}, status("Running", "Scheduled", backoffRetryStatus=(RECORD,)))
FORGOTTEN = facts(attrs.evolve(backup(), metadata=attrs.evolve(backup().metadata, annotations={})))
NO_LOOKS: dict[Look, tuple[object, ...]] = {JOB_LOOK: (), PODS_LOOK: ()}
EXAMPLES: dict[Living, tuple[BackupFacts, float, list[str]]] = {
    Living.GONE: (facts(backup(deletionTimestamp=NOW)), 0, []),
    Living.UNREADABLE: (facts(backup(), unreadable="Expected `int`"), 0, ["Warning InvalidSpec"]),
    Living.FOREIGN: (facts(backup(status=BackupStatus(phase="Complete"))), 0, ["Warning ForeignBackup"]),
    Living.NOT_REMEMBERED: (FORGOTTEN, 0, [f"finalizers {FINALIZER}"]),
    Living.STOPPED: (
        facts(backup(status=ended("PendingTooLong", "so", stopped=True)), evidence=NO_LOOKS),
        *(0, ["Warning Failed", "status Failed"]),
    ),
    Living.NAME_FORMER: (
        facts(backup(), job=job(owner="old"), evidence=STILL_THERE),
        *(0, [f"delete backup-demo {JOB_UID}"]),
    ),
    Living.NAME_TAKEN: (facts(backup(), job=job(owner="")), 0, ["Warning Failed", "status Failed"]),
    Living.REPORTED: (
        facts(backup(status=RUNNING), job=job(), pods=(done(),)),
        *(0, ["Normal Complete", "status Complete"]),
    ),
    Living.NEVER_BEGAN: (
        facts(backup(status=SCHEDULED), job=job(), pods=(pod("Failed", reason="Evicted"),)),
        *(0, ["Warning Failed", "status Failed"]),
    ),
    Living.SILENT: (facts(backup(status=RUNNING), job=job(), pods=(KILLED,)), 0, ["status -"]),
    Living.WORKING: (
        facts(backup(status=SCHEDULED), job=job(), pods=(pod("Running", running()),)),
        *(0, ["Normal Running", "status Running"]),
    ),
    Living.WAITING: (facts(backup(), job=job()), 0, ["Normal Scheduled", "status Scheduled"]),
    Living.OVERDUE: (
        facts(backup(status=SCHEDULED), job=job(), pods=(pod(state=waiting("ErrImagePull", "no")),)),
        *(1800, ["status -", f"delete backup-demo {JOB_UID}"]),
    ),
    Living.CACHE_LAGS: (facts(backup(status=RUNNING), job=job(), pods=(pod(),)), 0, []),
    Living.RETRY_GIVEN_UP: (
        facts(
            attrs.evolve(BETWEEN, spec=backup().spec),
            evidence={JOB_LOOK: (), AFTERMATH_LOOK: ()},
        ),
        *(0, ["Warning Failed", "status Failed"]),
    ),
    Living.RETRY_WAITS: (facts(BETWEEN), 0, []),
    Living.JOB_MISSING: (
        facts(backup(status=RUNNING), evidence={JOB_LOOK: ()}),
        *(0, ["Warning Failed", "status Failed"]),
    ),
    Living.INVALID: (facts(backup({"br": {}})), 0, ["Warning Invalid", "status Invalid"]),
    Living.REFUSED: (
        facts(backup(), refusal=Refusal(403, "no")),
        *(0, ["Warning PodRefused", "status -"]),
    ),
    Living.WAITS_ITS_TURN: (
        facts(backup(), caps=Caps(per_server=1), not_over=(backup(), backup(name="a", uid="0"))),
        *(0, ["Normal WaitsItsTurn", "status -"]),
    ),
    Living.NOT_PROTECTED: (facts(backup(finalizers=("other",))), 0, [f"finalizers other,{FINALIZER}"]),
    Living.NOT_LOCKED: (facts(backup(status=BackupStatus())), 0, ["status -"]),
    Living.BEGIN: (facts(backup()), 0, ["create backup-demo", "Normal Scheduled", "status Scheduled"]),
}


@pytest.mark.parametrize("row", Living, ids=lambda row: row.id)
def test_row(row: Living) -> None:
    found, seconds, expected = EXAMPLES[row]
    plan = decide(found, later(seconds))
    assert plan.row is row
    assert outline(plan) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (facts(None), []),
        (facts(backup(deletionTimestamp=NOW)), []),
        (facts(backup(status=BackupStatus(phase="Complete"))), ["Warning ForeignBackup"]),
        (facts(backup(), unreadable="Expected `int`"), ["Warning InvalidSpec"]),
        (facts(backup(status=BackupStatus(phase="Complete")), unreadable="x"), ["Warning InvalidSpec"]),
        (facts(backup(finalizers=())), [f"finalizers {FINALIZER}"]),
        (facts(backup(finalizers=("other",))), [f"finalizers other,{FINALIZER}"]),
        (facts(backup()), ["create backup-demo", "Normal Scheduled", "status Scheduled"]),
        (
            facts(backup(status=status("Invalid", backupPath=URL))),
            ["create backup-demo", "Normal Scheduled", "status Scheduled"],
        ),
        # Before the Job: whose it is, and where its archive will be.
        (facts(backup(status=BackupStatus())), ["status -"]),
        (facts(backup(status=status("Invalid"))), ["status -"]),
        (facts(backup({"br": {}})), ["Warning Invalid", "status Invalid"]),
        (facts(backup(status=status("Complete"))), []),
        (facts(backup(status=status("Complete")), job=job()), []),
        (facts(backup(status=status("Failed"))), []),
        (facts(backup(status=status("Failed")), job=job()), [f"delete backup-demo {JOB_UID}"]),
        (facts(backup(status=status("Failed")), job=job(deletionTimestamp=NOW)), []),
        (facts(backup(status=status("Failed")), job=job(FAILED)), []),
        (facts(backup(status=status("Failed")), job=job(true("FailureTarget"))), []),
        (facts(backup(status=status("Failed")), job=job(owner="else")), []),
        (facts(backup(), job=job(owner="old"), evidence=STILL_THERE), [f"delete backup-demo {JOB_UID}"]),
        (facts(backup(), job=job(owner="old", deletionTimestamp=NOW)), []),
        (facts(backup(), job=job(owner="x", owner_name="other")), ["Warning Failed", "status Failed"]),
        (facts(backup(), job=job(owner="")), ["Warning Failed", "status Failed"]),
        (facts(backup(), job=job(), pods=(done(),)), ["Normal Complete", "status Complete"]),
        (facts(backup(status=RUNNING), job=job(), pods=(done(),)), ["Normal Complete", "status Complete"]),
        (facts(backup(status=RUNNING), job=job(), pods=(gave_up(),)), ["Warning Failed", "status Failed"]),
        (
            facts(backup(status=RUNNING), job=job(), pods=(pod("Failed", terminated()),)),
            ["status -"],
        ),
        (
            facts(backup(status=SCHEDULED), job=job(), pods=(pod("Running", running()),)),
            ["Normal Running", "status Running"],
        ),
        (facts(backup(), job=job()), ["Normal Scheduled", "status Scheduled"]),
        (facts(backup(status=RUNNING), job=job(), pods=(pod(),)), []),
        (facts(backup(status=RUNNING), job=job()), []),
        (facts(backup(status=SCHEDULED), job=job(), pods=(pod(owner="former"),)), ["status -"]),
    ],
)
def test_what_is_done(found: BackupFacts, expected: list[str]) -> None:
    plan = decide(found, NOW)

    assert outline(plan) == expected
    assert plan.wake_at is None or plan.wake_at > NOW


def test_a_failed_worker_keeps_its_job_and_log_although_the_job_is_late() -> None:
    """Its pod has ended, the Job says so only a moment later: that is no run to be stopped."""
    found = facts(backup(status=status("Failed")), job=job(), pods=(gave_up(),))

    assert decide(found, NOW).actions == ()


@pytest.mark.parametrize(
    ("phase", "kept"), [("Complete", timedelta(minutes=5)), ("Failed", timedelta(days=1))]
)
def test_a_finished_job_goes_after_a_while_and_its_staging_volume_with_it(
    phase: str, kept: timedelta
) -> None:
    ended = NOW - timedelta(seconds=90)
    found = facts(backup(status=status(phase, timeCompleted=ended)), job=job(FAILED), pods=(gave_up(),))

    assert decide(found, NOW) == Plan(wake_at=ended + kept)
    assert outline(decide(found, ended + kept)) == [f"delete backup-demo {JOB_UID}"]


@pytest.mark.parametrize("phase", ["Complete", "Failed"])
def test_a_finished_backup_deletes_itself_when_its_time_is_over(phase: str) -> None:
    spec = {"ttlSecondsAfterFinished": 60}
    found = facts(backup(spec, status=status(phase, timeCompleted=NOW)))

    assert decide(found, NOW) == Plan(wake_at=NOW + timedelta(seconds=60))
    look = Look("Backup", "ns", names=("demo",))
    assert look_of(decide, found, NOW + timedelta(seconds=60)) == look
    done_for = decide(seen_at(found, NOW + timedelta(seconds=60)), NOW + timedelta(seconds=60))
    assert outline(done_for)[0] == "Normal Expired"
    assert isinstance(done_for.actions[1], Delete)
    assert (done_for.actions[1].key, done_for.actions[1].uid) == (backup().key, backup().metadata.uid)


def seen_at(found: BackupFacts, server_time: datetime | None) -> BackupFacts:
    """With what a live look finds, and what the clock of the API server says."""
    look = Look("Backup", "ns", names=("demo",))
    return attrs.evolve(found, evidence={look: (found.backup,)}, server_time=server_time)


@pytest.mark.parametrize("server_time", [None, NOW, NOW + timedelta(days=800)])
def test_none_deletes_itself_while_the_two_clocks_differ_but_its_job_goes(
    server_time: datetime | None,
) -> None:
    late = NOW + timedelta(days=400)
    spec, ended = {"ttlSecondsAfterFinished": 60}, status("Complete", timeCompleted=NOW)
    plan = decide(seen_at(facts(backup(spec, status=ended), job=job(FAILED)), server_time), late)

    assert outline(plan) == ["Warning ClocksDiffer", f"delete backup-demo {JOB_UID}"]
    assert plan.wake_at == late + timedelta(minutes=10)


@pytest.mark.parametrize("live", [None, backup(status=status("Running"))])
def test_none_deletes_itself_that_the_api_server_sees_otherwise(live: Backup | None) -> None:
    late, look = NOW + timedelta(hours=1), Look("Backup", "ns", names=("demo",))
    found = facts(backup({"ttlSecondsAfterFinished": 60}, status=status("Complete", timeCompleted=NOW)))
    found = attrs.evolve(found, evidence={look: (live,) if live else ()}, server_time=late)

    assert decide(found, late) == Plan(wake_at=late + timedelta(seconds=10))


def test_a_running_backup_never_expires() -> None:
    spec = {"ttlSecondsAfterFinished": 0}
    found = facts(backup(spec, status=RUNNING), job=job(), pods=(pod("Running", running()),))

    assert not any(isinstance(action, Delete) for action in decide(found, NOW + timedelta(days=9)).actions)


def test_a_finished_backup_leaves_jobs_of_others_alone() -> None:
    found = facts(backup(status=status("Complete", timeCompleted=NOW)), job=job(FAILED, owner="else"))

    assert decide(found, NOW + timedelta(days=9)) == NOTHING


def test_all_that_is_wrong_is_in_the_condition() -> None:
    reason, message = cause_of(decide(facts(backup({"br": {}}, from_={"port": 0})), NOW))

    assert reason == "InvalidSpec"
    assert "spec.from.port: 0: write a port" in message
    assert "spec.br: is not supported" in message


def test_what_has_no_effect_is_a_warning_beside_the_phase() -> None:
    patch = patch_of(decide(facts(backup({"toolImage": "x"})), NOW))

    assert {each["type"]: each["status"] for each in patch["conditions"]} == {
        "Warning": "True",
        "Scheduled": "True",
    }
    assert patch["phase"] == "Scheduled"


def test_whose_job_is_in_the_way_is_told() -> None:
    reason, message = cause_of(decide(facts(backup(), job=job(owner="x", owner_name="other")), NOW))

    assert reason == "NameTaken"
    assert "Backup other" in message


def test_everything_the_result_tells_is_in_the_status() -> None:
    told = pod("Succeeded", done(notices=(notice(message="a table has no rows"),)).state)
    patch = patch_of(decide(facts(backup(status=RUNNING), job=job(), pods=(told,)), later(99)))
    conditions = {each["type"]: each for each in patch.pop("conditions")}
    databases, warnings = patch.pop("databases"), patch.pop("warnings")

    assert [each["message"] for each in warnings] == ["a table has no rows"]
    assert list(databases) == ["a", "b"]
    assert patch == {
        "phase": "Complete",
        "backupPath": URL,
        "backupSize": 1234,
        "backupSizeReadable": "1.2 kB",
        "commitTs": "5",
        "checksum": "sha256:00",
        "databaseCount": 2,
        "timeCompleted": "2026-11-23T03:01:00Z",
        "timeTaken": "1m0s",
    }
    assert conditions["Warning"]["message"] == "a table has no rows"
    assert conditions["Complete"]["message"] == "1.2 kB from 2 databases in 1m0s"
    assert conditions["Running"]["status"] == "False"


def test_a_path_too_long_for_the_message_is_the_one_that_was_computed() -> None:
    told = attrs.evolve(RUNNING, backupPath=URL)
    plan = decide(facts(backup(status=told), job=job(), pods=(done(path=""),)), NOW)

    assert "backupPath" not in patch_of(plan)


@pytest.mark.parametrize(
    ("told", "reason", "message"),
    [
        (gave_up("BucketNotFound", "no bucket"), "BucketNotFound", "no bucket"),
        (gave_up("", ""), "InternalError", "the worker gave no reason"),
        (pod("Failed", done().state, reason="Evicted"), None, None),
    ],
)
def test_why_it_failed(told: Pod, reason: str | None, message: str | None) -> None:
    plan = decide(facts(backup(status=RUNNING), job=job(), pods=(told,)), later(60))

    if reason is None:
        assert patch_of(plan)["phase"] == "Complete"
        return
    assert cause_of(plan) == (reason, message)
    assert patch_of(plan)["timeTaken"] == "1m0s"


def test_a_worker_of_another_trade_has_not_made_a_backup() -> None:
    cleaned = pod("Succeeded", said(result(Outcome.DONE)))

    assert (
        patch_of(decide(facts(backup(status=RUNNING), job=job(), pods=(cleaned,)), NOW))["phase"] == "Failed"
    )


def test_an_upload_left_open_is_told_first() -> None:
    told = gave_up(uploadLeftOpen=True, notices=(notice(),))
    (warning,) = (
        each
        for each in patch_of(decide(facts(backup(status=RUNNING), job=job(), pods=(told,)), NOW))[
            "conditions"
        ]
        if each["type"] == "Warning"
    )

    assert warning["reason"] == "UploadLeftOpen"
    assert warning["message"].endswith("; so what")


@pytest.mark.parametrize("told", [done(logKept=True), gave_up(logKept=True)])
def test_a_log_that_was_kept_is_named_in_the_status(told: Pod) -> None:
    found = backup(status=attrs.evolve(RUNNING, backupPath=URL))
    assert patch_of(decide(facts(found, job=job(), pods=(told,)), NOW))["log"] == f"{URL}.log"


def test_where_no_log_was_kept_none_is_named() -> None:
    assert "log" not in patch_of(decide(facts(backup(status=RUNNING), job=job(), pods=(gave_up(),)), NOW))


def test_a_run_that_never_started_has_no_duration() -> None:
    told = decide(facts(backup(status=SCHEDULED), job=job(), pods=(pod("Failed", reason="Evicted"),)), NOW)

    assert {"timeStarted", "timeTaken"} & patch_of(told).keys() == set()


# Absence in a cache is never evidence by itself.


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ([], ["Warning Failed", "status Failed"]),
        ([job()], []),
        ([job(owner="x")], ["Warning Failed", "status Failed"]),
    ],
)
@pytest.mark.parametrize("told", [SCHEDULED, RUNNING])
def test_a_job_that_is_missing_is_looked_for(
    told: BackupStatus, jobs: list[Job], expected: list[str]
) -> None:
    found = facts(backup(status=told))

    assert look_of(decide, found, NOW) == JOB_LOOK
    plan = decide(settled(found, jobs=jobs), NOW)
    assert outline(plan) == expected
    assert not expected or cause_of(plan)[0] == "JobDeleted"


@pytest.mark.parametrize(
    ("ended", "pods", "reason"),
    [
        (job(COMPLETE), [], "Inspecting"),
        (job(FAILED), [], "Inspecting"),
        (job(COMPLETE), [done()], "ArchiveStored"),
        (job(FAILED), [gave_up()], "DumpFailed"),
        (job(FAILED), [done(), pod(owner="former")], "ArchiveStored"),
    ],
)
def test_a_pod_that_is_missing_is_looked_for(ended: Job, pods: list[Pod], reason: str) -> None:
    found = facts(backup(status=RUNNING), job=ended)

    assert look_of(decide, found, NOW) == PODS_LOOK
    assert cause_of(decide(settled(found, pods=pods), NOW))[0] == reason
