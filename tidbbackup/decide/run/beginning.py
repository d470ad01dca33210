"""Begins a run: what is written before its Job is made, the Job, and what keeps it from being made.

Must not know how a run is followed.
"""

from __future__ import annotations

from datetime import timedelta

import attrs

from tidbbackup.decide import rows
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Action, Announce, Create, PatchStatus, Plan, SetFinalizers
from tidbbackup.decide.render import backup_job
from tidbbackup.decide.run import diagnosis, ending, retry
from tidbbackup.decide.run.job_state import Foreign, Former, job_state
from tidbbackup.decide.run.life import BackupLife, Life, S
from tidbbackup.decide.run.name_lock import remove_former, taken
from tidbbackup.decide.run.turn import waits_for
from tidbbackup.decide.status import Cause, held_since, hold_back, move, no_longer_held, warn
from tidbbackup.model import reasons
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.model.names import BEGUN_UID, DUE_TIME, FINALIZER
from tidbbackup.model.resource.backup import Backup, Phase

FIRST_QUESTION = timedelta(seconds=10)
"""A pod is given this long before its Events are asked why it does not start, and again after:"""
NEXT_QUESTION = timedelta(minutes=1)
_AGAIN_THOUGH_WRONG = timedelta(minutes=10)


def name_is_held(life: Life[S], held: Foreign | Former) -> Plan:
    """A Job that is not ours has the name of the run's."""
    if isinstance(held, Former):
        return remove_former(held, life.subject, life.facts, life.now).by(life.rows.NAME_FORMER)
    cause = taken(held)
    text = f"{cause.message}, or create this {life.subject.kind} under another name"
    return Plan(ending.fail(life.subject, Cause(cause.reason, text), life.now), row=life.rows.NAME_TAKEN)


def _name_is_held_unseen(life: Life[S]) -> Plan:
    """A Job of our name that the cache does not show: it lacks our labels, or the cache lags behind."""
    states = [job_state(job, life.facts.pods, life.subject, life.now) for job in life.look_for_jobs()]
    plans = [name_is_held(life, held) for held in states if isinstance(held, Foreign | Former)]
    found_nothing = Plan(row=life.rows.REFUSED)
    return attrs.evolve(plans[0] if plans else found_nothing, wake_at=life.now + FIRST_QUESTION)


def begin(life: BackupLife) -> Plan:
    """No run has been made, as far as the cache knows."""
    backup, now = life.backup, life.now
    if not isinstance(life.resolved, WorkerTask):
        return wrong(life, "; ".join(map(str, life.resolved))).by(rows.Living.INVALID)
    if life.refusal is not None:
        return refused(life, life.refusal)
    if turn := waits_for(backup, life.facts.not_over, life.facts.caps):
        # The end of another one wakes it.
        return Plan(hold_back(backup, turn, now, "Normal"), row=rows.Living.WAITS_ITS_TURN)
    if FINALIZER not in backup.metadata.finalizers:
        return remember(backup).by(rows.Living.NOT_PROTECTED)
    if backup.status.backupPath != life.archive_url:
        # Before the Job: from here on the schema refuses any change of what names the archive.
        return Plan((_say_where(life),), row=rows.Living.NOT_LOCKED)
    create = Create(backup_job(backup, life.resolved, life.facts.image))
    # Dying here: the next run finds the Job with our uid and no phase, and goes on from there.
    made = (create, *scheduled(life, None))
    return Plan(made, wake_at=now + FIRST_QUESTION, row=rows.Living.BEGIN)


def remember(backup: Backup) -> Plan:
    """Before the Job: a Backup that is deleted at once must not leave a run behind, and a copy of it must not
    run. What changes is the object itself, so its next version wakes us for the rest."""
    meta = backup.metadata
    finalizers = tuple(dict.fromkeys((*meta.finalizers, FINALIZER)))
    begun = {BEGUN_UID: meta.uid}
    return Plan((SetFinalizers(backup.key, meta.resourceVersion, finalizers, annotations=begun),))


def _say_where(life: BackupLife) -> Action:
    backup = life.backup
    path = {"backupPath": life.archive_url, "observedGeneration": backup.metadata.generation}
    return PatchStatus(backup.key, backup.metadata.resourceVersion, path)


def next_attempt(life: BackupLife) -> Plan:
    """Another attempt is to come."""
    cause = retry.given_up(life.backup, life.now)
    if cause is None:
        way = retry.make_way(life)
        return way.by(rows.Living.RETRY_WAITS) if way else begin(life)
    # The former attempt's Jobs go first: once it is Failed nobody would look for them any more.
    given_up = (*retry.clear(life), *ending.fail(life.backup, cause, life.now))
    return Plan(given_up, row=rows.Living.RETRY_GIVEN_UP)


def refused(life: Life[S], refusal: Refusal) -> Plan:
    """The API server has refused the Job."""
    subject, now, row = life.subject, life.now, life.rows.REFUSED
    text = f"the API server refuses the Job: {refusal.message}"
    if refusal.status == 409:
        return _name_is_held_unseen(life)
    if refusal.status in (400, 422):
        text = (
            f"{text}; correct what is passed on to the pod "
            "(spec.resources, env, tolerations, affinity, additionalVolumes, ...)"
        )
        # Perhaps a policy of the cluster is wrong and not the spec, and is corrected later. One of a schedule
        # stays as it is: the next due time makes another, and they would run side by side.
        again_at = None if DUE_TIME in subject.metadata.annotations else now + _AGAIN_THOUGH_WRONG
        return attrs.evolve(wrong(life, text), wake_at=again_at, row=row)
    reason = reasons.QUOTA_EXCEEDED if refusal.quota_exceeded else reasons.POD_REFUSED
    cause = diagnosis.cured(reason, text)
    due = retry.due(subject) if isinstance(subject, Backup) else None
    since = due or held_since(subject, cause) or now
    deadline = since + timedelta(seconds=subject.spec.pendingDeadlineSeconds)
    if now >= deadline:
        return Plan(ending.fail(subject, cause, now), row=row)
    say = Announce(subject.kind, subject.metadata, "Warning", cause.reason, cause.message)
    # A later attempt is Scheduled already; the first one's status tells since when it is held back.
    told = (say,) if due else hold_back(subject, cause, now)
    return Plan(told, wake_at=min(now + NEXT_QUESTION, deadline), row=row)


def wrong(life: Life[S], text: str) -> Plan:
    """No Job can be made of its spec."""
    subject, cause = life.subject, Cause(reasons.INVALID_SPEC, text)
    if isinstance(subject, Backup) and subject.tried_before:
        # Invalid lets the fields be edited by which the leftovers of the attempts before are found.
        return Plan(ending.fail(subject, cause, life.now))
    return Plan(move(subject, Phase.INVALID, cause, life.now, status=no_longer_held(life.status)))


def scheduled(life: Life[S], waiting: Cause | None) -> tuple[Action, ...]:
    """Its Job is made, and no worker has begun: what keeps it from that, if anything tells."""
    text = f"Job {life.job_key.name} is made, its pod has not started yet"
    cause = waiting or Cause(reasons.JOB_CREATED, text)
    return move(life.subject, Phase.SCHEDULED, cause, life.now, status=begun(life))


def begun(life: Life[S]) -> S:
    """The status of a Backup or Restore whose newest attempt has its Job.

    Told again and again: dying after the Job's creation leaves a run whose status tells nothing. A spec that
    was edited before it is written may be wrong by now; the Job is not.
    """
    status = life.status
    if isinstance(life, BackupLife):
        path = life.status.backupPath or life.archive_url
        status = retry.has_begun(attrs.evolve(life.status, backupPath=path), life.now)
    return warn(status, life.notices, life.now)
