"""A schedule with thousands of Backups: a round of it is no longer than others can wait."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import attrs
import pytest

from tests.decide.builders import plan_or_look
from tests.decide.schedule_builders import BEGIN, child, settled
from tests.reconcile.scene import caches
from tidbbackup.decide.plan import Look
from tidbbackup.decide.schedule import scheduled
from tidbbackup.decide.schedule.decision import decide
from tidbbackup.decide.schedule.retention import retention
from tidbbackup.model.resource.backup import Backup
from tidbbackup.reconcile.observe import observe_schedule

HOURS = 365 * 24


def test_each_of_a_year_of_hourly_backups_is_read_once_in_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    read = scheduled._due_time

    def counted(backup: Backup) -> datetime | None:
        nonlocal reads
        reads += 1
        return read(backup)

    monkeypatch.setattr(scheduled, "_due_time", counted)
    last = BEGIN + timedelta(hours=HOURS)
    backups = [child(BEGIN + timedelta(hours=hour + 1)) for hour in range(HOURS)]
    random.Random(1).shuffle(backups)
    found = settled(maxBackups=HOURS - 1)
    found = attrs.evolve(found, status=attrs.evolve(found.status, lastDueTime=last))
    held = caches(tuple(backups), schedules=(found,))

    for step in (decide, retention):
        reads = 0
        facts = observe_schedule(held, found.key)
        assert facts is not None
        plan = plan_or_look(step, facts, last + timedelta(minutes=1))
        assert reads == len(backups)

    assert isinstance(plan, Look)
