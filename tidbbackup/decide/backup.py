"""Runs a live Backup: from a valid spec over its Job to Complete or Failed.

The table of states is in docs/invariants.md.

Leaves Backups that are being deleted to gc. Must not know how its Plan is carried out.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from tidbbackup.decide.aftermath import earlier, finished, inspection, release
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
from tidbbackup.decide.run.job_state import (
    Foreign,
    Former,
    NotStarted,
    Ours,
    Reported,
    Silent,
    Working,
    job_state,
)
from tidbbackup.decide.run.life import Life, life_of
from tidbbackup.decide.run.name_lock import remove, taken
from tidbbackup.decide.run.ownership import JOB_KIND, events_of_start, job_key, owned_by, pods_of
from tidbbackup.decide.spec.task import archive_url, notices
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
    life = life_of(facts, backup, now)
    mended = earlier.brought_up_to_date(life) or given_up.started_after_all(life)
    if mended:
        return Plan(mended)
    if backup.status.phase in _FINAL:
        return release.beside(finished.decide(life), life)
    match life.run:
        case Foreign() | Former() as held:
            return _name_is_held(life, held)
        case Ours() as run:
            return _follow(life, run)
    if retry.is_to_come(backup):
        return _next_attempt(life)
    if backup.status.phase in (Phase.SCHEDULED, Phase.RUNNING):
        return _job_is_missing(life)
    return _begin(life)


def _unreadable(backup: Backup, why: str) -> Plan:
    # From before our schema, perhaps another operator's history: its status is not known, so not written.
    message = f"this Backup cannot be read ({why}): it is not run; mend its spec, or create it anew"
    return Plan((Announce(KIND, backup.metadata, "Warning", reasons.INVALID_SPEC, message),))


def _leave_alone(backup: Backup) -> Plan:
    message = f"this Backup is neither run nor cleaned nor counted: {backup.foreign}"
    return Plan((Announce(KIND, backup.metadata, "Warning", reasons.FOREIGN_BACKUP, message),))


def _name_is_held(life: Life, held: Foreign | Former) -> Plan:
    if isinstance(held, Former):
        return remove(held)
    cause = taken(held)
    text = f"{cause.message}, or create this Backup under another name"
    return Plan(ending.fail(life.backup, Cause(cause.reason, text), life.now))


def _name_is_held_unseen(life: Life) -> Plan:
    """A Job of our name that the cache does not show: it lacks our labels, or the cache lags behind."""
    key = job_key("backup", life.backup)
    look = Look(JOB_KIND, key.namespace, name=key.name)
    found = life.look_up(look, Job)
    states = [job_state(job, life.facts.pods, life.backup, life.now) for job in found]
    plans = [_name_is_held(life, held) for held in states if isinstance(held, Foreign | Former)]
    return attrs.evolve(plans[0] if plans else NOTHING, wake_at=life.now + _FIRST_QUESTION)


def _begin(life: Life) -> Plan:
    backup, now = life.backup, life.now
    if life.problems:
        return _wrong(backup, "; ".join(map(str, life.problems)), now)
    if life.refusal is not None:
        return _refused(life, life.refusal)
    if FINALIZER not in backup.metadata.finalizers:
        return _remember(backup)
    if backup.status.backupPath != archive_url(backup):
        # Before the Job: from here on the schema refuses any change of what names the archive.
        return Plan((_say_where(backup),))
    create = Create(backup_job(backup, life.facts.image))
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


def _next_attempt(life: Life) -> Plan:
    cause = retry.given_up(life.backup, life.now)
    if cause is None:
        return retry.make_way(life) or _begin(life)
    # The former attempt's Jobs go first: once it is Failed nobody would look for them any more.
    return Plan((*retry.clear(life), *ending.fail(life.backup, cause, life.now)))


def _refused(life: Life, refusal: Refusal) -> Plan:
    backup, now, message = life.backup, life.now, refusal.message
    if refusal.status == 409:
        return _name_is_held_unseen(life)
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


def _job_is_missing(life: Life) -> Plan:
    key = job_key("backup", life.backup)
    look = Look(JOB_KIND, key.namespace, name=key.name)
    if any(owned_by(job, life.backup) for job in life.look_up(look, Job)):
        return NOTHING  # The cache lags behind; the Job's arrival in it wakes us.
    cause = Cause(reasons.JOB_DELETED, f"Job {key.name} was deleted from outside while the backup ran")
    return _after_silence(life, cause)


def _follow(life: Life, run: Ours) -> Plan:
    backup, now = life.backup, life.now
    match run:
        case Reported(result=result):
            return Plan(ending.finish(backup, result, now))
        case Silent(pod_known=False):
            return _look_for_its_pod(life, run)
        case Silent(cause=cause):
            return _after_silence(life, cause)
        case Working(since=since):
            # Told again: dying after the Job's creation leaves a run whose status tells nothing.
            status = attrs.evolve(_told_at_the_start(backup, now), timeStarted=since)
            cause = Cause(reasons.POD_STARTED, "the worker runs")
            return Plan(move(backup, Phase.RUNNING, cause, now, status=status), wake_at=life.lost_at)
        case NotStarted() if life.status.phase != Phase.RUNNING:
            return _wait(life, run)
    return NOTHING  # The cache of pods lags behind that of Backups: no way leads back.


def _look_for_its_pod(life: Life, run: Silent) -> Plan:
    pods = life.look_up(pods_of(life.backup, "backup"), Pod)
    found = job_state(run.job, pods, life.backup, life.now)
    if isinstance(found, Silent) and not found.pod_known:
        return _after_silence(life, found.cause)
    return _follow(life, found) if isinstance(found, Ours) else NOTHING


def _after_silence(life: Life, cause: Cause) -> Plan:
    """The run is over and the worker had no say."""
    backup, now = life.backup, life.now
    found = inspection.inspect(life, cause)
    if isinstance(found, WorkerResult):
        return Plan(ending.finish(backup, found, now, inspected=True))
    if isinstance(found, Cause):
        return Plan(ending.end_attempt(backup, found, now))
    say = move(backup, Phase.RUNNING, found.cause, now, status=_told_at_the_start(backup, now))
    return Plan((*found.actions, *say), wake_at=found.wake_at)


def _wait(life: Life, run: NotStarted) -> Plan:
    backup, now = life.backup, life.now
    deadline = run.created + timedelta(seconds=backup.spec.pendingDeadlineSeconds)
    question = min(run.created + _FIRST_QUESTION, deadline)
    if now < question:
        # For the first moments every pod waits for something; to name it would only alarm.
        return Plan(_scheduled(backup, None, now), wake_at=question)
    cause = run.cause
    if cause is None or cause.reason == reasons.VOLUME_UNAVAILABLE:
        look = events_of_start(run.job, run.pods, of_claim=cause is not None)
        events = life.look_up(look, Happening)
        cause = diagnosis.why_in_events(events) or cause
    if now < deadline:
        return Plan(_scheduled(backup, cause, now), wake_at=min(now + _NEXT_QUESTION, deadline))
    cause = cause or Cause(reasons.PENDING_TOO_LONG, "nothing tells why its pod does not start")
    text = f"the pod did not start within {backup.spec.pendingDeadlineSeconds} s: {cause.message}"
    # Status first: were the Job deleted first and we died, all that is left would say JobDeleted.
    stop = Delete(job_key("backup", backup), run.job.metadata.uid)
    return Plan((*ending.end_attempt(backup, Cause(cause.reason, text), now), stop))
