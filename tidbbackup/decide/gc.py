"""Ends a Backup's life: stops its run, has its leftovers and data cleaned, lets it go.

The finalizer is dropped as soon as nothing remains to do, and nothing is deleted that the policy did not
ask for. Must not know how a Plan is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import frozen

from tidbbackup.decide import farewell, release
from tidbbackup.decide.diagnosis import Broken, Ended, Verdict, Waiting, succeeded, verdict, why_in_events
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import NOTHING, Action, Announce, Create, Delete, Look, Plan
from tidbbackup.decide.render import clean_job
from tidbbackup.decide.run import (
    JOB_KIND,
    events_of_start,
    job_key,
    may_work_for,
    of_a_former,
    owned_by,
    pods_made_by,
    pods_of,
    runs,
)
from tidbbackup.decide.status import Cause, move
from tidbbackup.decide.storage_target import object_target
from tidbbackup.decide.task import clean_policy
from tidbbackup.decide.valid import problems
from tidbbackup.model import reasons
from tidbbackup.model.backup import KIND, WARNING, Backup, CleanPolicy, Phase
from tidbbackup.model.jobs import Happening, Job, Pod
from tidbbackup.model.names import DELETES_DATA, FINALIZER
from tidbbackup.model.result import Outcome

_FIRST_RETRY = timedelta(seconds=10)
_LONGEST_WAIT = timedelta(minutes=10)
# A cleaning pod may take this long to start before that is worth a word.
_START_PATIENCE = timedelta(seconds=30)
_NEXT_QUESTION = timedelta(minutes=1)


@frozen
class Remains:
    """What is left to clean of a Backup that is going."""

    uploads: bool
    """A multipart upload may be open."""
    data: bool
    """An archive may be there, and the policy wants it gone."""
    unheard: bool = False
    """Nobody knows how far the run had come."""

    def __bool__(self) -> bool:
        return self.uploads or self.data


def decide(facts: BackupFacts, now: datetime) -> Plan:
    """What to do about one Backup that is being deleted; the first row that fits wins."""
    backup = facts.backup
    if backup is None or backup.metadata.deletionTimestamp is None:
        return NOTHING
    if FINALIZER not in backup.metadata.finalizers:
        return NOTHING
    if backup.foreign or facts.unreadable:
        return Plan((farewell.let_go(backup),))
    job = facts.job if facts.job is not None and owned_by(facts.job, backup) else None
    if job is not None and runs(job, facts.pods):
        return _stop_run(backup, job, facts.pods, now)
    if any(may_work_for(pod, backup) for pod in facts.pods):
        # Stopped means that its pods are gone too: their end wakes us.
        return _note_that_it_began(backup, facts.pods, now)
    remains = what_remains(backup, job, facts.pods)
    if backup.status.phase == Phase.CLEAN:
        return _leave(facts, backup, remains, (), now)
    if facts.clean_job is not None and _of_another_mind(facts.clean_job, backup, remains):
        return _stop_cleaning(backup, facts.clean_job)
    if not remains:
        return _end(facts, backup, remains, now)
    if not _is_cleaned(facts, backup):
        uninstalled = farewell.if_the_crd_goes(facts, backup)
        if uninstalled is not None:
            return _without_cleaning(facts, backup, uninstalled, now)
    wrong = problems(backup.spec)
    if wrong:
        return _clean_failed(backup, remains, Cause(reasons.INVALID_SPEC, "; ".join(map(str, wrong))), now)
    if facts.clean_job is None:
        return _clean(facts, backup, remains, now)
    return _follow_clean(facts, backup, facts.clean_job, remains, now)


def what_remains(backup: Backup, job: Job | None, pods: Sequence[Pod]) -> Remains:
    """What a Backup whose run is over or stopped may have left, by its phase, its policy and its last word.

    `job` is its own, if it is still there: it knows of a run, and of its end, that no status tells of yet.
    A worker that could say why it failed has aborted its upload; one that died without a word may have
    left anything, even a whole archive.
    """
    status = backup.status
    policy = clean_policy(backup)
    # What the last attempt says is no word of those before it, which died.
    tried_before = bool(status.backoffRetryStatus)
    if status.phase in ("", Phase.INVALID) and job is None and not tried_before:
        return Remains(uploads=False, data=False)
    completed = job is not None and succeeded(verdict(job, pods_made_by(job, pods)))
    if completed or status.condition(Phase.COMPLETE) is not None:
        return Remains(uploads=False, data=policy is CleanPolicy.DELETE)
    failed = status.condition(Phase.FAILED)
    warning = status.condition(WARNING)
    left_open = warning is not None and warning.reason == reasons.UPLOAD_LEFT_OPEN
    if failed is None and not tried_before and _stopped_before_it_began(backup):
        return Remains(uploads=False, data=False)
    if failed is None:
        return Remains(uploads=True, data=policy is not CleanPolicy.RETAIN, unheard=True)
    unknown = tried_before or failed.reason in reasons.DIED_WITHOUT_A_WORD
    data = unknown and policy is not CleanPolicy.RETAIN
    return Remains(uploads=unknown or left_open, data=data, unheard=unknown)


def _stop_run(backup: Backup, job: Job, pods: Sequence[Pod], now: datetime) -> Plan:
    made = pods_made_by(job, pods)
    untold = backup.status.phase in ("", Phase.INVALID)
    stopping = job.metadata.deletionTimestamp is not None
    if stopping and not untold:
        return _note_that_it_began(backup, made, now)
    began = backup.status.condition(Phase.RUNNING) is not None or any(map(_has_begun, made))
    when = "is stopped" if began else "is stopped before it began"
    cause = Cause(reasons.RUN_STOPPED, f"the Backup is being deleted: its run {when}")
    say = Announce(KIND, backup.metadata, "Normal", cause.reason, cause.message)
    # Written first: once the Job is gone, only the status tells whether there was a run to clean up after.
    # A phase that is final already (a run that was given up) tells enough.
    open_end = untold or backup.status.phase in (Phase.SCHEDULED, Phase.RUNNING)
    write = move(backup, Phase.RUNNING if began else Phase.SCHEDULED, cause, now) if open_end else ()
    stop = () if stopping else (Delete(job_key("backup", backup), job.metadata.uid),)
    return Plan((say, *write, *stop))


def _note_that_it_began(backup: Backup, pods: Sequence[Pod], now: datetime) -> Plan:
    """A worker that began just before its Job was deleted: what it may have left is cleaned, see
    what_remains. (One that ends before anybody saw it run has not come so far as to open an upload.)"""
    if backup.status.phase != Phase.SCHEDULED or not any(map(_has_begun, pods)):
        return NOTHING
    cause = Cause(reasons.RUN_STOPPED, "the Backup is being deleted: its run is stopped")
    return Plan(move(backup, Phase.RUNNING, cause, now))


def _has_begun(pod: Pod) -> bool:
    return pod.ended or pod.state.running is not None or pod.state.terminated is not None


def _stopped_before_it_began(backup: Backup) -> bool:
    """Its Job was deleted by us while its pod waited: a cleaning pod might wait for the same for ever."""
    scheduled = backup.status.condition(Phase.SCHEDULED)
    never_ran = backup.status.condition(Phase.RUNNING) is None
    return never_ran and scheduled is not None and scheduled.reason == reasons.RUN_STOPPED


def _end(facts: BackupFacts, backup: Backup, remains: Remains, now: datetime) -> Plan:
    # Only a result proves that a run is over: else a Job or pod may be there that no cache shows yet.
    over = backup.status.condition(Phase.COMPLETE) is not None
    running = None if over else _look_for_run(facts, backup, now)
    return running or _leave(facts, backup, remains, (farewell.say_kept(backup),), now)


def _leave(
    facts: BackupFacts, backup: Backup, remains: Remains, words: tuple[Action, ...], now: datetime
) -> Plan:
    """Nothing is left in the storage; what may be left in the database comes last."""
    step = release.before_leaving(facts, backup, now, unheard=remains.unheard)
    if step.over:
        return Plan((*step.actions, *words, farewell.let_go(backup)))
    return Plan(step.actions, wake_at=step.wake_at)


def _look_for_run(facts: BackupFacts, backup: Backup, now: datetime) -> Plan | None:
    """A live look for a Job or pod that the cache may not show yet; None once there surely is none."""
    key = job_key("backup", backup)
    look = Look(JOB_KIND, key.namespace, name=key.name)
    jobs = facts.seen(look, Job)
    if jobs is None:
        return Plan(look=look)
    for job in jobs:
        if owned_by(job, backup) and runs(job, facts.pods):
            return _stop_run(backup, job, facts.pods, now)
        if owned_by(job, backup) and facts.job is None:
            return Plan(wake_at=now + _FIRST_RETRY)  # What it tells of its run comes with the cache.
    pods_look = pods_of(backup, "backup")
    pods = facts.seen(pods_look, Pod)
    if pods is None:
        return Plan(look=pods_look)
    still_there = any(may_work_for(pod, backup) for pod in pods)
    return Plan(wake_at=now + _FIRST_RETRY) if still_there else None


def _clean(facts: BackupFacts, backup: Backup, remains: Remains, now: datetime) -> Plan:
    running = _look_for_run(facts, backup, now)
    if running is not None:
        return running
    refusal = facts.refusal
    if refusal is None:
        return Plan((Create(clean_job(backup, facts.image, delete_data=remains.data)),))
    if refusal.namespace_terminating:
        return farewell.as_the_namespace_goes(backup)
    reason = reasons.NAME_TAKEN if refusal.status == 409 else reasons.POD_REFUSED
    plan = _clean_failed(backup, remains, Cause(reason, refusal.message), now)
    return Plan(plan.actions, wake_at=now + _NEXT_QUESTION)


def _of_another_mind(job: Job, backup: Backup, remains: Remains) -> bool:
    """Whether a cleaning Job was told other than the policy, edited since, wants it now."""
    if not owned_by(job, backup):
        return False
    deletes = DELETES_DATA in job.metadata.annotations
    return deletes != remains.data and not (deletes and job.condition("Complete") is not None)


def _is_cleaned(facts: BackupFacts, backup: Backup) -> bool:
    job = facts.clean_job
    return job is not None and owned_by(job, backup) and job.condition("Complete") is not None


def _without_cleaning(facts: BackupFacts, backup: Backup, going: Plan, now: datetime) -> Plan:
    """A look at the CRD comes first; no farewell before a look at the run, nor while a cleaning goes on."""
    job = facts.clean_job
    if going.look is None and job is not None and owned_by(job, backup):
        return _stop_cleaning(backup, job)
    return going if going.look else _look_for_run(facts, backup, now) or going


def _stop_cleaning(backup: Backup, job: Job) -> Plan:
    # Until it is gone nothing else is done: it may still delete what is to be kept.
    if job.metadata.deletionTimestamp is not None:
        return NOTHING
    return Plan((Delete(job_key("clean", backup), job.metadata.uid),))


def _follow_clean(facts: BackupFacts, backup: Backup, job: Job, remains: Remains, now: datetime) -> Plan:
    key = job_key("clean", backup)
    if job.metadata.deletionTimestamp is not None:
        return NOTHING
    if not owned_by(job, backup):
        if of_a_former(job, backup):
            return Plan((Delete(key, job.metadata.uid),))
        text = f"a Job {key.name} that is not ours is in the way: delete it"
        return _clean_failed(backup, remains, Cause(reasons.NAME_TAKEN, text), now)
    if job.condition("Complete") is not None:
        return Plan(_cleaned(backup, remains, verdict(job, pods_made_by(job, facts.clean_pods)), now))
    pods = pods_made_by(job, facts.clean_pods)
    if job.condition("Failed") is not None:
        return _retry_clean(backup, job, remains, pods, now)
    found = verdict(job, pods)
    return _await_clean(facts, backup, job, remains, found, now) if isinstance(found, Waiting) else NOTHING


def _await_clean(
    facts: BackupFacts, backup: Backup, job: Job, remains: Remains, found: Waiting, now: datetime
) -> Plan:
    assert job.metadata.creationTimestamp is not None
    patient_until = job.metadata.creationTimestamp + _START_PATIENCE
    if now < patient_until:
        return Plan(wake_at=patient_until)
    cause = found.cause
    if cause is None:
        look = events_of_start(job, facts.clean_pods)
        events = facts.seen(look, Happening)
        if events is None:
            return Plan(look=look)
        cause = why_in_events(events)
    plan = _clean_failed(backup, remains, cause, now) if cause else NOTHING
    return Plan(plan.actions, wake_at=now + _NEXT_QUESTION)


def _cleaned(backup: Backup, remains: Remains, found: Verdict, now: datetime) -> tuple[Action, ...]:
    # Dying here: the next run finds the phase Clean and lets go, or else the Job and comes here again.
    if not remains.data:
        cause = Cause(reasons.DATA_KEPT, "what the run left open is cleaned, no archive is deleted")
        return move(backup, Phase.CLEAN, cause, now)
    told = [notice.message for notice in found.result.notices] if isinstance(found, Ended) else []
    cause = Cause(reasons.ARCHIVE_DELETED, "; ".join((f"{object_target(backup).url} is deleted", *told)))
    say = Announce(KIND, backup.metadata, "Normal", cause.reason, cause.message)
    return (say, *move(backup, Phase.CLEAN, cause, now))


def _retry_clean(backup: Backup, job: Job, remains: Remains, pods: Sequence[Pod], now: datetime) -> Plan:
    found = verdict(job, pods)
    cause = Cause(reasons.CLEAN_FAILED, "the cleaning Job failed and nothing tells why")
    if isinstance(found, Ended) and found.result.outcome is not Outcome.CLEANED:
        told = found.result
        cause = Cause(told.reason or cause.reason, told.message or cause.message)
    elif isinstance(found, Broken):
        cause = found.cause
    plan = _clean_failed(backup, remains, cause, now)
    failed = job.condition("Failed")
    assert failed is not None
    failed_at = failed.lastTransitionTime or now
    retry_at = failed_at + _pause(backup, failed_at)
    if now < retry_at:
        return Plan(plan.actions, wake_at=retry_at)
    # Its deletion wakes us, and the next round makes it anew.
    return Plan((*plan.actions, Delete(job_key("clean", backup), job.metadata.uid)))


def _pause(backup: Backup, failed_at: datetime) -> timedelta:
    """As long again as the Backup has been waiting to go: each pause doubles the last, without any count."""
    assert backup.metadata.deletionTimestamp is not None
    waited = failed_at - backup.metadata.deletionTimestamp
    return min(max(waited, _FIRST_RETRY), _LONGEST_WAIT)


def _clean_failed(backup: Backup, remains: Remains, cause: Cause, now: datetime) -> Plan:
    way_out = "to keep the archive and let the Backup go, set spec.cleanPolicy to Retain"
    if remains.uploads:
        way_out = f"a multipart upload may be open; to leave it so, remove the finalizer {FINALIZER}"
    text = f"{cause.message}; {way_out}"
    return Plan(move(backup, Phase.CLEAN_FAILED, Cause(cause.reason, text), now))
