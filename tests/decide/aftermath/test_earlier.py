"""A Backup that ended under a version before the fields of 0074: what its reasons told is not lost."""

import attrs
import msgspec
import pytest

from tests.decide.builders import *
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.plan import Plan
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import Backup, BackupStatus, RetryRecord, StatusWarning

DAY = 86400


def of_before(phase: str, reason: str, *beside: str, going_phase: str = "") -> BackupStatus:
    """A status as that version left it; `beside`: the reason of its Warning."""
    phases = ("Running", phase, going_phase) if going_phase else ("Running", phase)
    told = status(*phases, timeCompleted=NOW, uploadLeftOpen=False, gcLifeTimeHeld=False)
    kept = [each for each in told.conditions if each.type not in ("Finished", "Succeeded")]
    kept = [attrs.evolve(each, reason=reason) if each.type == phase else each for each in kept]
    return attrs.evolve(told, conditions=(*kept, *(true("Warning", each, "told") for each in beside)))


def written(found: Backup, plan: Plan) -> Backup:
    """The Backup once the status patch of that plan is written."""
    both = msgspec.to_builtins(found.status) | patch_of(plan)
    left = {name: value for name, value in both.items() if value is not None}
    return attrs.evolve(found, status=msgspec.convert(left, BackupStatus))


@pytest.mark.parametrize(
    ("told", "upload", "held"),
    [
        (of_before("Failed", "OOMKilled"), True, True),
        (of_before("Failed", "DumpFailed"), False, False),
        (of_before("Failed", "DumpFailed", reasons.UPLOAD_LEFT_OPEN), True, False),
        (of_before("Failed", "DumpFailed", reasons.GC_LIFE_TIME_STILL_RAISED), False, True),
        (of_before("Complete", "ArchiveFound"), False, True),
        (of_before("Complete", "ArchiveStored"), False, False),
    ],
)
def test_what_it_may_have_left_is_written_once(told: BackupStatus, upload: bool, held: bool) -> None:
    found = backup(status=told)
    plan = run_backup.decide(facts(found), later(60))
    assert outline(plan) == ["status -"]
    found = written(found, plan)
    assert (found.status.uploadLeftOpen, found.status.gcLifeTimeHeld) == (upload, held)
    finished, succeeded = found.status.condition("Finished"), found.status.condition("Succeeded")
    assert finished is not None
    assert succeeded is not None
    assert (finished.status, succeeded.status) == ("True", str(told.phase == "Complete"))
    warning = told.condition("Warning")
    assert found.status.warnings == ((StatusWarning(warning.reason, "told"),) if warning else ())
    assert outline(run_backup.decide(facts(found), later(60))) == (["create release-demo"] if held else [])


@pytest.mark.parametrize(("policy", "data"), [("Retain", False), ("OnFailure", True), ("Delete", True)])
@pytest.mark.parametrize("phase", ["", "CleanFailed"])
def test_its_leftovers_are_cleaned_as_its_policy_asks(policy: str, data: bool, phase: str) -> None:
    found = going(policy, of_before("Failed", "OOMKilled", going_phase=phase))
    found = written(found, gc.decide(without_run(found), NOW))
    assert outline(gc.decide(without_run(found), NOW)) == ["create clean-demo"]
    assert found.status.phase == (phase or "Failed")


def test_what_has_been_given_up_is_not_asked_for_anew() -> None:
    found = backup(status=of_before("Failed", "OOMKilled"))
    found = written(found, run_backup.decide(facts(found), later(DAY)))
    assert (found.status.uploadLeftOpen, found.status.gcLifeTimeHeld) == (True, False)


def test_an_attempt_before_may_have_left_something_whatever_the_last_one_says() -> None:
    """Also where the record of the retry was written by that version."""
    record = RetryRecord(1, NOW, NOW, NOW, "NodeLost", "gone")
    told = attrs.evolve(of_before("Failed", "DumpFailed"), backoffRetryStatus=(record,))
    found = backup(status=told)
    found = written(found, run_backup.decide(facts(found), later(60)))
    assert (found.status.uploadLeftOpen, found.status.gcLifeTimeHeld) == (True, True)

    begun = backup(status=attrs.evolve(status("Running"), backoffRetryStatus=(record,)))
    run = job(name="backup-demo-r1")
    over = written(begun, run_backup.decide(facts(begun, job=run, pods=(gave_up(),)), later(60)))
    assert (over.status.uploadLeftOpen, over.status.gcLifeTimeHeld) == (True, True)
