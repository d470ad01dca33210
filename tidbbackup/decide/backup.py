"""Runs a live Backup: from a valid spec over its Job to Complete or Failed.

The table of states is in docs/invariants.md.

Leaves Backups that are being deleted to gc. Must not know how its Plan is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs

from tidbbackup.decide.aftermath import finished, inspection, release
from tidbbackup.decide.facts import BackupFacts, Refusal
from tidbbackup.decide.plan import (
    NOTHING,
    Action,
    Announce,
    Create,
    Delete,
    Look,
    PatchStatus,
    Plan,
    SetFinalizers,
)
from tidbbackup.decide.render import backup_job
from tidbbackup.decide.run import diagnosis, ending, given_up, retry
from tidbbackup.decide.run.diagnosis import Broken, Ended, Unclear, Waiting, Working, verdict
from tidbbackup.decide.run.name_lock import Holder, holder, remove, taken
from tidbbackup.decide.run.ownership import (
    JOB_KIND,
    events_of_start,
    job_key,
    owned_by,
    pods_made_by,
    pods_of,
)
from tidbbackup.decide.spec.task import archive_url, notices
from tidbbackup.decide.spec.valid import problems
from tidbbackup.decide.status import Cause, hold_back, move, no_longer_held, warn
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import WorkerResult
from tidbbackup.model.names import BEGUN_UID, DUE_TIME, FINALIZER
from tidbbackup.model.resource.backup import KIND, Backup, BackupStatus, Phase
from tidbbackup.model.resource.kubernetes import Happening, Job, Pod

_FINAL = {Phase.COMPLETE, Phase.FAILED}
# A pod is given this long before its Events are asked why it does not start, and again each minute.
_FIRST_QUESTION = timedelta(seconds=10)
_NEXT_QUESTION = timedelta(minutes=1)
_AGAIN_THOUGH_WRONG = timedelta(minutes=10)


def decide(facts: BackupFacts, now: datetime) -> Plan:
    """What to do about one Backup; the first row that fits wins."""
    backup = facts.backup
    if backup is None or backup.metadata.deletionTimestamp is not None:
        return NOTHING
    if facts.unreadable:
        return _unreadable(backup, facts.unreadable)
    if backup.foreign:
        return _leave_alone(backup)
    if FINALIZER in backup.metadata.finalizers and BEGUN_UID not in backup.metadata.annotations:
        return _remember(backup)  # Begun by a version before this one, or somebody has removed it.
    mended = given_up.started_after_all(facts, backup, now)
    if mended:
        return Plan(mended)
    if backup.status.phase in _FINAL:
        return release.beside(finished.decide(facts, backup, now), facts, backup, now)
    if facts.job is not None and not owned_by(facts.job, backup):
        return _name_is_held(facts, backup, facts.job, now)
    if facts.job is not None:
        return _follow(facts, backup, facts.job, now)
    if retry.is_to_come(backup):
        return _next_attempt(facts, backup, now)
    if backup.status.phase in (Phase.SCHEDULED, Phase.RUNNING):
        return _job_is_missing(facts, backup, now)
    return _begin(facts, backup, now)


def _unreadable(backup: Backup, why: str) -> Plan:
    # From before our schema, perhaps another operator's history: its status is not known, so not written.
    message = f"this Backup cannot be read ({why}): it is not run; mend its spec, or create it anew"
    return Plan((Announce(KIND, backup.metadata, "Warning", reasons.INVALID_SPEC, message),))


def _leave_alone(backup: Backup) -> Plan:
    message = f"this Backup is neither run nor cleaned nor counted: {backup.foreign}"
    return Plan((Announce(KIND, backup.metadata, "Warning", reasons.FOREIGN_BACKUP, message),))


def _name_is_held(facts: BackupFacts, backup: Backup, job: Job, now: datetime) -> Plan:
    if holder(job, backup) is Holder.FORMER:
        return remove("backup", backup, job, facts.pods, now)
    held = taken(job)
    text = f"{held.message}, or create this Backup under another name"
    return Plan(ending.fail(backup, Cause(held.reason, text), now))


def _name_is_held_unseen(facts: BackupFacts, backup: Backup, now: datetime) -> Plan:
    """A Job of our name that the cache does not show: it lacks our labels, or the cache lags behind."""
    key = job_key("backup", backup)
    look = Look(JOB_KIND, key.namespace, name=key.name)
    found = facts.seen(look, Job)
    if found is None:
        return Plan(look=look)
    plans = [_name_is_held(facts, backup, job, now) for job in found if not owned_by(job, backup)]
    return attrs.evolve(plans[0] if plans else NOTHING, wake_at=now + _FIRST_QUESTION)


def _begin(facts: BackupFacts, backup: Backup, now: datetime) -> Plan:
    wrong = problems(backup.spec)
    if wrong:
        return _wrong(backup, "; ".join(str(problem) for problem in wrong), now)
    if facts.refusal is not None:
        return _refused(facts, backup, facts.refusal, now)
    if FINALIZER not in backup.metadata.finalizers:
        return _remember(backup)
    if backup.status.backupPath != archive_url(backup):
        # Before the Job: from here on the schema refuses any change of what names the archive.
        return Plan((_say_where(backup),))
    create = Create(backup_job(backup, facts.image))
    # Dying here: the next run finds the Job with our uid and no phase, and goes on with _follow.
    return Plan((create, *_scheduled(backup, None, now)), wake_at=now + _FIRST_QUESTION)


def _remember(backup: Backup) -> Plan:
    """Before the Job: a Backup that is deleted at once must not leave a run behind, and a copy of it must not
    run. What changes is the object itself, so its next version wakes us for the rest."""
    meta = backup.metadata
    finalizers = tuple(dict.fromkeys((*meta.finalizers, FINALIZER)))
    begun = {BEGUN_UID: meta.uid}
    return Plan((SetFinalizers(backup.key, meta.resourceVersion, finalizers, annotations=begun),))


def _say_where(backup: Backup) -> Action:
    path = {"backupPath": archive_url(backup), "observedGeneration": backup.metadata.generation}
    return PatchStatus(backup.key, backup.metadata.resourceVersion, path)


def _next_attempt(facts: BackupFacts, backup: Backup, now: datetime) -> Plan:
    cause = retry.given_up(backup, now)
    if cause is None:
        return retry.make_way(facts, backup, now) or _begin(facts, backup, now)
    left = retry.clear(facts, backup, now) or NOTHING
    # The former attempt's Jobs go first: once it is Failed nobody would look for them any more.
    return left if left.look else Plan((*left.actions, *ending.fail(backup, cause, now)))


def _refused(facts: BackupFacts, backup: Backup, refusal: Refusal, now: datetime) -> Plan:
    message = refusal.message
    if refusal.status == 409:
        return _name_is_held_unseen(facts, backup, now)
    if refusal.status in (400, 422):
        text = (
            f"the API server refuses the Job: {message}; mend what is passed on to the pod "
            "(spec.resources, env, tolerations, affinity, additionalVolumes, ...)"
        )
        # Perhaps it is not the spec that is wrong, but a policy of the cluster, which may be mended too. One
        # of a schedule stays as it is: the next due time makes another, and they would run side by side.
        again_at = None if DUE_TIME in backup.metadata.annotations else now + _AGAIN_THOUGH_WRONG
        return attrs.evolve(_wrong(backup, text, now), wake_at=again_at)
    reason = reasons.QUOTA_EXCEEDED if refusal.quota_exceeded else reasons.POD_REFUSED
    cause = diagnosis.cured(reason, f"the API server refuses the Job: {message}")
    due, held = retry.due(backup), backup.status.condition(Phase.SCHEDULED)
    since = due or (held and held.lastTransitionTime) or now
    deadline = since + timedelta(seconds=backup.spec.pendingDeadlineSeconds)
    if now >= deadline:
        return Plan(ending.fail(backup, cause, now))
    say = Announce(KIND, backup.metadata, "Warning", cause.reason, cause.message)
    # A later attempt is Scheduled already; the first one's status tells since when it is held back.
    told = (say,) if due else hold_back(backup, cause, now)
    return Plan(told, wake_at=min(now + _NEXT_QUESTION, deadline))


def _wrong(backup: Backup, text: str, now: datetime) -> Plan:
    cause = Cause(reasons.INVALID_SPEC, text)
    if backup.tried_before:
        # Invalid lets the fields be edited by which the leftovers of the attempts before are found.
        return Plan(ending.fail(backup, cause, now))
    return Plan(move(backup, Phase.INVALID, cause, now, status=no_longer_held(backup.status)))


def _scheduled(backup: Backup, waiting: Cause | None, now: datetime) -> tuple[Action, ...]:
    name = job_key("backup", backup).name
    cause = waiting or Cause(reasons.JOB_CREATED, f"Job {name} is made, its pod has not started yet")
    return move(backup, Phase.SCHEDULED, cause, now, status=_told_at_the_start(backup, now))


def _told_at_the_start(backup: Backup, now: datetime) -> BackupStatus:
    # A spec that was edited before this status is written may be wrong by now; its Job is not.
    path = backup.status.backupPath or archive_url(backup)
    status = retry.has_begun(attrs.evolve(backup.status, backupPath=path), now)
    return warn(status, notices(backup.spec), now)


def _job_is_missing(facts: BackupFacts, backup: Backup, now: datetime) -> Plan:
    key = job_key("backup", backup)
    look = Look(JOB_KIND, key.namespace, name=key.name)
    found = facts.seen(look, Job)
    if found is None:
        return Plan(look=look)
    if any(owned_by(job, backup) for job in found):
        return NOTHING  # The cache lags behind; the Job's arrival in it wakes us.
    cause = Cause(reasons.JOB_DELETED, f"Job {key.name} was deleted from outside while the backup ran")
    return _after_silence(facts, backup, (), cause, now)


def _follow(facts: BackupFacts, backup: Backup, job: Job, now: datetime) -> Plan:
    found = verdict(job, pods_made_by(job, facts.pods), now)
    if isinstance(found, Unclear):
        look = pods_of(backup, "backup")
        pods = facts.seen(look, Pod)
        if pods is None:
            return Plan(look=look)
        found = verdict(job, pods_made_by(job, pods), now)
        if isinstance(found, Unclear):
            found = Broken(diagnosis.why_job_ended(job))
    if isinstance(found, Ended):
        return Plan(ending.finish(backup, found.result, now))
    if isinstance(found, Broken):
        return _after_silence(facts, backup, pods_made_by(job, facts.pods), found.cause, now)
    if isinstance(found, Working):
        # Told again: dying after the Job's creation leaves a run whose status tells nothing.
        status = attrs.evolve(_told_at_the_start(backup, now), timeStarted=found.since)
        say = move(backup, Phase.RUNNING, Cause(reasons.POD_STARTED, "the worker runs"), now, status=status)
        return Plan(say, wake_at=diagnosis.next_out_of_reach(facts.pods, now))
    return _wait(facts, backup, job, found, now)


def _after_silence(
    facts: BackupFacts, backup: Backup, pods: Sequence[Pod], cause: Cause, now: datetime
) -> Plan:
    """The run is over and the worker had no say."""
    found = inspection.inspect(facts, backup, pods, cause, now)
    if isinstance(found, WorkerResult):
        return Plan(ending.finish(backup, found, now, whole=reasons.ARCHIVE_FOUND))
    if isinstance(found, Cause):
        return Plan(ending.end_attempt(backup, found, now))
    say = move(backup, Phase.RUNNING, found.cause, now, status=_told_at_the_start(backup, now))
    return Plan((*found.actions, *say), wake_at=found.wake_at)


def _wait(facts: BackupFacts, backup: Backup, job: Job, found: Waiting, now: datetime) -> Plan:
    if backup.status.phase == Phase.RUNNING:
        return NOTHING  # The cache of pods lags behind that of Backups: no way leads back.
    assert job.metadata.creationTimestamp is not None
    since = job.metadata.creationTimestamp
    deadline = since + timedelta(seconds=backup.spec.pendingDeadlineSeconds)
    question = min(since + _FIRST_QUESTION, deadline)
    if now < question:
        # For the first moments every pod waits for something; to name it would only alarm.
        return Plan(_scheduled(backup, None, now), wake_at=question)
    cause = found.cause
    if cause is None or cause.reason == reasons.VOLUME_UNAVAILABLE:
        look = events_of_start(job, facts.pods, of_claim=cause is not None)
        events = facts.seen(look, Happening)
        if events is None:
            return Plan(look=look)
        cause = diagnosis.why_in_events(events) or cause
    if now < deadline:
        return Plan(_scheduled(backup, cause, now), wake_at=min(now + _NEXT_QUESTION, deadline))
    cause = cause or Cause(reasons.PENDING_TOO_LONG, "nothing tells why its pod does not start")
    text = f"the pod did not start within {backup.spec.pendingDeadlineSeconds} s: {cause.message}"
    # Status first: were the Job deleted first and we died, all that is left would say JobDeleted.
    stop = Delete(job_key("backup", backup), job.metadata.uid)
    return Plan((*ending.end_attempt(backup, Cause(cause.reason, text), now), stop))
