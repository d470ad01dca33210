"""Whose worker may be asked, and what of its answer is written."""

from typing import Any

import attrs
import pytest

from tests.decide.builders import NOW, backup, job, pod, status, waiting
from tests.decide.test_restore import its_job, one, told
from tidbbackup.decide.progress import report_patch, stale_patch, worker_address
from tidbbackup.decide.status import changes, enter
from tidbbackup.model.contract.progress import Report
from tidbbackup.model.resource.backup import Backup, BackupStatus, Phase, Progress
from tidbbackup.model.resource.kubernetes import ContainerState, Pod, Running, Terminated
from tidbbackup.model.resource.restore import RestoreProgress

RUNS = ContainerState(running=Running(NOW))
REPORT = Report("dump", 1_200_000_000, 2_400_000_000, 300_000_000, 25)


def running(progress: Progress | None = None) -> Backup:
    """A Backup whose worker runs."""
    return backup(status=attrs.evolve(status("Scheduled", "Running"), progress=progress))


def pod_at(address: str = "10.0.0.7", state: ContainerState = RUNS, **fields: Any) -> Pod:
    """A pod of our Job at that address."""
    return pod("Running", state, podIP=address, **fields)


def written(patch: dict[str, Any] | None) -> Any:
    """The progress that a patch writes; it writes nothing else."""
    assert patch is not None
    assert patch.keys() == {"status"}
    assert patch["status"].keys() == {"progress"}
    return patch["status"]["progress"]


def test_the_pod_that_runs_it() -> None:
    assert worker_address(running(), [job()], [pod_at()]) == "10.0.0.7"


@pytest.mark.parametrize(
    "other",
    [
        pod_at(""),
        pod_at(owner="another job"),
        pod_at(state=waiting("ContainerCreating")),
        pod_at(state=ContainerState(terminated=Terminated(0))),
        pod("Failed", RUNS, podIP="10.0.0.7"),
    ],
)
def test_no_other_pod(other: Pod) -> None:
    assert worker_address(running(), [job()], [other]) == ""
    assert worker_address(running(), [job()], [other, pod_at("10.0.0.8")]) == "10.0.0.8"


def test_not_one_of_a_job_that_is_another_ones() -> None:
    assert worker_address(running(), [job(owner="another uid")], [pod_at()]) == ""
    assert worker_address(running(), [job(owner="")], [pod_at()]) == ""


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.RUNNING}))
def test_not_where_nothing_should_run(phase: Phase) -> None:
    assert worker_address(backup(status=status(phase)), [job()], [pod_at()]) == ""


def test_not_that_of_another_operator() -> None:
    assert worker_address(backup(status=BackupStatus(phase="Running")), [job()], [pod_at()]) == ""


def test_a_report_is_written_whole() -> None:
    assert written(report_patch(running(), REPORT)) == {
        "text": "dump 25%",
        "step": "dump",
        "dumpedBytes": 1_200_000_000,
        "estimatedBytes": 2_400_000_000,
        "uploadedBytes": 300_000_000,
        "percent": 25,
    }


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (Report("preflight"), "preflight"),
        (Report("dump", 1_200_000_000), "dump 1.2 GB"),
        (Report("dump", percent=0), "dump 0%"),
        (Report("manifest", 5, 5, 5, 99), "manifest 99%"),
    ],
)
def test_the_text_is_for_people(report: Report, text: str) -> None:
    assert written(report_patch(running(), report))["text"] == text


def test_a_restore_tells_what_is_loaded() -> None:
    loads = told("Scheduled", "Running")
    report = Report("load", percent=40, loadedBytes=5000, loadedRows=7)
    said: dict[str, Any] = {
        "text": "load 40%",
        "step": "load",
        "loadedBytes": 5000,
        "loadedRows": 7,
        "percent": 40,
    }
    assert written(report_patch(one(loads), report)) == said
    shown = attrs.evolve(loads, progress=RestoreProgress(**said))
    assert report_patch(one(shown), report) is None
    assert stale_patch(one(shown)) is None
    assert written(stale_patch(one(told("Complete", progress=RestoreProgress("load 40%"))))) is None
    assert worker_address(one(loads), [its_job()], [pod_at()]) == "10.0.0.7"


def test_what_is_not_known_any_more_goes() -> None:
    before = Progress("dump 25%", "dump", 5, 20, 0, 25)

    assert written(report_patch(running(before), Report("dump", 6)))["percent"] is None


def test_the_same_again_is_nothing() -> None:
    told = Progress("dump 25%", "dump", 1_200_000_000, 2_400_000_000, 300_000_000, 25)

    assert report_patch(running(told), REPORT) is None


NOTHING_RUNS = {Phase.SCHEDULED, Phase.INVALID, Phase.COMPLETE}


@pytest.mark.parametrize(
    "found", [BackupStatus(), *(status(phase) for phase in sorted(NOTHING_RUNS))], ids=lambda it: it.phase
)
def test_where_nothing_runs_there_is_no_progress(found: BackupStatus) -> None:
    late = attrs.evolve(found, progress=Progress("upload 97%"))

    assert written(stale_patch(backup(status=late))) is None
    assert stale_patch(backup(status=found)) is None


@pytest.mark.parametrize("phase", sorted(set(Phase) - NOTHING_RUNS))
def test_any_other_keeps_it(phase: Phase) -> None:
    assert stale_patch(backup(status=attrs.evolve(status(phase), progress=Progress("upload 97%")))) is None


def test_another_operators_is_not_touched() -> None:
    theirs = BackupStatus(phase="Complete", progress=Progress("whatever"))

    assert stale_patch(backup(status=theirs)) is None


@pytest.mark.parametrize("phase", sorted(Phase))
def test_no_phase_writes_it(phase: Phase) -> None:
    found = running(Progress("dump 25%"))

    assert "progress" not in changes(found.status, enter(found.status, phase, "R", "m", NOW))
