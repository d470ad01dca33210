"""Ends a Backup's life: stops its run, has its leftovers and data cleaned, removes our finalizer.

The finalizer is removed as soon as nothing remains to do, and nothing is deleted that the policy did not
ask for. Must not know how a Plan is carried out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import attrs

from tidbbackup.decide import rows
from tidbbackup.decide.aftermath import finalizer
from tidbbackup.decide.aftermath.finished import not_put_back, not_put_back_yet
from tidbbackup.decide.aftermath.job import Step, follow, tried_until
from tidbbackup.decide.aftermath.left import done, left_to_clean
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import NOTHING, Action, Announce, Plan
from tidbbackup.decide.run import diagnosis, ending, retry
from tidbbackup.decide.run.job_state import (
    Absent,
    Foreign,
    Former,
    JobState,
    NotStarted,
    Ours,
    Reported,
    Silent,
    Working,
)
from tidbbackup.decide.run.life import BackupLife, Ended, life_of
from tidbbackup.decide.run.name_lock import remove
from tidbbackup.decide.run.stopping import ended, look_for_a_run, never_began, stop, until_it_is_gone
from tidbbackup.decide.status import Cause, move, update_status
from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Aftermath, Data, Part, PartResult
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.names import FINALIZER
from tidbbackup.model.resource.backup import KIND, Phase

_NEXT_LOOK = timedelta(seconds=10)
_RELEASE_TRIES = timedelta(seconds=45)
"""For so long a GC life time that is not put back holds up a deletion."""


def decide(facts: BackupFacts, now: datetime) -> Plan:
    """What to do about one Backup that is being deleted; the first row that fits wins."""
    backup = facts.backup
    if backup is None or backup.metadata.deletionTimestamp is None:
        return NOTHING.by(rows.Leaving.NOT_OURS)
    if FINALIZER not in backup.metadata.finalizers:
        return NOTHING.by(rows.Leaving.NOT_OURS)
    if backup.foreign or facts.unreadable:
        return Plan((finalizer.let_go(backup),), row=rows.Leaving.FOREIGN)
    return _end_run(life_of(facts, backup, now))


def _end_run(life: BackupLife) -> Plan:
    """First its run ends, and the status tells how."""
    backup, now = life.backup, life.now
    match life.stage:
        case Ended(end) if end.stopped and (waits := until_it_is_gone(life)):
            return waits.by(rows.Leaving.STOPPED)
        case NotStarted() | Working() as run:
            return _stop(life, run).by(rows.Leaving.STOP)
        case Silent() | Reported() as run:
            return _write_its_end(life, life.settled(run, "backup"))
        case Absent() | Foreign() | Former() if waits := look_for_a_run(life):
            return waits.by(rows.Leaving.UNSEEN)
        case Absent() | Foreign() | Former() if retry.is_to_come(backup):
            cause = Cause(reasons.RUN_STOPPED, "the Backup is being deleted: its next attempt is not made")
            status = ended(life, cause, stopped=True, began=False)
            write = move(backup, Phase.SCHEDULED, cause, now, status=status)
            return Plan(write, row=rows.Leaving.NO_RETRY)
        case Absent() | Foreign() | Former() if life.status.phase in (Phase.SCHEDULED, Phase.RUNNING):
            cause = Cause(reasons.JOB_DELETED, "its Job was deleted from outside")
            write = move(backup, Phase.RUNNING, cause, now, status=ended(life, cause))
            return Plan(write, row=rows.Leaving.JOB_MISSING)
    if life.awaited:
        # Over means that its pods are gone too: their end wakes us.
        return Plan(wake_at=life.lost_at, row=rows.Leaving.POD_ENDS)
    return _clean_up(life, left_to_clean(backup))


def _stop(life: BackupLife, run: Ours) -> Plan:
    when = "is stopped" if run.begun else "is stopped before it began"
    cause = Cause(reasons.RUN_STOPPED, f"the Backup is being deleted: its run {when}")
    say = Announce(KIND, life.backup.metadata, "Normal", cause.reason, cause.message)
    plan = stop(life, run, cause)
    return attrs.evolve(plan, actions=(say, *plan.actions))


def _write_its_end(life: BackupLife, run: object) -> Plan:
    """As if the Backup lived, but no other attempt follows."""
    backup, now = life.backup, life.now
    match run:
        case Reported(result=WorkerResult(outcome=Outcome.COMPLETE) as result):
            return Plan(ending.finish(backup, result, now), row=rows.Leaving.REPORTED)
        case Reported(result=result):
            without_retry = attrs.evolve(backup, spec=attrs.evolve(backup.spec, backoffRetryPolicy=None))
            return Plan(ending.finish(without_retry, result, now), row=rows.Leaving.REPORTED)
        case Silent(cause=cause) as silent:
            status = ended(life, cause, began=not never_began(life, silent))
            write = move(backup, Phase.RUNNING, cause, now, status=status)
            return Plan(write, row=rows.Leaving.SILENT)
    # Its pod was looked at: the cache lags behind.
    return Plan(wake_at=now + _NEXT_LOOK, row=rows.Leaving.UNSEEN)


def _clean_up(life: BackupLife, wanted: Aftermath) -> Plan:
    """Its run is over."""
    backup = life.backup
    job, wanted_gone = life.aftermath, wanted.data is not Data.KEEP
    if not wanted and isinstance(job, NotStarted | Working | Silent) and (job.stoppable or job.lost):
        # It was told otherwise before the policy was edited: it may still delete what is to be kept.
        return remove(job).by(rows.Leaving.NOT_WANTED)
    if not wanted:
        return _nothing_left(life)
    if isinstance(job, Absent) and (waits := look_for_a_run(life)):
        return waits.by(rows.Leaving.UNSEEN)
    if Part.CLEAN in wanted and not _has_cleaned(job):
        going = finalizer.if_the_crd_goes(life.facts, backup, wanted_gone=wanted_gone)
        if going is not None:
            # Nothing is let go while a cleaning goes on.
            return (remove(job) if isinstance(job, Ours) else going).by(rows.Leaving.CRD_GOES)
    if wanted_gone and isinstance(job, Absent) and life.facts.readers:
        # The end of the last one wakes us.
        return Plan((_say_read(life),), row=rows.Leaving.READ)
    if life.refusal is not None and life.refusal.namespace_terminating:
        going = finalizer.as_the_namespace_goes(backup, wanted_gone=wanted_gone)
        return going.by(rows.Leaving.NAMESPACE_GOES)
    deleted = backup.metadata.deletionTimestamp
    assert deleted is not None
    step = follow(life, wanted, deleted)
    if Part.CLEAN in wanted:
        return _follow_cleaning(life, step)
    return _follow_release(life, step, deleted)


def _say_read(life: BackupLife) -> Action:
    names = ", ".join(f"{each.namespace}/{each.name}" for each in life.facts.readers[:3])
    text = (
        f"{life.archive_url} is deleted once no Restore reads it any more (now: {names}); "
        "to delete it at once, delete the Restore"
    )
    return Announce(KIND, life.backup.metadata, "Normal", reasons.ARCHIVE_IN_USE, text)


def _has_cleaned(job: JobState) -> bool:
    told = job.result.part(Part.CLEAN) if isinstance(job, Reported) else None
    return told is not None and told.done


def _nothing_left(life: BackupLife) -> Plan:
    # Complete is the one phase that proves by itself that no run goes on.
    complete = life.status.condition(Phase.COMPLETE) is not None
    if not complete and (waits := look_for_a_run(life)):
        return waits.by(rows.Leaving.UNSEEN)
    told = life.status.phase == Phase.CLEAN
    say = () if told else (finalizer.say_kept(life.backup, life.archive_url if complete else ""),)
    return Plan((*say, finalizer.let_go(life.backup)), row=rows.Leaving.NOTHING_LEFT)


def _follow_cleaning(life: BackupLife, step: Step) -> Plan:
    backup, told = life.backup, step.report.part(Part.CLEAN) if step.report else None
    if step.report and told and told.done:
        # Dying here: the next run finds the phase Clean, or else the Job's report once more.
        return Plan(_cleaned(life, step.report, told), row=rows.Leaving.CLEANED)
    if step.report:
        return Plan(update_status(backup, done(life.status, step.report)), row=rows.Leaving.RELEASED)
    say = _clean_failed(life, step.trouble) if step.trouble else _say_lost(life)
    return Plan((*step.actions, *say), step.wake_at, rows.Leaving.CLEANING)


def _cleaned(life: BackupLife, report: WorkerResult, told: PartResult) -> tuple[Action, ...]:
    backup, notices = life.backup, "; ".join(notice.message for notice in report.notices)
    status = attrs.evolve(done(life.status, report), uploadLeftOpen=False)
    kind: Literal["Normal", "Warning"] = "Normal"
    cause = Cause(reasons.DATA_KEPT, "what the run left open is cleaned, no archive is deleted")
    left = [notice.reason for notice in report.notices if notice.reason in reasons.LEFT_IN_THE_BUCKET]
    if left:
        kind, cause = "Warning", Cause(left[0], notices)
    elif told.reason == reasons.ARCHIVE_DELETED:
        text = f"{life.archive_url} is deleted"
        cause = Cause(reasons.ARCHIVE_DELETED, f"{text}; {notices}" if notices else text)
    elif left_to_clean(backup).data is Data.LOG:
        cause = Cause(reasons.DATA_KEPT, f"{status.log} is deleted, the run has left nothing else")
    elif left_to_clean(backup).data is Data.DELETE_UNLESS_WHOLE:
        text = f"the backup is whole: {life.archive_url} is kept"
        if not told.reason:
            unknown = "kept if the backup is whole, and deleted if not: no result tells which"
            text = f"{life.archive_url} is {unknown}"
        cause = Cause(reasons.DATA_KEPT, text)
    say = Announce(KIND, backup.metadata, kind, cause.reason, cause.message)
    return (say, *move(backup, Phase.CLEAN, cause, life.now, status=status))


def _clean_failed(life: BackupLife, cause: Cause) -> tuple[Action, ...]:
    way_out = "to delete the Backup and keep the archive, set spec.cleanPolicy to Retain"
    if life.status.uploadLeftOpen:
        way_out = f"a multipart upload may be open; to leave it so, remove the finalizer {FINALIZER}"
    text = f"{cause.message}; {way_out}"
    return move(life.backup, Phase.CLEAN_FAILED, Cause(cause.reason, text), life.now)


def _follow_release(life: BackupLife, step: Step, deleted: datetime) -> Plan:
    """Nothing is left in the storage; what may be left in the database holds up the deletion for seconds."""
    backup, cleaned = life.backup, life.status.condition(Phase.CLEAN)
    since = (cleaned and cleaned.lastTransitionTime) or deleted
    until = tried_until(life, since + _RELEASE_TRIES, _RELEASE_TRIES)
    if step.report:
        return Plan(update_status(backup, done(life.status, step.report)), row=rows.Leaving.RELEASED)
    if life.now >= until:
        left = attrs.evolve(life.status, gcLifeTimeHeld=False)
        given_up = (not_put_back(backup), *update_status(backup, left))
        return Plan(given_up, row=rows.Leaving.RELEASE_GIVEN_UP)
    say = (not_put_back_yet(backup, step.trouble),) if step.trouble else ()
    return Plan((*step.actions, *say), step.wake_at, rows.Leaving.RELEASING).no_later(until)


def _say_lost(life: BackupLife) -> tuple[Action, ...]:
    """A pod that is not waited for any more may be at work all the same, on a node that is only cut off. It
    opened its one upload before its dump: once that is aborted, it can complete nothing."""
    lost = [diagnosis.lost(pod) for pod in life.at_work]
    return tuple(Announce(KIND, life.backup.metadata, "Warning", each.reason, each.message) for each in lost)
