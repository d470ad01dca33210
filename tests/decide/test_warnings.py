"""Warnings do not hide each other, and what is remembered of a run outlives its Jobs and pods."""

import itertools
from typing import Any

import attrs
import pytest

from tests.decide.builders import (
    COMPLETE,
    NOW,
    RELEASED,
    aftermath,
    backup,
    done,
    facts,
    gave_up,
    job,
    later,
    notice,
    outline,
    pod,
    reported,
    running,
    written,
)
from tests.decide.moments import RUNNING
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide.facts import Refusal
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import Backup

DAY = 86400
RELEASES: dict[str, Any] = {
    "aftermath_job": aftermath(COMPLETE, told="release"),
    "aftermath_pods": (reported(RELEASED),),
}
AT_WORK = pod("Running", running())
OPEN = notice(reasons.UPLOAD_LEFT_OPEN, "a second upload may be open")
RAISED = notice(reasons.GC_LIFE_TIME_STILL_RAISED, "tikv_gc_life_time may still be raised")
TAGS = notice(reasons.TAGS_NOT_SET, "its tags are not set")


def ended(ends: Any, **fields: Any) -> Backup:
    """A Backup whose worker has reported so."""
    found = backup(status=RUNNING)
    return written(found, run_backup.decide(facts(found, job=job(), pods=(ends(**fields),)), NOW))


@pytest.mark.parametrize("ends", [done, gave_up])
@pytest.mark.parametrize("told", list(itertools.permutations([OPEN, RAISED, TAGS])))
def test_two_warnings_at_once_are_both_told_and_both_acted_on(ends: Any, told: Any) -> None:
    """Also once the run's Job is gone, and while no Job that releases can be made."""
    found = ended(ends, notices=told, uploadLeftOpen=True, gcLifeTimeHeld=True)
    warning = found.status.condition("Warning")
    assert warning is not None
    assert warning.reason == reasons.UPLOAD_LEFT_OPEN
    assert all(each.message in warning.message for each in told)

    assert outline(run_backup.decide(facts(found), later(300))) == ["create aftermath-demo"]
    refused = facts(found, refusal=Refusal(403, "exceeded quota"))
    assert outline(run_backup.decide(refused, later(DAY - 1))) == ["Warning ReleaseFailed"]
    given_up = run_backup.decide(refused, later(DAY + 60))
    assert outline(given_up) == ["Warning ReleaseGivenUp", "status -"]


@pytest.mark.parametrize("ends", [done, gave_up])
def test_a_warning_that_has_been_mended_disappears_and_the_others_stay(ends: Any) -> None:
    found = ended(ends, notices=(RAISED, OPEN, TAGS), uploadLeftOpen=True, gcLifeTimeHeld=True)
    corrected = written(found, run_backup.decide(facts(found, **RELEASES), later(60)))

    assert not corrected.status.gcLifeTimeHeld
    warning = corrected.status.condition("Warning")
    assert warning is not None
    assert warning.message.endswith(f"{OPEN.message}; {TAGS.message}")
    assert RAISED.message not in warning.message
    assert outline(run_backup.decide(facts(corrected), later(300))) == []


def test_the_only_one_that_was_mended_takes_the_condition_along() -> None:
    found = ended(done, notices=(RAISED,), gcLifeTimeHeld=True)
    corrected = written(found, run_backup.decide(facts(found, **RELEASES), later(60)))
    assert corrected.status.condition("Warning") is None
    assert corrected.status.warnings == ()


def test_what_an_attempt_may_have_left_is_remembered_until_a_later_one_is_complete() -> None:
    """Each attempt has the same key, and the same place in the ledger of GC life times."""
    told = gave_up("Terminated", "SIGTERM", uploadLeftOpen=True)
    told = attrs.evolve(told, status=attrs.evolve(told.status, reason="NodeLost"))
    found = backup({"backoffRetryPolicy": {}}, RUNNING)
    found = written(found, run_backup.decide(facts(found, job=job(), pods=(told,)), NOW))
    assert (found.status.uploadLeftOpen, found.status.gcLifeTimeHeld) == (True, False)

    begun = written(found, run_backup.decide(facts(found, job=job(), pods=(AT_WORK,)), later(400)))
    warning = begun.status.condition("Warning")
    assert warning is not None, "the next attempt does not hide it"
    assert warning.reason == reasons.UPLOAD_LEFT_OPEN
    for ends, left in ((done, False), (gave_up, True)):
        over = written(begun, run_backup.decide(facts(begun, job=job(), pods=(ends(),)), later(500)))
        assert over.status.uploadLeftOpen == left
        assert (over.status.condition("Warning") is not None) == left
