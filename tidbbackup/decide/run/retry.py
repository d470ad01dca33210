"""Opt-in retries (`backoffRetryPolicy`): after a disruption of node or pod, never after an error.

A record in the status is an attempt that is to come or has begun, and so the number of the attempt: the Job's
name has it, which is what keeps an attempt from being made twice. No record, no retry: the specification's
rule. Must not know how a run is made or followed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
from attrs import frozen

from tidbbackup.decide.plan import Action, Plan
from tidbbackup.decide.run.job_state import JobState, Ours, job_state
from tidbbackup.decide.run.life import BackupLife
from tidbbackup.decide.run.name_lock import remove
from tidbbackup.decide.run.ownership import job_key, look_for_job, may_work_for, pods_of
from tidbbackup.decide.status import Cause
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import BackoffRetryPolicy, Backup, BackupStatus, RetryRecord
from tidbbackup.model.resource.kubernetes import Job, Pod
from tidbbackup.model.units import format_time, parse_duration

DISRUPTIONS = frozenset({reasons.EVICTED, reasons.NODE_LOST})
"""What pod condition DisruptionTarget, an eviction and a lost node are read into."""
_NEXT_LOOK = timedelta(seconds=10)
_NO_DURATION = "its minRetryDuration or retryTimeout is no duration"


@frozen
class Again:
    """There is to be another attempt: the records with its own, and what is said of it."""

    records: tuple[RetryRecord, ...]
    cause: Cause


def after(backup: Backup, cause: Cause, now: datetime) -> Again | Cause:
    """What follows from the end of an attempt: another one, or the failure with why it is not retried."""
    policy = backup.spec.backoffRetryPolicy
    if policy is None or cause.reason not in DISRUPTIONS:
        return cause
    records = backup.status.backoffRetryStatus
    now = now.replace(microsecond=0)
    number = len(records) + 1
    if number > policy.maxRetryTimes:
        return _given_up(cause, f"maxRetryTimes {policy.maxRetryTimes} is reached")
    times = _times(policy, number, records[0].detectFailedAt if records else now, now)
    if times is None:
        return _given_up(cause, _NO_DURATION)
    at, limit = times
    if at > limit:
        return _given_up(cause, f"that would be after retryTimeout {policy.retryTimeout}")
    record = RetryRecord(number, now, at, None, cause.reason, cause.message)
    text = f"attempt {number} ended ({cause.reason}: {cause.message}); the next begins at {format_time(at)}"
    return Again((*records, record), Cause(reasons.RETRY_WAITS, text))


def is_to_come(backup: Backup) -> bool:
    """Whether the newest record's attempt has not begun."""
    records = backup.status.backoffRetryStatus
    return bool(records) and records[-1].realRetryAt is None


def due(backup: Backup) -> datetime | None:
    """When the newest attempt was to begin; None for the first one, which is due from its creation on."""
    records = backup.status.backoffRetryStatus
    return records[-1].expectedRetryAt if records else None


def has_begun(status: BackupStatus, now: datetime) -> BackupStatus:
    """The status once the newest record's attempt has its Job."""
    records = status.backoffRetryStatus
    if not records or records[-1].realRetryAt is not None:
        return status
    begun = attrs.evolve(records[-1], realRetryAt=now.replace(microsecond=0))
    return attrs.evolve(status, backoffRetryStatus=(*records[:-1], begun))


def given_up(backup: Backup, now: datetime) -> Cause | None:
    """Why the attempt that is to come does not begin any more, if so: whatever it waits for, for so long."""
    policy, records = backup.spec.backoffRetryPolicy, backup.status.backoffRetryStatus
    cause = Cause(records[-1].retryReason, records[-1].originalReason)
    if policy is None:
        return _given_up(cause, "it was removed")
    times = _times(policy, len(records), records[0].detectFailedAt, now)
    if times is None:
        return _given_up(cause, _NO_DURATION)
    late = now > times[1]
    return _given_up(cause, f"that would be after retryTimeout {policy.retryTimeout}") if late else None


def make_way(life: BackupLife) -> Plan | None:
    """What has to be done or awaited before the next attempt; None: it may begin.

    A pod of the former attempt that has not ended might still write to the same key.
    """
    at = due(life.backup)
    if at is not None and life.now < at:
        return Plan(wake_at=at)
    left = _left(life)
    pods = () if left else life.look_up(pods_of(life.backup, "backup"), Pod)
    if left or any(may_work_for(pod, life.backup) for pod in pods):
        return Plan(clear(life), wake_at=life.now + _NEXT_LOOK)
    return None


def clear(life: BackupLife) -> tuple[Action, ...]:
    """The former attempt's Jobs go, and with them its staging volume."""
    return tuple(action for job in _left(life) for action in remove(job).actions)


def _left(life: BackupLife) -> list[Ours]:
    """The former attempt's Jobs that are still there."""
    backup, status = life.backup, life.status
    records = status.backoffRetryStatus[:-1]
    former = attrs.evolve(backup, status=attrs.evolve(status, backoffRetryStatus=records))
    states: list[JobState] = []
    for verb, pods in (("backup", life.facts.pods), ("aftermath", life.facts.aftermath_pods)):
        look = look_for_job(job_key(verb, former))
        states += [job_state(job, pods, backup, life.now) for job in life.look_up(look, Job)]
    return [state for state in states if isinstance(state, Ours)]


def _times(
    policy: BackoffRetryPolicy, number: int, first: datetime | None, now: datetime
) -> tuple[datetime, datetime] | None:
    """When attempt `number` + 1 begins, and the latest time at which one may; None: not readable."""
    try:
        pause, timeout = parse_duration(policy.minRetryDuration), parse_duration(policy.retryTimeout)
        return now + pause * 2 ** (number - 1), (first or now) + timeout
    except (ValueError, OverflowError):
        return None


def _given_up(cause: Cause, why: str) -> Cause:
    return Cause(cause.reason, f"{cause.message}; not retried (spec.backoffRetryPolicy): {why}")
