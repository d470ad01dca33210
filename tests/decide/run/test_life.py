"""The life of a Backup as one value: where its run is, and its pods."""

import pytest

from tests.decide.builders import *
from tests.decide.moments import KILLED, RUNNING, ended, failed
from tidbbackup.decide.run.job_state import Absent, NotStarted, Reported, Silent
from tidbbackup.decide.run.life import Ended, Finished, life_of
from tidbbackup.model.resource.backup import BackupStatus
from tidbbackup.model.resource.kubernetes import Pod

AT_WORK = pod("Running", running())
PODS = {PODS_LOOK: (done(),)}


def test_it_knows_both_jobs() -> None:
    found = going(told=status("Complete"))
    life = life_of(facts(found, job=job(), pods=(done(),), aftermath_job=aftermath()), found, NOW)
    assert isinstance(life.run, Reported)
    assert isinstance(life.aftermath, NotStarted)


@pytest.mark.parametrize(
    ("told", "pods", "stage"),
    [
        (BackupStatus(), None, Absent),
        (RUNNING, (done(),), Reported),
        (RUNNING, (KILLED,), Silent),
        (ended(), (KILLED,), Ended),
        (ended("RunStopped", stopped=True), (AT_WORK,), Ended),
        (failed(), (KILLED,), Finished),
        (failed("Killed", "CleanFailed"), (KILLED,), Finished),
        (status("Complete", "Clean"), None, Finished),
    ],
)
def test_what_the_status_tells_outweighs_what_is_still_there(
    told: BackupStatus, pods: tuple[Pod, ...] | None, stage: type[object]
) -> None:
    found = backup(status=told)
    known = facts(found) if pods is None else facts(found, job=job(), pods=pods)
    assert isinstance(life_of(known, found, NOW).stage, stage)


def test_a_job_that_has_ended_and_shows_no_pod_is_settled_by_a_live_look() -> None:
    found = backup(status=RUNNING)
    life = life_of(facts(found, job=job(COMPLETE), evidence=PODS), found, NOW)
    assert isinstance(life.run, Silent)
    assert isinstance(life.settled(life.run, "backup"), Reported)
    known = life_of(facts(found, job=job(COMPLETE), pods=(KILLED,)), found, NOW)
    assert known.settled(known.run, "backup") == known.run


def test_who_works_for_it_and_whose_end_is_awaited() -> None:
    lost = pod("Running", running(), name="lost", deletionTimestamp=later(-300))
    older = pod("Running", running(), name="older", creationTimestamp=later(-60))
    found = backup(status=RUNNING)
    life = life_of(facts(found, pods=(AT_WORK, KILLED, lost, older)), found, NOW)
    assert [each.metadata.name for each in life.at_work] == ["p", "lost"]
    assert [each.metadata.name for each in life.awaited] == ["p"]


def test_what_is_wrong_with_the_spec_is_part_of_it() -> None:
    found = backup({"tikvGCLifeTime": "soon"})
    assert [problem.path for problem in life_of(facts(found), found, NOW).problems] == ["spec.tikvGCLifeTime"]
