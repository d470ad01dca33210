"""Cleans up after a Backup that is going: `clean-<bk>`, made, followed and made anew until it has completed.

Whatever it waits for (a quota, a Secret, a CRD that goes), it is looked at again within half a minute. Must
not know what of the Backup is left to clean, nor what follows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from tidbbackup.decide.aftermath.remains import Remains
from tidbbackup.decide.plan import Action, Announce, Ask, Create, Plan
from tidbbackup.decide.render import clean_job, idle_job, is_outdated
from tidbbackup.decide.run.diagnosis import why_in_events
from tidbbackup.decide.run.job_state import Foreign, Former, NotStarted, Ours, Present, Reported, Silent
from tidbbackup.decide.run.life import Life
from tidbbackup.decide.run.name_lock import remove, taken
from tidbbackup.decide.run.ownership import events_of_start
from tidbbackup.decide.run.pauses import again_at
from tidbbackup.decide.spec.task import archive_url
from tidbbackup.decide.status import Cause, move
from tidbbackup.model import reasons
from tidbbackup.model.names import DELETES_DATA, FINALIZER
from tidbbackup.model.resource.backup import KIND, Phase
from tidbbackup.model.resource.kubernetes import Happening

# A cleaning pod may take this long to start before that is worth a word.
_START_PATIENCE = timedelta(seconds=30)
# What is waited for tells nobody when it comes.
_NEXT_QUESTION = timedelta(seconds=30)


def contradicts_policy(job: Ours, remains: Remains) -> bool:
    """Whether a cleaning Job was told other than the policy, edited since, wants it now."""
    deletes = DELETES_DATA in job.job.metadata.annotations
    return deletes != remains.data and not (deletes and job.done)


def begin(life: Life, remains: Remains) -> Plan:
    """Make the Job. No run is left, and the namespace is not known to go."""
    wrong, refusal = _why_not(life), life.refusal
    if wrong:
        # Of such a spec no Job can be made, so none is refused, which is how a namespace that goes is known.
        ask = () if refusal else (Ask(idle_job(life.backup, life.facts.image)),)
        plan = failed(life, remains, Cause(reasons.INVALID_SPEC, wrong))
        return Plan((*ask, *plan.actions), plan.wake_at)
    if refusal is None:
        return Plan((Create(clean_job(life.backup, life.facts.image, delete_data=remains.data)),))
    reason = reasons.QUOTA_EXCEEDED if refusal.quota_exceeded else reasons.POD_REFUSED
    reason = reasons.NAME_TAKEN if refusal.status == 409 else reason
    return failed(life, remains, Cause(reason, refusal.message))


def _why_not(life: Life) -> str:
    """Why no Job can be made that would clean up after this very Backup; empty where one can."""
    made_at = life.status.backupPath
    if life.problems or made_at in ("", archive_url(life.backup)):
        return "; ".join(map(str, life.problems))
    return f"status.backupPath is {made_at}, but by spec.s3 the archive would be {archive_url(life.backup)}"


def follow(life: Life, job: Present, remains: Remains) -> Plan:
    """What holds the name `clean-<bk>`, ours or not."""
    match job:
        case Foreign():
            return failed(life, remains, taken(job))
        case Ours(done=True):
            return Plan(_cleaned(life, job, remains))
        case Former() | Ours(leaving=True):
            # What a pod that is out of reach had to do takes a minute or two: long before, that was over or
            # had come to nothing. Its disappearance wakes us, and the next round makes it anew.
            return remove(job)
        case NotStarted() | Reported() | Silent() if _is_mended(life, job, remains):
            return remove(job)
        case Reported() | Silent():
            return _try_again(life, job, remains, _why(job), job.at)
        case NotStarted():
            return _await_start(life, job, remains)
    return Plan(wake_at=job.lost_at)


def failed(life: Life, remains: Remains, cause: Cause) -> Plan:
    """The phase CleanFailed, with the way out."""
    way_out = "to keep the archive and let the Backup go, set spec.cleanPolicy to Retain"
    if remains.uploads:
        way_out = f"a multipart upload may be open; to leave it so, remove the finalizer {FINALIZER}"
    text = f"{cause.message}; {way_out}"
    actions = move(life.backup, Phase.CLEAN_FAILED, Cause(cause.reason, text), life.now)
    return Plan(actions, wake_at=life.now + _NEXT_QUESTION)


def _is_mended(life: Life, job: Ours, remains: Remains) -> bool:
    """Whether the Job would be made otherwise now: its pod may wait for what the spec no longer names."""
    if _why_not(life):
        return False
    return is_outdated(job.job, clean_job(life.backup, life.facts.image, delete_data=remains.data))


def _await_start(life: Life, job: NotStarted, remains: Remains) -> Plan:
    patient_until = job.created + _START_PATIENCE
    if life.now < patient_until:
        return Plan(wake_at=patient_until)
    cause = job.cause
    if cause is None:
        cause = why_in_events(life.look_up(events_of_start(job.job, job.pods), Happening))
    if cause is None:
        return Plan(wake_at=life.now + _NEXT_QUESTION)
    return _try_again(life, job, remains, cause, patient_until)


def _cleaned(life: Life, job: Ours, remains: Remains) -> tuple[Action, ...]:
    # Dying here: the next run finds the phase Clean and lets go, or else the Job and comes here again.
    backup, told = life.backup, job.result.notices if isinstance(job, Reported) else ()
    kind: Literal["Normal", "Warning"] = "Normal"
    if untouched := [notice for notice in told if notice.reason in reasons.LEFT_IN_THE_BUCKET]:
        kind, cause = "Warning", Cause(untouched[0].reason, "; ".join(notice.message for notice in told))
    elif not remains.data:
        cause = Cause(reasons.DATA_KEPT, "what the run left open is cleaned, no archive is deleted")
        return move(backup, Phase.CLEAN, cause, life.now)
    else:
        messages = [f"{archive_url(backup)} is deleted", *(notice.message for notice in told)]
        cause = Cause(reasons.ARCHIVE_DELETED, "; ".join(messages))
    say = Announce(KIND, backup.metadata, kind, cause.reason, cause.message)
    return (say, *move(backup, Phase.CLEAN, cause, life.now))


def _try_again(life: Life, job: Ours, remains: Remains, cause: Cause, since: datetime) -> Plan:
    plan = failed(life, remains, cause)
    assert life.backup.metadata.deletionTimestamp is not None
    retry_at = again_at(life.backup.metadata.deletionTimestamp, since)
    if life.now < retry_at:
        return Plan(plan.actions, wake_at=min(retry_at, life.now + _NEXT_QUESTION))
    return Plan((*plan.actions, *remove(job).actions))


def _why(job: Reported | Silent) -> Cause:
    if isinstance(job, Silent) and job.pod_known:
        return job.cause
    cause = Cause(reasons.CLEAN_FAILED, "the cleaning Job failed and nothing tells why")
    if isinstance(job, Reported):
        return Cause(job.result.reason or cause.reason, job.result.message or cause.message)
    return cause
