"""Runs a Restore: from a valid spec over its Job to Complete or Failed.

A Restore that is deleted needs nothing: its Job goes with it, and nothing else is deleted. Must not know how
its Plan is carried out.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
from attrs import frozen

from tidbbackup.decide import rows
from tidbbackup.decide.facts import RunFacts
from tidbbackup.decide.plan import (
    NOTHING,
    Action,
    Announce,
    Create,
    Delete,
    PatchStatus,
    Plan,
    SetFinalizers,
)
from tidbbackup.decide.pod import WorkerImage
from tidbbackup.decide.render import restore_job
from tidbbackup.decide.run import ending
from tidbbackup.decide.run.beginning import FIRST_QUESTION, name_is_held, refused, scheduled, wrong
from tidbbackup.decide.run.following import until_it_ends
from tidbbackup.decide.run.job_state import Foreign, Former, Ours, Reported, Silent, job_state
from tidbbackup.decide.run.life import Ended, Finished, Life
from tidbbackup.decide.run.name_lock import remove
from tidbbackup.decide.run.stopping import look_for_a_pod, until_it_is_gone
from tidbbackup.decide.spec.restored import Resolved, resolve, restore_notices
from tidbbackup.decide.status import Cause, move, warn
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.names import BEGUN_UID
from tidbbackup.model.resource.backup import Backup, Phase
from tidbbackup.model.resource.restore import KIND, Restore, RestoreStatus

_KEEP_JOB = timedelta(days=1)
"""After the end: somebody may want the log of its pod."""
_GO_ON = (
    "what was loaded until then may be half; restore again with overwrite: Tables, which drops the tables of "
    "the archive first"
)


@frozen
class RestoreFacts(RunFacts):
    """All that a decision about one Restore is taken on."""

    restore: Restore | None
    image: WorkerImage
    backup: Backup | None = None
    """The Backup that the spec names, if it is there."""
    dumps: tuple[str, ...] = ()
    """The Backups that dump now from the server into which it loads."""


@frozen(kw_only=True)
class RestoreLife(Life[RestoreStatus]):
    """All that is known of a Restore now."""

    restore: Restore
    facts: RestoreFacts


def decide(facts: RestoreFacts, now: datetime) -> Plan:
    """What to do about one Restore; the first row that fits wins."""
    restore = facts.restore
    if restore is None or restore.metadata.deletionTimestamp is not None:
        return NOTHING.by(rows.Restoring.GONE)
    run = job_state(facts.job, facts.pods, restore, now)
    unfit = f"cannot be read ({facts.unreadable})" if facts.unreadable else restore.foreign
    if unfit and isinstance(run, Ours) and BEGUN_UID not in restore.metadata.annotations:
        # Somebody has removed it: the Job tells that it is no copy.
        return Plan((_remember(restore),), row=rows.Restoring.NOT_REMEMBERED)
    if unfit:
        reason = reasons.INVALID_SPEC if facts.unreadable else reasons.FOREIGN_RESTORE
        say = Announce(KIND, restore.metadata, "Warning", reason, f"this Restore is not run: {unfit}")
        return Plan((say,), row=rows.Restoring.LEFT_ALONE)
    life = RestoreLife(
        subject=restore,
        restore=restore,
        facts=facts,
        now=now,
        status=restore.status,
        notices=restore_notices(restore.spec, facts.dumps),
        run=run,
    )
    return _go_on(life)


def _go_on(life: RestoreLife) -> Plan:
    match life.stage:
        case Finished():
            return _finished(life)
        case Ended(end):
            failed = ending.fail(life.restore, Cause(end.reason, end.message), life.now)
            return (until_it_is_gone(life) or Plan(failed)).by(rows.Restoring.STOPPED)
        case Foreign() | Former() as held:
            return name_is_held(life, held)
        case Ours():
            return _follow(life)
    if life.status.phase in (Phase.SCHEDULED, Phase.RUNNING):
        return _job_is_missing(life)
    return _begin(life)


def _begin(life: RestoreLife) -> Plan:
    restore, facts = life.restore, life.facts
    meta = restore.metadata
    resolved = resolve(restore, facts.backup)
    if not isinstance(resolved, Resolved):
        return wrong(life, "; ".join(map(str, resolved))).by(rows.Restoring.INVALID)
    if life.refusal is not None:
        return refused(life, life.refusal)
    if BEGUN_UID not in meta.annotations:
        # Before anything else is written: a copy of it must not load again.
        return Plan((_remember(restore),), row=rows.Restoring.NOT_REMEMBERED)
    url = resolved.task.target.url
    if restore.status.backupPath != url:
        # Before the Job: from here on the schema refuses any change of what is restored, and where.
        path = {"backupPath": url, "observedGeneration": meta.generation}
        write = PatchStatus(restore.key, meta.resourceVersion, path)
        return Plan((write,), row=rows.Restoring.NOT_LOCKED)
    if waits := look_for_a_pod(life):
        return waits.by(rows.Restoring.POD_ENDS)
    create = Create(restore_job(restore, resolved, facts.image))
    # Dying here: the next run finds the Job with our uid and no phase, and follows it.
    return Plan((create, *scheduled(life, None)), life.now + FIRST_QUESTION, rows.Restoring.BEGIN)


def _remember(restore: Restore) -> Action:
    meta = restore.metadata
    begun = {BEGUN_UID: meta.uid}
    return SetFinalizers(restore.key, meta.resourceVersion, meta.finalizers, annotations=begun)


def _follow(life: RestoreLife) -> Plan:
    restore, now = life.restore, life.now
    match life.settled(life.run, life.verb):
        case Reported(result=result):
            return Plan(_reported(life, result), row=rows.Restoring.REPORTED)
        case Silent(cause=cause) as run:
            began = run.begun or life.status.phase == Phase.RUNNING
            text = f"{cause.message}; {_GO_ON}" if began else cause.message
            return Plan(ending.fail(restore, Cause(cause.reason, text), now), row=rows.Restoring.SILENT)
    return until_it_ends(life)


def _job_is_missing(life: RestoreLife) -> Plan:
    if life.has_unseen_job():
        return NOTHING.by(rows.Restoring.JOB_MISSING)
    if waits := look_for_a_pod(life):
        return waits.by(rows.Restoring.POD_ENDS)
    text = f"Job {life.job_key.name} was deleted from outside while it ran; {_GO_ON}"
    failed = ending.fail(life.restore, Cause(reasons.JOB_DELETED, text), life.now)
    return Plan(failed, row=rows.Restoring.JOB_MISSING)


def _finished(life: RestoreLife) -> Plan:
    restore, run, now = life.restore, life.run, life.now
    ended = restore.status.timeCompleted or restore.metadata.creationTimestamp
    assert ended is not None
    ttl = restore.spec.ttlSecondsAfterFinished
    expires = None if ttl is None else ended + timedelta(seconds=ttl)
    if expires is not None and now >= expires:
        text = f"it ended {ttl} s ago (spec.ttlSecondsAfterFinished): the Restore is deleted"
        say = Announce(KIND, restore.metadata, "Normal", reasons.EXPIRED, text)
        return Plan((say, Delete(restore.key, restore.metadata.uid)), row=rows.Restoring.EXPIRED)
    plan = Plan(wake_at=expires, row=rows.Restoring.FINISHED)
    if not isinstance(run, Ours):
        return plan
    at = ended + _KEEP_JOB
    step = remove(run) if at <= now else Plan(wake_at=at)
    return attrs.evolve(plan, actions=step.actions).no_later(step.wake_at)


def _reported(life: RestoreLife, result: WorkerResult) -> tuple[Action, ...]:
    restore, now = life.restore, life.now
    status = warn(restore.status, (*life.notices, *result.notices), now)
    if result.outcome is not Outcome.COMPLETE:
        reason = result.reason or reasons.INTERNAL_ERROR
        cause = Cause(reason, result.message or "the worker gave no reason")
        return ending.fail(restore, cause, now, status, result.started, result.finished)
    status = attrs.evolve(
        ending.timed(status, result.started, result.finished or now),
        commitTs=result.commitTs,
        databases=result.databases,
        databaseCount=result.databaseCount,
        tables=result.tables,
        rows=result.rows,
    )
    text = f"{result.tables} tables with {result.rows} rows in {status.timeTaken}"
    if result.compared:
        text = f"{text}, as many as in the archive"
    return move(restore, Phase.COMPLETE, Cause(reasons.RESTORED, text), now, status=status)
