"""What the Events of a schedule say. Must not decide what happens."""

from __future__ import annotations

from datetime import datetime

from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Announce
from tidbbackup.decide.schedule.scheduled import ScheduleFacts, backup_name
from tidbbackup.model import schedule_reasons as reasons
from tidbbackup.model.resource.schedule import KIND, BackupSchedule


def event(schedule: BackupSchedule, reason: str, message: str, *, warns: bool = False) -> Announce:
    """An Event of the schedule."""
    return Announce(KIND, schedule.metadata, "Warning" if warns else "Normal", reason, message)


def refused_for_now(schedule: BackupSchedule, name: str, refusal: Refusal) -> Announce:
    """The Event of a Backup that is tried again."""
    text = f"the API server refuses {name} for now, it is tried again: {refusal.message}"
    return event(schedule, reasons.BACKUP_REFUSED, text, warns=True)


def why_not(facts: ScheduleFacts, reason: str, due: datetime) -> str:
    """The reason why there is no Backup for a due time, as a sentence."""
    match reason:
        case reasons.SKIPPED_OVERLAP:
            names = ", ".join(each.name for each in facts.active[:3])
            return f"{names} still runs (concurrencyPolicy Forbid)"
        case reasons.SKIPPED_PAUSED:
            return "the schedule is paused"
        case reasons.MISSED_DOWNTIME:
            return "they passed while no controller could make one; only the newest is made up"
        case reasons.MISSED_DEADLINE:
            deadline = facts.schedule.spec.startingDeadlineSeconds
            return f"it is more than {deadline} s late (startingDeadlineSeconds)"
        case reasons.MISSED_EDITED:
            return "it had not been made when schedule or zone were edited; they count again from now"
        case reasons.MISSED_NAME_TAKEN:
            name = backup_name(facts.schedule.metadata.name, due)
            return f"a Backup {name} that is not of this schedule holds its name: delete it"
        case reasons.MISSED_REFUSED:
            return f"the API server refuses it: {facts.refusal.message if facts.refusal else ''}"
        case _:
            return "the schedule is not valid, see its condition Ready"
