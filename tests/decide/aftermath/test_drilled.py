"""What the newest drill of a Backup tells of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs

from tests.decide.builders import *
from tests.decide.spec.test_restored import restore
from tidbbackup.decide.backup import decide
from tidbbackup.decide.plan import Plan
from tidbbackup.model.meta import OwnerReference
from tidbbackup.model.names import API_VERSION
from tidbbackup.model.resource.backup import BackupStatus, Condition, StatusWarning
from tidbbackup.model.resource.restore import Restore, RestoreStatus

OWNER = OwnerReference(API_VERSION, "BackupSchedule", "s", "schedule-uid", controller=True)


def drill(phase: str = "Complete", at: datetime = NOW, name: str = "s-drill-1", **spec: Any) -> Restore:
    """A drill of the Backup `demo` that ended then, or has not ended."""
    found = restore(s3=None, backup="demo", afterwards="Drop", **spec)
    meta = attrs.evolve(found.metadata, name=name, uid=f"uid-{name}", ownerReferences=(OWNER,))
    over = phase in ("Complete", "Failed")
    told = RestoreStatus(
        phase=phase,
        conditions=(
            Condition(phase, "True", "Restored" if phase == "Complete" else "RowsDiffer", "said", at),
        ),
        timeCompleted=at if over else None,
        observedGeneration=1,
    )
    return attrs.evolve(found, metadata=meta, status=told)


def proven(*drills: Restore, told: BackupStatus | None = None) -> tuple[Plan, Condition | None]:
    """The plan, and the condition that it writes."""
    plan = decide(facts(backup(status=told or status("Complete")), drills=drills), NOW)
    written = patch_of(plan).get("conditions", []) if plan.actions else []
    found = [Condition(**each) for each in written if each["type"] == "Proven"]
    return plan, found[0] if found else None


def test_one_that_is_complete_proves_it() -> None:
    plan, found = proven(drill())
    assert found is not None
    assert (found.status, found.reason, found.message) == ("True", "Restored", "s-drill-1: said")
    assert outline(plan) == ["Normal Proven", "status -"]


def test_one_that_has_failed_says_why_it_is_not_proven() -> None:
    plan, found = proven(drill("Failed"))
    assert found is not None
    assert (found.status, found.reason) == ("False", "RowsDiffer")
    assert outline(plan) == ["Warning NotProven", "status -"]


def test_the_newest_that_has_ended_counts() -> None:
    _, found = proven(drill("Failed", later(60), "new"), drill("Complete", NOW, "old"), drill("Running"))
    assert found is not None
    assert found.message.startswith("new: ")


def test_without_one_that_has_ended_nothing_is_said() -> None:
    assert proven(drill("Running"), drill(""))[0].actions == ()


def test_what_was_told_is_not_told_again_and_stays_without_its_drill() -> None:
    _, found = proven(drill())
    told = status("Complete")
    assert found is not None
    told = attrs.evolve(told, conditions=(*told.conditions, attrs.evolve(found, lastTransitionTime=NOW)))
    assert proven(drill(), told=told)[0].actions == ()
    assert proven(told=told)[0].actions == ()
    again = proven(drill(at=later(60), name="again"), told=told)[1]
    assert again is not None
    assert again.lastTransitionTime == "2026-11-23T03:00:00Z", "since then it is proven"


def test_what_limits_the_proof_is_in_its_message() -> None:
    some = drill(tableFilter=["shop.*"])
    warned = attrs.evolve(some.status, warnings=(StatusWarning("ProgramsLeftOut", "views are not restored"),))
    _, found = proven(attrs.evolve(some, status=warned))
    assert found is not None
    assert found.message == "s-drill-1: said; only shop.*; views are not restored"


def test_a_copy_proves_nothing() -> None:
    copied = attrs.evolve(drill(), status=attrs.evolve(drill().status, observedGeneration=None))
    assert not copied.is_drill
    assert drill().is_drill
    assert not restore().is_drill
