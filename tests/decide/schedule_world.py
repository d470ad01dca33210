"""A world for property tests: one schedule, its Backups and a clock; pure, in memory, made to be broken.

Runs take as long and end as the test says. The controller is up or down and may die after any action.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import attrs
import msgspec

from tests.decide.builders import plan_or_look
from tests.decide.schedule_builders import BEGIN, ended
from tests.decide.schedule_oracle import Oracle
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Action, Announce, Counted, Create, Delete, Look, PatchStatus, Plan, Tally
from tidbbackup.decide.schedule.decision import decide
from tidbbackup.decide.schedule.retention import retention
from tidbbackup.decide.schedule.scheduled import ScheduleFacts, is_active, is_same_run
from tidbbackup.model.names import SCHEDULE_LABEL
from tidbbackup.model.resource.backup import Backup, decode_backup
from tidbbackup.model.resource.schedule import BackupSchedule, BackupScheduleStatus


class Died(Exception):
    """The controller is no more; the world goes on."""


class Taken(Exception):
    """The API server will not take an object: its name is held by another."""


@attrs.define
class World:
    """All there is."""

    schedule: BackupSchedule
    now: datetime = BEGIN
    backups: dict[str, Backup] = attrs.Factory(dict)
    ends: dict[str, tuple[datetime, str]] = attrs.Factory(dict)
    """When each run that works ends, and how."""
    takes: timedelta = timedelta(minutes=10)
    outcome: str = "Complete"
    made: dict[str, datetime] = attrs.Factory(dict)
    """When each Backup was made."""
    deleted: list[str] = attrs.Factory(list)
    events: set[tuple[str, str]] = attrs.Factory(set)
    version: int = 1
    actions: int = 0
    die_at: int | None = None
    tallies: list[Tally] = attrs.Factory(list)
    """What the metrics have counted."""
    oracle: Oracle | None = None
    """Set where what becomes of the due times is to be checked, see `check`."""

    # The controller.

    def facts(self, refusal: Refusal | None = None) -> ScheduleFacts:
        """What a cache that does not lag holds."""
        labelled = (each for each in self.backups.values() if each.metadata.labels.get(SCHEDULE_LABEL) == "s")
        return ScheduleFacts(self.schedule, tuple(labelled), refusal=refusal)

    def reconcile(self) -> datetime | None:
        """One round of schedule and of retention, to the end; returns when to wake up."""
        try:
            plan = decide(self.facts(), self.now)
            self._carry_out(plan.actions)
        except Taken as taken:
            plan = decide(self.facts(Refusal(409, str(taken))), self.now)
            self._carry_out(plan.actions)
        assert plan.wake_at is None or plan.wake_at > self.now
        wakes = [plan.wake_at, self.retain()]
        return min((wake for wake in wakes if wake), default=None)

    def retain(self) -> datetime | None:
        """Retention until it has nothing more to do."""
        while (plan := self._looked(self.facts())).actions:
            self._carry_out(plan.actions)
        assert plan.wake_at is None or plan.wake_at > self.now
        return plan.wake_at

    def _looked(self, facts: ScheduleFacts) -> Plan:
        while isinstance(plan := plan_or_look(retention, facts, self.now), Look):
            found = tuple(self.backups[name] for name in plan.names if name in self.backups)
            evidence = {**facts.evidence, plan: found}
            facts = attrs.evolve(facts, evidence=evidence, server_time=self.now)
        return plan

    def _carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self._apply(action)
            self.actions += 1
            if self.actions == self.die_at:
                raise Died

    def _apply(self, action: Action) -> None:
        match action:
            case Announce(reason=reason, message=message):
                self.events.add((reason, message))
            case Create(manifest=manifest):
                self._create(manifest)
            case PatchStatus(version=version, changes=changes, tallies=tallies):
                assert version == self.schedule.metadata.resourceVersion
                self._patch(changes)
                self.tallies += tallies
            case Delete(key=key, uid=uid, tallies=tallies):
                assert not is_active(self.backups[key.name]), "a running one is deleted"
                assert self.backups.pop(key.name).metadata.uid == uid
                self.deleted.append(key.name)
                self.tallies += tallies
            case _:
                raise AssertionError(action)

    def _create(self, manifest: dict[str, Any]) -> None:
        name = manifest["metadata"]["name"]
        if name in self.backups:
            if not is_same_run(self.backups[name].metadata, manifest):
                raise Taken(f"{name} already exists")
            return
        running = [each for each in self.backups.values() if is_active(each)]
        assert not running or self.schedule.spec.concurrencyPolicy == "Allow", "two run at once"
        assert self.oracle is None or name == self.oracle.due_now(self.schedule.spec, self.now)
        read = decode_backup(msgspec.json.encode(manifest))
        metadata = attrs.evolve(
            read.metadata, uid=f"uid-{name}", creationTimestamp=self.now.replace(microsecond=0)
        )
        self.backups[name] = attrs.evolve(read, metadata=metadata)
        assert name not in self.made, "made twice"
        self.made[name] = self.now
        self.ends[name] = (self.now + self.takes, self.outcome)

    def _patch(self, changes: dict[str, Any]) -> None:
        merged = {**msgspec.to_builtins(self.schedule.status), **changes}
        status = msgspec.convert(
            {name: value for name, value in merged.items() if value is not None}, BackupScheduleStatus
        )
        self._store(attrs.evolve(self.schedule, status=status))
        if self.oracle is not None:
            self.oracle.wrote(self.schedule.spec, self.now, self.made, self.ends)

    def _store(self, changed: BackupSchedule) -> None:
        self.version += 1
        metadata = attrs.evolve(changed.metadata, resourceVersion=str(self.version))
        self.schedule = attrs.evolve(changed, metadata=metadata)

    # The user, and what happens by itself.

    def edit(self, **spec: Any) -> None:
        """kubectl edit."""
        changed = attrs.evolve(self.schedule, spec=attrs.evolve(self.schedule.spec, **spec))
        metadata = attrs.evolve(changed.metadata, generation=changed.metadata.generation + 1)
        self._store(attrs.evolve(changed, metadata=metadata))

    def advance(self, to: datetime) -> None:
        """Time passes and runs end."""
        self.now = to
        for name, (at, phase) in list(self.ends.items()):
            if at <= to and name in self.backups:
                self.backups[name] = attrs.evolve(self.backups[name], status=ended(phase, at))
                del self.ends[name]

    def live(self, until: datetime) -> None:
        """The controller is up until then, and wakes when something changes or as it planned."""
        wake = self.reconcile()
        while True:
            times = [at for at in [wake, *(at for at, _ in self.ends.values())] if at]
            if not times or min(times) > until:
                self.advance(until)
                return
            self.advance(max(min(times), self.now))
            wake = self.reconcile()

    # What has to hold.

    def check(self) -> None:
        """Each due time up to now has had its one outcome; status and metrics agree with the oracle."""
        assert self.oracle is not None
        assert self.oracle.unsettled(self.now) == []
        # Also, nothing was made that was not due.
        assert list(self.made) == self.oracle.ran
        passed, status = self.oracle.passed, self.schedule.status
        missed = sum(count for reason, count in passed.items() if reason.startswith("Missed"))
        assert (status.missedRuns or 0, status.skippedRuns or 0, status.pausedRuns or 0) == (
            missed,
            passed["SkippedOverlap"],
            passed["SkippedPaused"],
        )
        assert self.counted(Counted.MISSED) == passed
        assert self.counted(Counted.RETENTION).total() == len(self.deleted)

    def counted(self, what: Counted) -> collections.Counter[str]:
        """How often a metric has counted that, by reason."""
        found: collections.Counter[str] = collections.Counter()
        for tally in self.tallies:
            assert (tally.namespace, tally.schedule) == ("ns", "s")
            found[tally.reason] += tally.count if tally.what is what else 0
        return +found

    def summary(self) -> tuple[object, ...]:
        """The world, without what dying may change."""
        left = {name: each.status.phase for name, each in self.backups.items()}
        return left, self.made, self.schedule.status, self.events, self.tallies


def watched(schedule: BackupSchedule, **more: Any) -> World:
    """A world that begins with this schedule's creation and has an oracle watch it."""
    created = schedule.metadata.creationTimestamp
    assert created is not None
    return World(schedule, now=created, oracle=Oracle(created, schedule.spec), **more)
