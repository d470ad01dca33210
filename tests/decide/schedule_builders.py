"""Schedules and the Backups they made, for the tests of decide, by what is special about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import msgspec

from tests.decide.builders import patch_of
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Announce, Plan
from tidbbackup.decide.schedule.decision import decide
from tidbbackup.decide.schedule.scheduled import ScheduleFacts
from tidbbackup.model.meta import Meta
from tidbbackup.model.names import DUE_TIME, SCHEDULE_LABEL, SCHEDULE_UID
from tidbbackup.model.resource.backup import Backup, BackupStatus, Condition
from tidbbackup.model.resource.schedule import BackupSchedule, BackupScheduleStatus, decode_schedule

BEGIN = datetime(2026, 10, 24, 12, tzinfo=UTC)
TEMPLATE = {
    "from": {"host": "tidb", "secretName": "db"},
    "s3": {"provider": "aws", "bucket": "bucket", "secretName": "s3"},
}
UID = "schedule-uid"
DUE = BEGIN + timedelta(hours=1)
NAME = "s-2026-10-24t13-00-00"


def schedule(
    status: BackupScheduleStatus | None = None, *, created: datetime = BEGIN, **spec: Any
) -> BackupSchedule:
    """A schedule `s`, hourly unless told otherwise."""
    meta = {"name": "s", "namespace": "ns", "uid": UID, "generation": 1, "resourceVersion": "1"}
    whole = {"schedule": "0 * * * *", "backupTemplate": TEMPLATE} | spec
    read = decode_schedule(msgspec.json.encode({"metadata": meta, "spec": whole}))
    metadata = attrs.evolve(read.metadata, creationTimestamp=created)
    return attrs.evolve(read, metadata=metadata, status=status or BackupScheduleStatus())


def child(due: datetime, phase: str = "Complete", *, created: datetime | None = None, **meta: Any) -> Backup:
    """A Backup of that schedule, as if made when it was due."""
    name = f"s-{due:%Y-%m-%dt%H-%M-%S}"
    known: dict[str, Any] = {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-{name}",
        "creationTimestamp": created or due,
    }
    known |= {
        "labels": {SCHEDULE_LABEL: "s"},
        "annotations": {DUE_TIME: due.isoformat(), SCHEDULE_UID: UID},
    } | meta
    return Backup(Meta(**known), status=ended(phase, due))


def ended(phase: str, at: datetime) -> BackupStatus:
    """A status with that phase, since then."""
    if not phase:
        return BackupStatus()
    done = at if phase in ("Complete", "Failed") else None
    conditions = (Condition(phase, "True", "Because", "said", at),)
    return BackupStatus(phase=phase, conditions=conditions, timeCompleted=done, observedGeneration=1)


def settled(**spec: Any) -> BackupSchedule:
    """A schedule whose status has been written once, at BEGIN."""
    found = schedule(**spec)
    status = msgspec.convert(patch_of(plan(found, BEGIN)), BackupScheduleStatus)
    return attrs.evolve(found, status=status)


def later(minutes: float) -> datetime:
    """So long after BEGIN."""
    return BEGIN + timedelta(minutes=minutes)


def plan(found: BackupSchedule, now: datetime, *backups: Backup, refusal: Refusal | None = None) -> Plan:
    """The decision."""
    return decide(ScheduleFacts(found, backups, refusal=refusal), now)


def ready(found: Plan) -> tuple[str, str, str]:
    """Status, reason and message of the condition Ready."""
    condition = patch_of(found)["conditions"][0]
    assert condition["type"] == "Ready"
    return condition["status"], condition["reason"], condition["message"]


def counts(found: Plan) -> dict[str, int]:
    """The counters that a plan writes again."""
    return {name: value for name, value in patch_of(found).items() if name.endswith("Runs")}


def said(found: Plan) -> list[str]:
    """The messages of a plan."""
    return [action.message for action in found.actions if isinstance(action, Announce)]
