"""The life of a Backup: each of its Jobs is judged by itself, and whether a worker has begun is told once."""

import pytest

from tests.decide.builders import NOW, backup, clean, done, facts, going, job, pod, running, status
from tidbbackup.decide.run.job_state import Absent, NotStarted, Reported
from tidbbackup.decide.run.life import life_of
from tidbbackup.model.resource.backup import BackupStatus
from tidbbackup.model.resource.kubernetes import Pod


def test_each_job_has_its_own_state_by_its_own_pods() -> None:
    found = going(told=status("Complete"))
    life = life_of(facts(found, job=job(), pods=(done(),), clean_job=clean()), found, NOW)

    assert isinstance(life.run, Reported)
    assert isinstance(life.cleaning, NotStarted)
    assert isinstance(life.inspection, Absent)
    assert isinstance(life.release, Absent)


@pytest.mark.parametrize(
    ("told", "pods", "begun"),
    [
        (status("Scheduled"), (pod(),), False),
        (status("Scheduled"), (pod("Running", running()),), True),
        (status("Scheduled"), (done(),), True),
        # The pods of an earlier attempt are gone: the status still tells.
        (status("Scheduled", "Running"), (), True),
    ],
)
def test_a_worker_has_begun_by_the_status_or_by_the_pods(
    told: BackupStatus, pods: tuple[Pod, ...], begun: bool
) -> None:
    found = backup(status=told)
    assert life_of(facts(found, job=job(), pods=pods), found, NOW).begun is begun


def test_what_is_wrong_with_the_spec_is_part_of_it() -> None:
    found = backup({"tikvGCLifeTime": "soon"})
    assert [problem.path for problem in life_of(facts(found), found, NOW).problems] == ["spec.tikvGCLifeTime"]
