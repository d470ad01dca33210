"""Runs a live Backup: from a valid spec over its Job to Complete or Failed.

Leaves Backups that are being deleted to gc. Must not know how its Plan is carried out.
"""

from __future__ import annotations

from datetime import datetime

from tidbbackup.decide import rows
from tidbbackup.decide.aftermath import finished, inspection
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import NOTHING, Action, Announce, Plan
from tidbbackup.decide.run import ending, retry
from tidbbackup.decide.run.beginning import begin, name_is_held, next_attempt, remember
from tidbbackup.decide.run.following import until_it_ends
from tidbbackup.decide.run.job_state import Foreign, Former, Ours, Reported, Silent
from tidbbackup.decide.run.life import BackupLife, Ended, Finished, life_of
from tidbbackup.decide.run.stopping import ended, never_began, until_it_is_gone
from tidbbackup.decide.status import Cause
from tidbbackup.model import reasons
from tidbbackup.model.names import BEGUN_UID, FINALIZER
from tidbbackup.model.resource.backup import KIND, Backup, Phase, RunEnd


def decide(facts: BackupFacts, now: datetime) -> Plan:
    """What to do about one Backup; the first row that fits wins."""
    backup = facts.backup
    if backup is None or backup.metadata.deletionTimestamp is not None:
        return NOTHING.by(rows.Living.GONE)
    if facts.unreadable:
        return _unreadable(backup, facts.unreadable).by(rows.Living.UNREADABLE)
    if backup.foreign:
        return _leave_alone(backup).by(rows.Living.FOREIGN)
    if FINALIZER in backup.metadata.finalizers and BEGUN_UID not in backup.metadata.annotations:
        # Somebody has removed it.
        return remember(backup).by(rows.Living.NOT_REMEMBERED)
    return _go_on(life_of(facts, backup, now))


def _go_on(life: BackupLife) -> Plan:
    match life.stage:
        case Finished():
            return finished.decide(life)
        case Ended(end) if end.stopped:
            return (until_it_is_gone(life) or Plan(_given_up(life, end))).by(rows.Living.STOPPED)
        case Ended(end):
            return inspection.decide(life, end)
        case Foreign() | Former() as held:
            return name_is_held(life, held)
        case Ours():
            return _follow(life)
    if retry.is_to_come(life.backup):
        return next_attempt(life)
    if life.status.phase in (Phase.SCHEDULED, Phase.RUNNING):
        return _job_is_missing(life).by(rows.Living.JOB_MISSING)
    return begin(life)


def _unreadable(backup: Backup, why: str) -> Plan:
    # From before our schema, perhaps another operator's history: its status is not known, so not written.
    message = f"this Backup cannot be read ({why}): it is not run; correct its spec, or create it again"
    return Plan((Announce(KIND, backup.metadata, "Warning", reasons.INVALID_SPEC, message),))


def _leave_alone(backup: Backup) -> Plan:
    message = f"this Backup is neither run nor cleaned nor counted: {backup.foreign}"
    return Plan((Announce(KIND, backup.metadata, "Warning", reasons.FOREIGN_BACKUP, message),))


def _job_is_missing(life: BackupLife) -> Plan:
    if life.has_unseen_job():
        return NOTHING
    # Whoever deletes the Job wants the run stopped: the storage is not inspected.
    text = f"Job {life.job_key.name} was deleted from outside while the backup ran"
    cause = Cause(reasons.JOB_DELETED, text)
    return Plan(ending.end_attempt(life.backup, cause, life.now, ended(life, cause)))


def _follow(life: BackupLife) -> Plan:
    backup, now = life.backup, life.now
    match life.settled(life.run, "backup"):
        case Reported(result=result):
            return Plan(ending.finish(backup, result, now), row=rows.Living.REPORTED)
        case Silent(cause=cause) as silent if life.problems or never_began(life, silent):
            status = ended(life, cause, began=not never_began(life, silent))
            return Plan(ending.end_attempt(backup, cause, now, status), row=rows.Living.NEVER_BEGAN)
        case Silent(cause=cause):
            return inspection.begin(life, cause).by(rows.Living.SILENT)
    return until_it_ends(life)


def _given_up(life: BackupLife, end: RunEnd) -> tuple[Action, ...]:
    """Its pod did not start in time, and is gone."""
    text = end.message
    if life.status.uploadLeftOpen:
        text = f"{text}; it started while it was stopped: what it has made is a failure's leftover"
    return ending.end_attempt(life.backup, Cause(end.reason, text), life.now, life.status)
