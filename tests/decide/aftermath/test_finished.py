"""A Backup that is Complete or Failed: its release, its Jobs, and when it deletes itself."""

from typing import Any

import attrs
import pytest

from tests.decide.aftermath.test_drilled import drill
from tests.decide.builders import *
from tests.decide.moments import failed
from tidbbackup.decide.backup import decide
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Announce, Look, Plan
from tidbbackup.decide.rows import Finished
from tidbbackup.model.contract.aftermath import Part, PartResult
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.resource.backup import BackupStatus
from tidbbackup.model.resource.kubernetes import Job, Pod

DAY = 86400
SELF = Look("Backup", "ns", names=("demo",))
NOT_RELEASED = PartResult(Part.RELEASE, done=False, reason="DatabaseUnreachable", message="no route")


def live(told: BackupStatus, seconds: float = 0, spec: dict[str, Any] | None = None, **parts: Any) -> Plan:
    """What is decided about a Backup that ended at NOW."""
    return decide(facts(backup(spec, told), **parts), later(seconds))


def expiring(**parts: Any) -> Plan:
    """Its time is over."""
    found = backup({"ttlSecondsAfterFinished": 60}, status("Complete", timeCompleted=NOW))
    known: dict[str, Any] = {"evidence": {SELF: (found,)}, "server_time": later(60)} | parts
    return decide(facts(found, **known), later(60))


def words(plan: Plan) -> str:
    """What is said."""
    return "; ".join(action.message for action in plan.actions if isinstance(action, Announce))


AT_WORK: dict[str, Any] = {
    "aftermath_job": aftermath(told="release"),
    "aftermath_pods": (aftermath_pod("Running", running()),),
}
RELEASES = aftermath(COMPLETE, told="release")
EXAMPLES = {
    Finished.DRILLED: (
        live(status("Complete"), drills=(drill(),)),
        ["Normal Proven", "status -"],
    ),
    Finished.EXPIRED: (expiring(), ["Normal Expired", "delete demo"]),
    Finished.DOUBTED: (expiring(server_time=None), ["Warning ClocksDiffer"]),
    Finished.POD_STOPS: (live(failed(), pods=(pod("Running", running()),)), []),
    Finished.RELEASED: (
        live(failed(), aftermath_job=RELEASES, aftermath_pods=(reported(RELEASED),)),
        ["status -"],
    ),
    Finished.RELEASE_GIVEN_UP: (live(failed(), DAY, **AT_WORK), ["Warning ReleaseGivenUp", "status -"]),
    Finished.RELEASING: (live(failed()), ["create aftermath-demo"]),
    Finished.NOTHING: (live(failed("DumpFailed")), []),
}


@pytest.mark.parametrize("row", Finished, ids=lambda row: row.id)
def test_row(row: Finished) -> None:
    plan, expected = EXAMPLES[row]
    assert plan.row is row
    assert [word.removesuffix(f" {UID}") for word in outline(plan)] == expected


# TiDB's GC life time.


@pytest.mark.parametrize("outcome", [Outcome.COMPLETE, Outcome.FAILED])
def test_a_worker_that_could_not_put_it_back_says_so(outcome: Outcome) -> None:
    told = pod("Succeeded", said(result(outcome, gcLifeTimeHeld=True)))
    plan = live(status("Scheduled", "Running"), job=job(), pods=(told,))
    assert patch_of(plan)["gcLifeTimeHeld"] is True


def test_the_status_alone_tells_for_how_long_it_is_tried() -> None:
    """Its Jobs go after minutes, and anybody may delete them."""
    found = status("Scheduled", "Running", "Complete", reason="ArchiveFound", timeCompleted=NOW)
    assert outline(live(found, DAY - 1)) == ["create aftermath-demo"]
    assert outline(live(found, DAY, **AT_WORK)) == ["Warning ReleaseGivenUp", "status -"]
    # A controller that was away for a day makes one try.
    assert outline(live(found, 2 * DAY)) == ["create aftermath-demo"]


def test_once_it_is_done_its_job_goes_in_time() -> None:
    parts: dict[str, Any] = {"aftermath_job": RELEASES, "aftermath_pods": (reported(RELEASED),)}
    assert patch_of(live(failed(), **parts)) == {"gcLifeTimeHeld": None}
    over = attrs.evolve(failed(), gcLifeTimeHeld=False)
    assert (outline(live(over, **parts)), live(over, **parts).wake_at) == ([], later(DAY))
    assert outline(live(over, DAY, **parts)) == ["delete aftermath-demo aftermath-uid"]


def test_why_it_is_not_done_yet_is_told() -> None:
    found = aftermath(true("Failed", at=later(100)), told="release")
    parts: dict[str, Any] = {"aftermath_job": found, "aftermath_pods": (reported(NOT_RELEASED),)}
    plan = live(failed(), 101, **parts)
    assert (outline(plan), plan.wake_at) == (["Warning ReleaseFailed"], later(131))
    assert "no route" in words(plan)
    again = live(failed(), 200, **parts)
    assert outline(again) == ["delete aftermath-demo aftermath-uid", "Warning ReleaseFailed"]
    refused = live(failed(), refusal=Refusal(403, "exceeded quota"))
    assert (outline(refused), refused.wake_at) == (["Warning ReleaseFailed"], later(30))
    assert "exceeded quota" in words(refused)


@pytest.mark.parametrize("parts", [AT_WORK, {"refusal": Refusal(403, "exceeded quota")}])
def test_after_a_day_it_is_given_up_with_what_to_do_by_hand(parts: dict[str, Any]) -> None:
    """Also where no Job was ever made. The Event goes after an hour: the Warning stays."""
    plan = live(failed(), DAY, **parts)
    assert "SELECT * FROM mysql.tidb WHERE variable_name = 'tikv_gc_life_time'" in words(plan)
    patch = patch_of(plan)
    assert patch["gcLifeTimeHeld"] is None
    assert patch["conditions"][-1]["reason"] == "ReleaseGivenUp"
    assert patch["conditions"][-1]["message"] in words(plan)


# Its Jobs.


@pytest.mark.parametrize(
    ("phase", "found", "pods", "seconds", "expected"),
    [
        ("Failed", aftermath(), (), 0, ["delete aftermath-demo aftermath-uid"]),
        ("Failed", aftermath(FAILED), (), DAY - 1, []),
        ("Failed", aftermath(FAILED), (), DAY, ["delete aftermath-demo aftermath-uid"]),
        ("Complete", aftermath(COMPLETE), (reported(CLEANED),), 299, []),
        ("Complete", aftermath(COMPLETE), (), 300, ["delete aftermath-demo aftermath-uid"]),
        ("Complete", aftermath(COMPLETE, deletionTimestamp=NOW), (), 300, []),
        ("Complete", aftermath(COMPLETE, owner="else"), (), 300, []),
    ],
)
def test_when_the_job_of_the_aftermath_goes(
    phase: str, found: Job, pods: tuple[Pod, ...], seconds: float, expected: list[str]
) -> None:
    told = status("Scheduled", "Running", phase, reason="DumpFailed", timeCompleted=NOW)
    assert outline(live(told, seconds, aftermath_job=found, aftermath_pods=pods)) == expected
