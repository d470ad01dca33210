"""A run that somebody asks for at once, by a new value of the annotation `tidb.pingcap.com/run-now`.

It is made like any other, for a due time that the status records first: the moment at which the new value was
seen. So it has a name of its own, retention counts it, and it is made once. Must not know cron.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import frozen

from tidbbackup.decide.plan import Action, Create
from tidbbackup.decide.schedule.events import event, refused_for_now, why_not
from tidbbackup.decide.schedule.ledger import Ledger
from tidbbackup.decide.schedule.readiness import Reading
from tidbbackup.decide.schedule.scheduled import ScheduleFacts, backup_name, manifest
from tidbbackup.model import schedule_reasons as reasons
from tidbbackup.model.names import RUN_NOW
from tidbbackup.model.units import format_time

_NEXT_TRY = timedelta(minutes=1)
_VALUE_LIMIT = 64
"""Characters of a value that count."""
_FINAL = (400, 409, 422)
"""HTTP status codes of a refusal that would be the same at the next try."""


@frozen
class RunNow:
    """What the status is to say of it, and what is to be done."""

    observed: str
    """The newest value of the annotation."""
    due: datetime | None
    """The due time of a run that was asked for and has no outcome yet."""
    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None


def run_now(facts: ScheduleFacts, reading: Reading, ledger: Ledger, now: datetime) -> RunNow:
    """What becomes of a run that was asked for. A pause does not hold it up: somebody wants it now."""
    schedule, status = facts.schedule, facts.schedule.status
    value = schedule.metadata.annotations.get(RUN_NOW, "")[:_VALUE_LIMIT]
    if value and value != status.observedRunNow:
        # Dying before the status is written: the next run sees the same new value, and nothing was made.
        return RunNow(value, now.replace(microsecond=0))
    due = status.runNowTime
    if due is None or ledger.due is not None or ledger.held is not None:
        return RunNow(status.observedRunNow, due)
    name = backup_name(schedule.metadata.name, due)
    said = f"made {name}, asked for by {RUN_NOW} at {format_time(due)}"
    say_made = event(schedule, reasons.BACKUP_CREATED, said)
    # After the Create: the next round finds the Backup, says so and clears the due time.
    if any(backup.metadata.name == name for backup in facts.backups):
        return RunNow(status.observedRunNow, None, (say_made,))
    if facts.refusal is not None and facts.refusal.status not in _FINAL:
        say = refused_for_now(schedule, name, facts.refusal)
        return RunNow(status.observedRunNow, due, (say,), now + _NEXT_TRY)
    if reason := _reason_against(facts, reading):
        text = f"no backup now, as {RUN_NOW} asks for: {why_not(facts, reason, due)}"
        say = event(schedule, reason, text, warns=True)
        return RunNow(status.observedRunNow, None, (say,))
    return RunNow(status.observedRunNow, None, (Create(manifest(schedule, due)), say_made))


def _reason_against(facts: ScheduleFacts, reading: Reading) -> str:
    """Why it cannot be made; empty if nothing is in the way."""
    if reading.faulty:
        return reasons.MISSED_INVALID
    if facts.refusal is not None:
        return reasons.MISSED_REFUSED
    if facts.schedule.spec.concurrencyPolicy != "Allow" and facts.active:
        return reasons.SKIPPED_OVERLAP
    return ""
