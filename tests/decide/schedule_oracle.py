"""What has to become of each due time of a schedule: the specification read a second time, time by time.

Told of each status that is written and of the world as it was then. Finds due times by brute force; knows
nothing of the product but the reasons it gives.
"""

from __future__ import annotations

import collections
from bisect import bisect_right
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache

import attrs

from tests.decide.cron_oracle import MINUTE, brute_force
from tidbbackup.model.resource.schedule import BackupScheduleSpec

HORIZON = timedelta(days=12)
"""No world lives longer."""
WORDS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *"}
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1)}


@lru_cache
def due_times(text: str, zone: str, creation: datetime) -> list[datetime]:
    """All due times of a schedule that was created then, up to the horizon."""
    if text.startswith("@every "):
        length = int(text[len("@every ") : -1]) * UNITS[text[-1]]
        return [creation + length * number for number in range(1, HORIZON // length)]
    first = (creation + MINUTE).replace(second=0)
    # From the day before: what the clocks have shown until then tells which hour comes twice or is left out.
    found = brute_force(WORDS.get(text, text), zone, first - timedelta(days=1), first + HORIZON)
    return [due for due in found if due >= first]


def name_at(due: datetime) -> str:
    """The name of the Backup for a due time of the schedule `s`."""
    return f"s-{due.year}-{due.month:02}-{due.day:02}t{due.hour:02}-{due.minute:02}-{due.second:02}"


@attrs.define
class Oracle:
    """The outcomes so far of a schedule's due times. It has been looked at last when it was `settled`."""

    creation: datetime
    spec: BackupScheduleSpec
    """As it was seen last."""
    settled: datetime = attrs.field(default=attrs.Factory(lambda self: self.creation, takes_self=True))
    ran: list[str] = attrs.Factory(list)
    passed: collections.Counter[str] = attrs.Factory(collections.Counter)

    def unsettled(self, now: datetime) -> list[datetime]:
        """Due times up to now that have no outcome yet."""
        assert now < self.creation + HORIZON
        dues = due_times(self.spec.schedule, self.spec.timeZone, self.creation)
        return dues[bisect_right(dues, self.settled) : bisect_right(dues, now)]

    def due_now(self, spec: BackupScheduleSpec, now: datetime) -> str:
        """Name of the Backup that is to be made now, unless another one works; empty: none is."""
        dues = self.unsettled(now)
        return name_at(dues[-1]) if dues and not self._lost(spec, dues[-1], dues[-1], now) else ""

    def wrote(
        self, spec: BackupScheduleSpec, now: datetime, made: Collection[str], active: Collection[str]
    ) -> None:
        """The controller has written a status for this spec; `made` were ever made, `active` still work."""
        dues = self.unsettled(now)
        for due in dues:
            if name_at(due) in made:
                self.ran.append(name_at(due))
                continue
            reason = self._lost(spec, due, dues[-1], now) or "SkippedOverlap"
            allowed = spec.concurrencyPolicy == "Allow" or not active
            assert reason != "SkippedOverlap" or not allowed, f"nothing stood in the way of {due}"
            self.passed[reason] += 1
        self.spec, self.settled = spec, now

    def _lost(self, spec: BackupScheduleSpec, due: datetime, newest: datetime, now: datetime) -> str:
        """Why a due time that had no Backup before now will not have one, whatever works."""
        edited = (spec.schedule, spec.timeZone) != (self.spec.schedule, self.spec.timeZone)
        deadline = spec.startingDeadlineSeconds
        if self.spec.pause or (spec.pause and not edited):
            return "SkippedPaused"
        if edited:
            return "MissedEdited"
        if due != newest:
            return "MissedDowntime"
        late = deadline is not None and now > due + timedelta(seconds=deadline)
        return "MissedDeadline" if late else ""
