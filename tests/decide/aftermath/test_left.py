"""What is left to do after a run: by the status and the policy alone."""

import pytest

from tests.decide.builders import *
from tests.decide.moments import ended, failed
from tidbbackup.decide.aftermath import left
from tidbbackup.decide.aftermath.left import left_to_clean, left_to_inspect, left_to_release
from tidbbackup.model.contract.aftermath import Part, PartResult
from tidbbackup.model.resource.backup import BackupStatus

STOPPED = ended("RunStopped", stopped=True)
LOG = f"{URL}.log"
COMPLETE_OPEN = status("Complete", uploadLeftOpen=True)


@pytest.mark.parametrize(
    ("told", "retain", "on_failure", "delete"),
    [
        (BackupStatus(), "", "", ""),
        (status("Invalid"), "", "", ""),
        (status("Complete"), "", "", "clean delete"),
        (status("Complete", gcLifeTimeHeld=True), "release", "release", "clean release delete"),
        (COMPLETE_OPEN, "clean", "clean", "clean delete"),
        (failed("DumpFailed"), "", "", ""),
        (failed("DumpFailed", gcLifeTimeHeld=True), "release", "release", "release"),
        (failed("DumpFailed", log=LOG), "", "clean log", "clean log"),
        (failed("DumpFailed", "Clean", log=LOG), "", "", ""),
        (failed("DumpFailed", log=LOG, uploadLeftOpen=True), "clean", "clean delete", "clean delete"),
        (status("Complete", log=LOG), "", "", "clean delete"),
        (failed("DumpFailed", uploadLeftOpen=True), "clean", "clean delete", "clean delete"),
        (failed("Killed"), "clean release", "clean release delete", "clean release delete"),
        (ended(), "clean release", "clean release delete-unless-whole", "clean release delete"),
        (STOPPED, "clean release", "clean release delete", "clean release delete"),
        (ended("RunStopped", stopped=True, uploadLeftOpen=False, gcLifeTimeHeld=False), "", "", ""),
        (status("Complete", "CleanFailed"), "", "", "clean delete"),
        (failed("Killed", "CleanFailed"), "clean release", "clean release delete", "clean release delete"),
        (failed("Killed", "Clean"), "release", "release", "release"),
        (status("Complete", "Clean"), "", "", ""),
    ],
)
def test_of_a_backup_that_is_being_deleted(
    told: BackupStatus, retain: str, on_failure: str, delete: str
) -> None:
    for policy, wanted in (("Retain", retain), (None, retain), ("OnFailure", on_failure), ("Delete", delete)):
        assert left_to_clean(going(policy, told)) == parts(wanted), policy


def test_a_run_that_left_no_result_is_inspected_and_what_it_holds_is_released_at_once() -> None:
    assert left_to_inspect(backup(status=ended())) == parts("inspect release")
    assert left_to_inspect(backup(status=ended(gcLifeTimeHeld=False))) == parts("inspect")


def test_a_backup_that_has_ended_keeps_its_data_and_is_released() -> None:
    assert left_to_release(backup({"cleanPolicy": "Delete"}, failed())) == parts("release")
    assert not left_to_release(backup({"cleanPolicy": "Delete"}, failed("DumpFailed")))


def test_only_what_is_done_is_taken_off() -> None:
    told = failed()
    assert not left.done(told, report(RELEASED)).gcLifeTimeHeld
    for other in (None, report(CLEANED), report(PartResult(Part.RELEASE, done=False))):
        assert left.done(told, other) == told
