"""Cleans up after a Backup that is going: `clean-<bk>`, made, followed and made anew until it has completed.

Whatever it waits for (a quota, a Secret, a CRD that goes), it is looked at again within half a minute. Must
not know what of the Backup is left to clean, nor what follows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from tidbbackup.decide.aftermath.remains import Remains
from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Action, Announce, Ask, Create, Plan
from tidbbackup.decide.render import clean_job, idle_job, is_outdated
from tidbbackup.decide.run.diagnosis import (
    Broken,
    Ended,
    Verdict,
    Waiting,
    end_of,
    next_out_of_reach,
    verdict,
    why_in_events,
)
from tidbbackup.decide.run.name_lock import Holder, holder, is_leaving, remove, taken
from tidbbackup.decide.run.ownership import events_of_start, owned_by, pods_made_by
from tidbbackup.decide.run.pauses import again_at
from tidbbackup.decide.spec.task import archive_url
from tidbbackup.decide.spec.valid import problems
from tidbbackup.decide.status import Cause, move
from tidbbackup.model import reasons
from tidbbackup.model.names import DELETES_DATA, FINALIZER
from tidbbackup.model.resource.backup import KIND, Backup, Phase
from tidbbackup.model.resource.kubernetes import Happening, Job

# A cleaning pod may take this long to start before that is worth a word.
_START_PATIENCE = timedelta(seconds=30)
# What is waited for tells nobody when it comes.
_NEXT_QUESTION = timedelta(seconds=30)


def of_another_mind(facts: BackupFacts, backup: Backup, job: Job, remains: Remains) -> bool:
    """Whether a cleaning Job was told other than the policy, edited since, wants it now."""
    if not owned_by(job, backup):
        return False
    deletes = DELETES_DATA in job.metadata.annotations
    return deletes != remains.data and not (deletes and is_cleaned(facts, backup))


def is_cleaned(facts: BackupFacts, backup: Backup) -> bool:
    """Whether it has done its work."""
    job = facts.clean_job
    end = end_of(job, pods_made_by(job, facts.clean_pods)) if job and owned_by(job, backup) else None
    return end is not None and end.done


def stop(facts: BackupFacts, backup: Backup, job: Job, now: datetime) -> Plan:
    """Until it is gone nothing else is done: it may still delete what is to be kept.

    Its disappearance wakes us, and the next round makes it anew, if it is still to be.
    """
    return remove("clean", backup, job, facts.clean_pods, now)


def begin(facts: BackupFacts, backup: Backup, remains: Remains, now: datetime) -> Plan:
    """Make the Job. No run is left, and the namespace is not known to go."""
    wrong, refusal = _why_not(backup), facts.refusal
    if wrong:
        # Of such a spec no Job can be made, so none is refused, which is how a namespace that goes is known.
        ask = () if refusal else (Ask(idle_job(backup, facts.image)),)
        plan = failed(backup, remains, Cause(reasons.INVALID_SPEC, wrong), now)
        return Plan((*ask, *plan.actions), plan.wake_at)
    if refusal is None:
        return Plan((Create(clean_job(backup, facts.image, delete_data=remains.data)),))
    reason = reasons.QUOTA_EXCEEDED if refusal.quota_exceeded else reasons.POD_REFUSED
    reason = reasons.NAME_TAKEN if refusal.status == 409 else reason
    return failed(backup, remains, Cause(reason, refusal.message), now)


def _why_not(backup: Backup) -> str:
    """Why no Job can be made that would clean up after this very Backup; empty where one can."""
    wrong, made_at = problems(backup.spec), backup.status.backupPath
    if wrong or made_at in ("", archive_url(backup)):
        return "; ".join(map(str, wrong))
    return f"status.backupPath is {made_at}, but by spec.s3 the archive would be {archive_url(backup)}"


def follow(facts: BackupFacts, backup: Backup, job: Job, remains: Remains, now: datetime) -> Plan:
    """What holds the name `clean-<bk>`, ours or not."""
    whose, pods = holder(job, backup), pods_made_by(job, facts.clean_pods)
    if whose is Holder.FOREIGN:
        return failed(backup, remains, taken(job), now)
    if whose is Holder.FORMER or is_leaving(job, pods, now):
        # What a pod that is out of reach had to do takes a minute or two: long before, that was over or had
        # come to nothing.
        return stop(facts, backup, job, now)
    found = verdict(job, pods, now)
    end = end_of(job, pods)
    if end is not None and end.done:
        return Plan(_cleaned(backup, remains, found, now))
    if (end or isinstance(found, Waiting)) and _is_mended(facts, backup, job, remains):
        return stop(facts, backup, job, now)
    if end:
        return _try_again(facts, backup, job, remains, _why(found), end.at, now)
    if isinstance(found, Waiting):
        return _await_start(facts, backup, job, remains, found, now)
    return Plan(wake_at=next_out_of_reach(pods, now))


def failed(backup: Backup, remains: Remains, cause: Cause, now: datetime) -> Plan:
    """The phase CleanFailed, with the way out."""
    way_out = "to keep the archive and let the Backup go, set spec.cleanPolicy to Retain"
    if remains.uploads:
        way_out = f"a multipart upload may be open; to leave it so, remove the finalizer {FINALIZER}"
    text = f"{cause.message}; {way_out}"
    actions = move(backup, Phase.CLEAN_FAILED, Cause(cause.reason, text), now)
    return Plan(actions, wake_at=now + _NEXT_QUESTION)


def _is_mended(facts: BackupFacts, backup: Backup, job: Job, remains: Remains) -> bool:
    """Whether the Job would be made otherwise now: its pod may wait for what the spec no longer names."""
    if _why_not(backup):
        return False
    return is_outdated(job, clean_job(backup, facts.image, delete_data=remains.data))


def _await_start(
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
    if cause is None:
        return Plan(wake_at=now + _NEXT_QUESTION)
    return _try_again(facts, backup, job, remains, cause, patient_until, now)


def _cleaned(backup: Backup, remains: Remains, found: Verdict, now: datetime) -> tuple[Action, ...]:
    # Dying here: the next run finds the phase Clean and lets go, or else the Job and comes here again.
    told = found.result.notices if isinstance(found, Ended) else ()
    kind: Literal["Normal", "Warning"] = "Normal"
    if untouched := [notice for notice in told if notice.reason in reasons.LEFT_IN_THE_BUCKET]:
        kind, cause = "Warning", Cause(untouched[0].reason, "; ".join(notice.message for notice in told))
    elif not remains.data:
        cause = Cause(reasons.DATA_KEPT, "what the run left open is cleaned, no archive is deleted")
        return move(backup, Phase.CLEAN, cause, now)
    else:
        messages = [f"{archive_url(backup)} is deleted", *(notice.message for notice in told)]
        cause = Cause(reasons.ARCHIVE_DELETED, "; ".join(messages))
    say = Announce(KIND, backup.metadata, kind, cause.reason, cause.message)
    return (say, *move(backup, Phase.CLEAN, cause, now))


def _try_again(
    facts: BackupFacts,
    backup: Backup,
    job: Job,
    remains: Remains,
    cause: Cause,
    since: datetime,
    now: datetime,
) -> Plan:
    plan = failed(backup, remains, cause, now)
    assert backup.metadata.deletionTimestamp is not None
    retry_at = again_at(backup.metadata.deletionTimestamp, since)
    if now < retry_at:
        return Plan(plan.actions, wake_at=min(retry_at, now + _NEXT_QUESTION))
    return Plan((*plan.actions, *stop(facts, backup, job, now).actions))


def _why(found: Verdict) -> Cause:
    if isinstance(found, Broken):
        return found.cause
    cause = Cause(reasons.CLEAN_FAILED, "the cleaning Job failed and nothing tells why")
    if isinstance(found, Ended):
        return Cause(found.result.reason or cause.reason, found.result.message or cause.message)
    return cause
