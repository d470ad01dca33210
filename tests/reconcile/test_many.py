"""A schedule with thousands of Backups: a round of it is no longer than others can wait."""

from __future__ import annotations

import random
import time
from datetime import timedelta

import attrs

from tests.decide.builders import plan_or_look
from tests.decide.schedule_builders import BEGIN, child, settled
from tests.reconcile.scene import caches
from tidbbackup.decide.plan import Look
from tidbbackup.decide.schedule.decision import decide
from tidbbackup.decide.schedule.retention import retention
from tidbbackup.reconcile.observe import observe_schedule

HOURS = 365 * 24


def test_a_year_of_hourly_backups_is_decided_on_at_once() -> None:
    last = BEGIN + timedelta(hours=HOURS)
    backups = [child(BEGIN + timedelta(hours=hour + 1)) for hour in range(HOURS)]
    random.Random(1).shuffle(backups)
    found = settled(maxBackups=HOURS - 1)
    found = attrs.evolve(found, status=attrs.evolve(found.status, lastDueTime=last))
    held = caches(tuple(backups), schedules=(found,))

    # What this thread computes, and not the time of day: others use the machine too.
    began = time.thread_time()
    for step in (decide, retention):
        facts = observe_schedule(held, found.key)
        assert facts is not None
        plan = plan_or_look(step, facts, last + timedelta(minutes=1))
    took = time.thread_time() - began

    assert isinstance(plan, Look)
    assert took < 0.3
