"""Begins a run: what is written before its Job is made, the Job, and what keeps it from being made.

Must not know how a run is followed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from tidbbackup.decide import rows
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Action, Announce, Create, PatchStatus, Plan, SetFinalizers
from tidbbackup.decide.render import backup_job
from tidbbackup.decide.run import diagnosis, ending, retry
from tidbbackup.decide.run.job_state import Foreign, Former, job_state
from tidbbackup.decide.run.life import Life
from tidbbackup.decide.run.name_lock import remove, taken
from tidbbackup.decide.run.ownership import job_key, look_for_job
from tidbbackup.decide.spec.task import archive_url, notices
from tidbbackup.decide.status import Cause, hold_back, move, no_longer_held, warn
from tidbbackup.model import reasons
from tidbbackup.model.names import BEGUN_UID, DUE_TIME, FINALIZER
from tidbbackup.model.resource.backup import KIND, Backup, BackupStatus, Phase
from tidbbackup.model.resource.kubernetes import Job

FIRST_QUESTION = timedelta(seconds=10)
"""A pod is given this long before its Events are asked why it does not start, and again after:"""
NEXT_QUESTION = timedelta(minutes=1)
_AGAIN_THOUGH_WRONG = timedelta(minutes=10)


def name_is_held(life: Life, held: Foreign | Former) -> Plan:
    """A Job that is not ours has the name of the run's."""
    if isinstance(held, Former):
        return remove(held).by(rows.Living.NAME_FORMER)
    cause = taken(held)
    text = f"{cause.message}, or create this Backup under another name"
    return Plan(ending.fail(life.backup, Cause(cause.reason, text), life.now), row=rows.Living.NAME_TAKEN)


def _name_is_held_unseen(life: Life) -> Plan:
    """A Job of our name that the cache does not show: it lacks our labels, or the cache lags behind."""
    found = life.look_up(look_for_job(job_key("backup", life.backup)), Job)
    states = [job_state(job, life.facts.pods, life.backup, life.now) for job in found]
    plans = [name_is_held(life, held) for held in states if isinstance(held, Foreign | Former)]
    found_nothing = Plan(row=rows.Living.REFUSED)
    return attrs.evolve(plans[0] if plans else found_nothing, wake_at=life.now + FIRST_QUESTION)


def begin(life: Life) -> Plan:
    """No run has been made, as far as the cache knows."""
    backup, now = life.backup, life.now
    if life.problems:
        return _wrong(backup, "; ".join(map(str, life.problems)), now).by(rows.Living.INVALID)
    if life.refusal is not None:
        return _refused(life, life.refusal)
    if FINALIZER not in backup.metadata.finalizers:
        return remember(backup).by(rows.Living.NOT_PROTECTED)
    if backup.status.backupPath != archive_url(backup):
        # Before the Job: from here on the schema refuses any change of what names the archive.
        return Plan((_say_where(backup),), row=rows.Living.NOT_LOCKED)
    create = Create(backup_job(backup, life.facts.image))
    # Dying here: the next run finds the Job with our uid and no phase, and goes on from there.
    made = (create, *scheduled(backup, None, now))
    return Plan(made, wake_at=now + FIRST_QUESTION, row=rows.Living.BEGIN)


def remember(backup: Backup) -> Plan:
    """Before the Job: a Backup that is deleted at once must not leave a run behind, and a copy of it must not
    run. What changes is the object itself, so its next version wakes us for the rest."""
    meta = backup.metadata
    finalizers = tuple(dict.fromkeys((*meta.finalizers, FINALIZER)))
    begun = {BEGUN_UID: meta.uid}
    return Plan((SetFinalizers(backup.key, meta.resourceVersion, finalizers, annotations=begun),))


def _say_where(backup: Backup) -> Action:
    path = {"backupPath": archive_url(backup), "observedGeneration": backup.metadata.generation}
    return PatchStatus(backup.key, backup.metadata.resourceVersion, path)


def next_attempt(life: Life) -> Plan:
    """Another attempt is to come."""
    cause = retry.given_up(life.backup, life.now)
    if cause is None:
        way = retry.make_way(life)
        return way.by(rows.Living.RETRY_WAITS) if way else begin(life)
    # The former attempt's Jobs go first: once it is Failed nobody would look for them any more.
    given_up = (*retry.clear(life), *ending.fail(life.backup, cause, life.now))
    return Plan(given_up, row=rows.Living.RETRY_GIVEN_UP)


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
        return attrs.evolve(_wrong(backup, text, now), wake_at=again_at, row=rows.Living.REFUSED)
    reason = reasons.QUOTA_EXCEEDED if refusal.quota_exceeded else reasons.POD_REFUSED
    cause = diagnosis.cured(reason, f"the API server refuses the Job: {message}")
    due, held = retry.due(backup), backup.status.condition(Phase.SCHEDULED)
    since = due or (held and held.lastTransitionTime) or now
    deadline = since + timedelta(seconds=backup.spec.pendingDeadlineSeconds)
    if now >= deadline:
        return Plan(ending.fail(backup, cause, now), row=rows.Living.REFUSED)
    say = Announce(KIND, backup.metadata, "Warning", cause.reason, cause.message)
    # A later attempt is Scheduled already; the first one's status tells since when it is held back.
    told = (say,) if due else hold_back(backup, cause, now)
    return Plan(told, wake_at=min(now + NEXT_QUESTION, deadline), row=rows.Living.REFUSED)


def _wrong(backup: Backup, text: str, now: datetime) -> Plan:
    cause = Cause(reasons.INVALID_SPEC, text)
    if backup.tried_before:
        # Invalid lets the fields be edited by which the leftovers of the attempts before are found.
        return Plan(ending.fail(backup, cause, now))
    return Plan(move(backup, Phase.INVALID, cause, now, status=no_longer_held(backup.status)))


def scheduled(backup: Backup, waiting: Cause | None, now: datetime) -> tuple[Action, ...]:
    """Its Job is made, and no worker has begun: what keeps it from that, if anything tells."""
    name = job_key("backup", backup).name
    cause = waiting or Cause(reasons.JOB_CREATED, f"Job {name} is made, its pod has not started yet")
    return move(backup, Phase.SCHEDULED, cause, now, status=begun(backup, now))


def begun(backup: Backup, now: datetime) -> BackupStatus:
    """The status of a Backup whose newest attempt has its Job.

    Told again and again: dying after the Job's creation leaves a run whose status tells nothing. A spec that
    was edited before it is written may be wrong by now; the Job is not.
    """
    path = backup.status.backupPath or archive_url(backup)
    status = retry.has_begun(attrs.evolve(backup.status, backupPath=path), now)
    return warn(status, notices(backup.spec), now)
