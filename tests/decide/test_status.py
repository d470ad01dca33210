"""The status: one True phase, times that are kept, patches that hold what differs and no more."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.decide.builders import NOW, backup, later, notice, status
from tidbbackup.decide.plan import Announce, PatchStatus
from tidbbackup.decide.status import Cause, changes, enter, move, warn
from tidbbackup.model.reasons import ROWS_LEFT_OUT, UPLOAD_LEFT_OPEN, VALUES_ROUNDED
from tidbbackup.model.resource.backup import Backup, BackupStatus, Condition, Phase, Progress

PHASES = st.lists(st.sampled_from(Phase), min_size=1, max_size=12)


@given(PHASES, st.booleans())
def test_exactly_one_phase_is_true_and_the_status_names_it(phases: list[Phase], warned: bool) -> None:
    found = warn(BackupStatus(), [notice()] if warned else [], NOW)
    for number, phase in enumerate(phases):
        found = enter(found, phase, "Reason", "message", later(number))

    true = [condition.type for condition in found.conditions if condition.status == "True"]
    # In this order: the column Reason of kubectl shows the first.
    assert true[0] == found.phase == phases[-1].value
    ends = [phase for phase in phases if phase in (Phase.COMPLETE, Phase.FAILED)]
    beside = {"Warning"} if warned else set()
    beside |= {"Finished"} if ends else set()
    beside |= {"Succeeded"} if ends and ends[-1] is Phase.COMPLETE else set()
    assert set(true[1:]) == beside
    told = {condition.type for condition in found.conditions}
    assert told == {*phases} | beside | ({"Succeeded"} if ends else set())


@pytest.mark.parametrize(("phase", "succeeded"), [(Phase.COMPLETE, "True"), (Phase.FAILED, "False")])
def test_whoever_waits_for_the_end_waits_for_one_condition(phase: Phase, succeeded: str) -> None:
    """`kubectl wait --for=condition=Finished` returns however it ended, and Succeeded tells how."""
    begun = enter(BackupStatus(), Phase.RUNNING, "R", "m", NOW)
    assert begun.condition("Finished") is None
    over = enter(begun, phase, "Why", "because", later(9))
    gone = enter(over, Phase.CLEAN, "DataKept", "kept", later(99))
    for found in (over, gone):
        assert found.condition("Finished") == Condition("Finished", "True", phase, "because", later(9))
        assert found.condition("Succeeded") == Condition("Succeeded", succeeded, "Why", "because", later(9))
    late = enter(over, phase, "PendingTooLong", "it began", later(20))
    corrected = Condition("Succeeded", succeeded, "PendingTooLong", "it began", later(9))
    assert late.condition("Succeeded") == corrected


@given(PHASES)
def test_each_keeps_the_time_at_which_it_was_last_entered(phases: list[Phase]) -> None:
    found, entered = BackupStatus(), dict[str, Any]()
    for number, phase in enumerate(phases):
        if found.phase != phase:
            entered[phase] = later(number)
        found = enter(found, phase, "Reason", "message", later(number))

    told = {condition.type: condition.lastTransitionTime for condition in found.conditions}
    assert {phase: told[phase] for phase in entered} == entered


def test_a_message_is_bounded_and_a_time_is_whole() -> None:
    found = enter(BackupStatus(), Phase.FAILED, "R", "x" * 9999, NOW.replace(microsecond=5))

    assert len(found.conditions[0].message) == 2048
    assert found.conditions[0].lastTransitionTime == NOW


def test_a_warning_stands_beside_keeps_its_time_and_goes() -> None:
    begun = enter(BackupStatus(), Phase.RUNNING, "R", "m", NOW)
    first = warn(begun, [notice(message="a")], NOW)
    open_still = attrs.evolve(first, uploadLeftOpen=True)
    both = warn(open_still, [notice(message="a"), notice(UPLOAD_LEFT_OPEN, "b")], later(9))

    warning = both.condition("Warning")
    assert warning == Condition("Warning", "True", UPLOAD_LEFT_OPEN, "b; a", NOW)
    assert both.phase == "Running"
    told = [notice(VALUES_ROUNDED, "c"), notice(message="a"), notice(ROWS_LEFT_OUT, "d")]
    closed = attrs.evolve(both, uploadLeftOpen=False)
    missing = warn(closed, told, NOW).condition("Warning")
    assert missing == Condition("Warning", "True", ROWS_LEFT_OUT, "d; a; c", NOW)
    assert warn(closed, [], later(10)).conditions == begun.conditions


def apply(old: BackupStatus, patch: dict[str, Any]) -> dict[str, Any]:
    """What a merge patch makes of a status, as JSON."""
    fields = {name: value for name, value in attrs.asdict(old, recurse=False).items() if name != "progress"}
    return {name: value for name, value in (fields | patch).items() if value not in (None, "", ())}


def test_a_patch_holds_what_differs_and_nulls_what_goes() -> None:
    old = attrs.evolve(status("Running"), backupPath="s3://b/k", commitTs="5", progress=Progress(percent=5))
    new = attrs.evolve(old, commitTs="", backupSize=0, progress=None)

    assert changes(old, new) == {"commitTs": None, "backupSize": 0}
    assert changes(old, old) == {}


def test_the_progress_is_never_in_a_patch() -> None:
    old = attrs.evolve(status("Running"), progress=Progress(percent=5))

    assert changes(old, attrs.evolve(old, progress=Progress(percent=6))) == {}


def test_a_patch_carries_the_version_it_was_computed_from() -> None:
    moved = move(backup(status=BackupStatus()), Phase.SCHEDULED, Cause("JobCreated", "made"), NOW)

    announce, write = moved
    assert isinstance(announce, Announce)
    assert (announce.type, announce.reason, announce.message) == ("Normal", "Scheduled", "made")
    assert isinstance(write, PatchStatus)
    assert write.version == "7"
    assert write.changes["observedGeneration"] == 1
    assert list(write.changes["conditions"]) == [
        {
            "type": "Scheduled",
            "status": "True",
            "reason": "JobCreated",
            "message": "made",
            "lastTransitionTime": "2026-11-23T03:00:00Z",
        }
    ]


def kinds(found: Backup, phase: Phase) -> list[str]:
    """The kinds of action that entering a phase takes."""
    return [type(action).__name__ for action in move(found, phase, Cause("Because", "said"), later(5))]


def test_the_same_again_is_nothing() -> None:
    assert kinds(backup(status=status("Scheduled")), Phase.SCHEDULED) == []


def test_a_new_generation_is_observed() -> None:
    (write,) = move(
        backup(status=status("Scheduled"), generation=2), Phase.SCHEDULED, Cause("Because", "said"), NOW
    )

    assert isinstance(write, PatchStatus)
    assert write.changes == {"observedGeneration": 2}


def test_a_change_within_a_phase_is_written_and_only_trouble_is_said_again() -> None:
    assert kinds(backup(status=status("Scheduled", reason="Other")), Phase.SCHEDULED) == ["PatchStatus"]
    for trouble in (Phase.FAILED, Phase.INVALID, Phase.CLEAN_FAILED):
        assert kinds(backup(status=status(trouble, reason="Other")), trouble) == ["Announce", "PatchStatus"]


def test_trouble_is_a_warning_with_its_reason() -> None:
    announce, _ = move(backup(), Phase.FAILED, Cause("DumpFailed", "it broke"), NOW)

    assert isinstance(announce, Announce)
    assert (announce.type, announce.reason, announce.message) == ("Warning", "Failed", "DumpFailed: it broke")
