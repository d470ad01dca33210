"""Follows a Job that is ours, of a Backup or Restore, until it ends or has waited for too long.

Must not know how it ends.
"""

from __future__ import annotations

from datetime import timedelta

import attrs

from tidbbackup.decide.plan import NOTHING, Plan
from tidbbackup.decide.run import diagnosis
from tidbbackup.decide.run.beginning import FIRST_QUESTION, NEXT_QUESTION, begun, scheduled
from tidbbackup.decide.run.job_state import NotStarted, Working
from tidbbackup.decide.run.life import Life, S
from tidbbackup.decide.run.ownership import events_of_start
from tidbbackup.decide.run.stopping import stop
from tidbbackup.decide.status import Cause, move
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import Phase
from tidbbackup.model.resource.kubernetes import Happening


def until_it_ends(life: Life[S]) -> Plan:
    """What to tell of a Job that has not ended, and when to look again."""
    match life.run:
        case Working(since=since):
            status = attrs.evolve(begun(life), timeStarted=since)
            cause = Cause(reasons.POD_STARTED, "the worker runs")
            runs = move(life.subject, Phase.RUNNING, cause, life.now, status=status)
            return Plan(runs, wake_at=life.lost_at, row=life.rows.WORKING)
        case NotStarted() as waiting if life.status.phase != Phase.RUNNING:
            return _wait(life, waiting)
    return NOTHING.by(life.rows.CACHE_LAGS)  # No way leads back.


def _wait(life: Life[S], run: NotStarted) -> Plan:
    now, seconds = life.now, life.subject.spec.pendingDeadlineSeconds
    deadline = run.created + timedelta(seconds=seconds)
    question = min(run.created + FIRST_QUESTION, deadline)
    if now < question:
        # For the first moments every pod waits for something; to name it would only alarm.
        return Plan(scheduled(life, None), wake_at=question, row=life.rows.WAITING)
    cause = run.cause
    if cause is None or cause.reason == reasons.VOLUME_UNAVAILABLE:
        look = events_of_start(run.job, run.pods, of_claim=cause is not None)
        events = life.look_up(look, Happening)
        cause = diagnosis.why_in_events(events) or cause
    if now < deadline:
        again = min(now + NEXT_QUESTION, deadline)
        return Plan(scheduled(life, cause), wake_at=again, row=life.rows.WAITING)
    cause = cause or Cause(reasons.PENDING_TOO_LONG, "nothing tells why its pod does not start")
    text = f"the pod did not start within {seconds} s: {cause.message}"
    return stop(life, run, Cause(cause.reason, text)).by(life.rows.OVERDUE)
