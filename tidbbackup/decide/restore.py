"""Runs a Restore: from a valid spec over its Job to Complete or Failed.

A Restore that is deleted needs nothing: its Job goes with it, and nothing else is deleted. Must not know how
its Plan is carried out.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
from attrs import frozen

from tidbbackup.decide import rows
from tidbbackup.decide.facts import Facts, Refusal
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
from tidbbackup.decide.render import WorkerImage, restore_job
from tidbbackup.decide.run import diagnosis
from tidbbackup.decide.run.beginning import FIRST_QUESTION, NEXT_QUESTION
from tidbbackup.decide.run.job_state import (
    Foreign,
    Former,
    JobState,
    NotStarted,
    Ours,
    Reported,
    Silent,
    Working,
    job_state,
)
from tidbbackup.decide.run.name_lock import remove, taken
from tidbbackup.decide.run.ownership import JOB_KIND, events_of_start, look_for_job, owner_uid, pods_of
from tidbbackup.decide.spec.restored import Resolved, resolve, restore_notices
from tidbbackup.decide.status import Cause, hold_back, move, no_longer_held, warn
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.names import BEGUN_UID, RESTORE, job_name
from tidbbackup.model.resource.backup import Backup, Phase, RunEnd
from tidbbackup.model.resource.kubernetes import Happening, Job, Pod
from tidbbackup.model.resource.restore import KIND, Restore, RestoreStatus
from tidbbackup.model.units import format_duration

_KEEP_JOB = timedelta(days=1)
"""After the end: somebody may want the log of its pod."""
_AGAIN_THOUGH_WRONG = timedelta(minutes=10)
_GO_ON = (
    "what was loaded until then may be half; restore again with overwrite: Tables, which drops the tables of "
    "the archive first"
)


@frozen
class RestoreFacts(Facts):
    """All that a decision about one Restore is taken on."""

    restore: Restore | None
    image: WorkerImage
    job: Job | None = None
    """Whatever holds the name `restore-<rt>`, ours or not."""
    pods: tuple[Pod, ...] = ()
    """The pods that carry this Restore's name."""
    backup: Backup | None = None
    """The Backup that the spec names, if it is there."""


def decide(facts: RestoreFacts, now: datetime) -> Plan:
    """What to do about one Restore; the first row that fits wins."""
    restore = facts.restore
    if restore is None or restore.metadata.deletionTimestamp is not None:
        return NOTHING.by(rows.Restoring.GONE)
    run = job_state(facts.job, facts.pods, restore, now)
    wrong = f"cannot be read ({facts.unreadable})" if facts.unreadable else restore.foreign
    if wrong and isinstance(run, Ours) and BEGUN_UID not in restore.metadata.annotations:
        # Somebody has removed it: the Job tells that it is no copy.
        return Plan((_remember(restore),), row=rows.Restoring.NOT_REMEMBERED)
    if wrong:
        reason = reasons.INVALID_SPEC if facts.unreadable else reasons.FOREIGN_RESTORE
        say = Announce(KIND, restore.metadata, "Warning", reason, f"this Restore is not run: {wrong}")
        return Plan((say,), row=rows.Restoring.LEFT_ALONE)
    status = restore.status
    if status.condition(Phase.COMPLETE) or status.condition(Phase.FAILED):
        return _finished(restore, run, now)
    if status.runEnded is not None:
        return _stopped(restore, run, status.runEnded, facts, now).by(rows.Restoring.STOPPED)
    match run:
        case Former():
            return remove(run).by(rows.Restoring.NAME_FORMER)
        case Foreign():
            cause = taken(run)
            text = f"{cause.message}, or create this Restore under another name"
            failed = _failed(restore, Cause(cause.reason, text), now)
            return Plan(failed, row=rows.Restoring.NAME_TAKEN)
        case Ours():
            return _follow(restore, run, facts, now)
    if status.phase in (Phase.SCHEDULED, Phase.RUNNING):
        return _job_is_missing(restore, facts, now)
    return _begin(restore, facts, now)


def job_key(restore: Restore) -> ObjectKey:
    """The key of this Restore's Job."""
    meta = restore.metadata
    return ObjectKey(JOB_KIND, meta.namespace, job_name(RESTORE, meta.name))


def _begin(restore: Restore, facts: RestoreFacts, now: datetime) -> Plan:
    meta = restore.metadata
    resolved = resolve(restore, facts.backup)
    if not isinstance(resolved, Resolved):
        cause = Cause(reasons.INVALID_SPEC, "; ".join(map(str, resolved)))
        invalid = move(restore, Phase.INVALID, cause, now, status=no_longer_held(restore.status))
        return Plan(invalid, row=rows.Restoring.INVALID)
    if facts.refusal is not None:
        return _refused(restore, facts.refusal, facts, now).by(rows.Restoring.REFUSED)
    if BEGUN_UID not in meta.annotations:
        # Before anything else is written: a copy of it must not load again.
        return Plan((_remember(restore),), row=rows.Restoring.NOT_REMEMBERED)
    url = resolved.task.target.url
    if restore.status.backupPath != url:
        # Before the Job: from here on the schema refuses any change of what is restored, and where.
        path = {"backupPath": url, "observedGeneration": meta.generation}
        write = PatchStatus(restore.key, meta.resourceVersion, path)
        return Plan((write,), row=rows.Restoring.NOT_LOCKED)
    if _still_loads(restore, facts, now):
        return Plan(wake_at=now + FIRST_QUESTION, row=rows.Restoring.POD_ENDS)
    create = Create(restore_job(restore, resolved, facts.image))
    # Dying here: the next run finds the Job with our uid and no phase, and follows it.
    made = (create, *_scheduled(restore, None, now))
    return Plan(made, now + FIRST_QUESTION, rows.Restoring.BEGIN)


def _remember(restore: Restore) -> Action:
    meta = restore.metadata
    begun = {BEGUN_UID: meta.uid}
    return SetFinalizers(restore.key, meta.resourceVersion, meta.finalizers, annotations=begun)


def _has_unseen_job(restore: Restore, facts: RestoreFacts) -> bool:
    """Whether it has a Job that the cache does not show."""
    found = facts.look_up(look_for_job(job_key(restore)), Job)
    return any(owner_uid(job, restore) == restore.metadata.uid for job in found)


def _still_loads(restore: Restore, facts: RestoreFacts, now: datetime) -> bool:
    """Whether a pod of a Job that is gone may load into the target: two would meet there."""
    pods = facts.look_up(pods_of(restore, RESTORE), Pod)
    return any(not pod.over and not diagnosis.is_out_of_reach(pod, now) for pod in pods)


def _refused(restore: Restore, refusal: Refusal, facts: RestoreFacts, now: datetime) -> Plan:
    text = f"the API server refuses the Job: {refusal.message}"
    if refusal.status == 409:
        for job in facts.look_up(look_for_job(job_key(restore)), Job):
            held = job_state(job, facts.pods, restore, now)
            if isinstance(held, Foreign):
                return Plan(_failed(restore, taken(held), now))
        return Plan(wake_at=now + FIRST_QUESTION)
    if refusal.status in (400, 422):
        cause = Cause(reasons.INVALID_SPEC, text)
        invalid = move(restore, Phase.INVALID, cause, now, status=no_longer_held(restore.status))
        return Plan(invalid, now + _AGAIN_THOUGH_WRONG)
    reason = reasons.QUOTA_EXCEEDED if refusal.quota_exceeded else reasons.POD_REFUSED
    cause = diagnosis.cured(reason, text)
    held_since = restore.status.condition(Phase.SCHEDULED)
    since = (held_since and held_since.lastTransitionTime) or now
    deadline = since + timedelta(seconds=restore.spec.pendingDeadlineSeconds)
    if now >= deadline:
        return Plan(_failed(restore, cause, now))
    return Plan(hold_back(restore, cause, now), min(now + NEXT_QUESTION, deadline))


def _follow(restore: Restore, run: JobState, facts: RestoreFacts, now: datetime) -> Plan:
    if isinstance(run, Silent) and not run.pod_known:
        run = job_state(run.job, facts.look_up(pods_of(restore, RESTORE), Pod), restore, now)
    match run:
        case Reported(result=result):
            return Plan(_reported(restore, result, now), row=rows.Restoring.REPORTED)
        case Silent(cause=cause):
            began = run.begun or restore.status.phase == Phase.RUNNING
            text = f"{cause.message}; {_GO_ON}" if began else cause.message
            return Plan(_failed(restore, Cause(cause.reason, text), now), row=rows.Restoring.SILENT)
        case Working(since=since):
            status = attrs.evolve(_told(restore, now), timeStarted=since)
            runs = move(
                restore, Phase.RUNNING, Cause(reasons.POD_STARTED, "the worker runs"), now, status=status
            )
            return Plan(runs, run.lost_at, rows.Restoring.WORKING)
        case NotStarted() if restore.status.phase != Phase.RUNNING:
            return _wait(restore, run, facts, now)
    return NOTHING.by(rows.Restoring.CACHE_LAGS)


def _wait(restore: Restore, run: NotStarted, facts: RestoreFacts, now: datetime) -> Plan:
    deadline = run.created + timedelta(seconds=restore.spec.pendingDeadlineSeconds)
    question = min(run.created + FIRST_QUESTION, deadline)
    if now < question:
        return Plan(_scheduled(restore, None, now), question, rows.Restoring.WAITING)
    cause = run.cause
    if cause is None:
        cause = diagnosis.why_in_events(facts.look_up(events_of_start(run.job, run.pods), Happening))
    if now < deadline:
        again = min(now + NEXT_QUESTION, deadline)
        return Plan(_scheduled(restore, cause, now), again, rows.Restoring.WAITING)
    cause = cause or Cause(reasons.PENDING_TOO_LONG, "nothing tells why its pod does not start")
    text = f"the pod did not start within {restore.spec.pendingDeadlineSeconds} s: {cause.message}"
    end = RunEnd(now.replace(microsecond=0), cause.reason, text, stopped=True)
    status = attrs.evolve(_told(restore, now), runEnded=end)
    write = move(restore, Phase.SCHEDULED, Cause(cause.reason, text), now, status=status)
    # Dying here: the next run finds in the status that it is stopped, and deletes the Job.
    stop = Delete(job_key(restore), run.job.metadata.uid)
    return Plan((*write, stop), row=rows.Restoring.OVERDUE)


def _stopped(restore: Restore, run: JobState, end: RunEnd, facts: RestoreFacts, now: datetime) -> Plan:
    """Its Job goes, with its pods; only then it is Failed."""
    if isinstance(run, Ours):
        return remove(run)
    if _has_unseen_job(restore, facts) or _still_loads(restore, facts, now):
        return Plan(wake_at=now + FIRST_QUESTION)
    return Plan(_failed(restore, Cause(end.reason, end.message), now))


def _job_is_missing(restore: Restore, facts: RestoreFacts, now: datetime) -> Plan:
    if _has_unseen_job(restore, facts):
        # The cache lags behind; the Job's arrival in it wakes us.
        return NOTHING.by(rows.Restoring.JOB_MISSING)
    if _still_loads(restore, facts, now):
        return Plan(wake_at=now + FIRST_QUESTION, row=rows.Restoring.POD_ENDS)
    text = f"Job {job_key(restore).name} was deleted from outside while it ran; {_GO_ON}"
    failed = _failed(restore, Cause(reasons.JOB_DELETED, text), now)
    return Plan(failed, row=rows.Restoring.JOB_MISSING)


def _finished(restore: Restore, run: JobState, now: datetime) -> Plan:
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


def _told(restore: Restore, now: datetime) -> RestoreStatus:
    return warn(restore.status, restore_notices(restore.spec), now)


def _scheduled(restore: Restore, waiting: Cause | None, now: datetime) -> tuple[Action, ...]:
    name = job_key(restore).name
    cause = waiting or Cause(reasons.JOB_CREATED, f"Job {name} is made, its pod has not started yet")
    return move(restore, Phase.SCHEDULED, cause, now, status=_told(restore, now))


def _reported(restore: Restore, result: WorkerResult, now: datetime) -> tuple[Action, ...]:
    status = warn(restore.status, (*restore_notices(restore.spec), *result.notices), now)
    if result.outcome is not Outcome.COMPLETE:
        reason = result.reason or reasons.INTERNAL_ERROR
        cause = Cause(reason, result.message or "the worker gave no reason")
        return _failed(restore, cause, now, status, result)
    status = attrs.evolve(
        _timed(status, result.started, result.finished or now),
        commitTs=result.commitTs,
        databases=result.databases,
        databaseCount=result.databaseCount,
        tables=result.tables,
        rows=result.rows,
    )
    text = f"{result.tables} tables with {result.rows} rows in {status.timeTaken}"
    if reasons.MANIFEST_MISSING not in {notice.reason for notice in result.notices}:
        text = f"{text}, as many as in the archive"
    return move(restore, Phase.COMPLETE, Cause(reasons.RESTORED, text), now, status=status)


def _failed(
    restore: Restore,
    cause: Cause,
    now: datetime,
    status: RestoreStatus | None = None,
    result: WorkerResult | None = None,
) -> tuple[Action, ...]:
    status = attrs.evolve(status or restore.status, runEnded=None)
    started, finished = (result.started, result.finished) if result else (None, None)
    return move(restore, Phase.FAILED, cause, now, status=_timed(status, started, finished or now))


def _timed(status: RestoreStatus, started: datetime | None, finished: datetime) -> RestoreStatus:
    started = started or status.timeStarted
    return attrs.evolve(
        status,
        timeStarted=started and started.replace(microsecond=0),
        timeCompleted=finished.replace(microsecond=0),
        timeTaken=format_duration(finished - started) if started else "",
    )
