"""The reconcilers: observe, decide, act; the same lines for all.

They share one queue of object keys, so no object is reconciled twice at the same time. Must not decide.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import attrs
import msgspec
from attrs import Factory, field, frozen

from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide import restore as run_restore
from tidbbackup.decide.facts import NO_CAPS, Caps, Facts, Unknown
from tidbbackup.decide.plan import Look, Plan, Tally
from tidbbackup.decide.pod import WorkerImage
from tidbbackup.decide.schedule import decision
from tidbbackup.decide.schedule.retention import retention
from tidbbackup.kube.client import Client, Selector
from tidbbackup.kube.decode import Malformed, read_object
from tidbbackup.kube.errors import Forbidden, NotFound
from tidbbackup.kube.fence import boot_seconds
from tidbbackup.kube.pace import TIMING
from tidbbackup.kube.resources import CRDS, EVENTS
from tidbbackup.kube.watch import Target, list_all
from tidbbackup.kube.writes import WriteGate, Writer
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.resource.restore import KIND as RESTORE_KIND
from tidbbackup.model.resource.schedule import KIND as SCHEDULE_KIND
from tidbbackup.reconcile.act import Actor, Refused, TooOld
from tidbbackup.reconcile.events import EventLists
from tidbbackup.reconcile.kinds import KINDS, Caches, readable
from tidbbackup.reconcile.observe import observe_backup, observe_restore, observe_schedule

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Facts)
Decide = Callable[[F, datetime], Plan]

# A decision needs live reads of at most a Job, its pods and their Events; more are a bug.
_LOOKS = 5


@frozen
class Reconcilers:
    """Brings one object closer to its wanted state.

    `backup` handles a Backup while it exists, `gc` while it is being deleted; `schedule` handles a
    schedule, and `gc` deletes the Backups that its retention no longer keeps; `restore` handles a Restore.
    """

    client: Client
    gate: WriteGate
    caches: Caches
    image: WorkerImage
    now: Callable[[], datetime]
    reconciled: Callable[[str, str, float], None]
    count: Callable[[Tally], None]
    clock: Callable[[], float] = boot_seconds
    caps: Caps = NO_CAPS
    events: EventLists = field(
        init=False, default=Factory(lambda self: EventLists(self.client), takes_self=True)
    )

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """One round; returns when to reconcile again, None for when something changes.

        Raises:
            ApiError: the API could not be read or written; again later.
        """
        if key.kind == SCHEDULE_KIND:
            wakes = []
            for name, decide in (("schedule", decision.decide), ("gc", retention)):
                if planned := observe_schedule(self.caches, key):
                    wakes.append(await self._round(name, key, planned, decide))
            return min((wake for wake in wakes if wake), default=None)
        if key.kind == RESTORE_KIND:
            asked = observe_restore(self.caches, key, self.image)
            return await self._round("restore", key, asked, run_restore.decide)
        facts = observe_backup(self.caches, key, self.image, self.caps)
        going = facts.backup is not None and facts.backup.metadata.deletionTimestamp is not None
        if going:
            return await self._round("gc", key, facts, gc.decide)
        return await self._round("backup", key, facts, run_backup.decide)

    async def _round(self, name: str, key: ObjectKey, facts: F, decide: Decide[F]) -> datetime | None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        result = "error"
        try:
            wake_at = await self._settle(key, facts, decide)
            result = "success" if wake_at is None else "requeue_after"
        finally:
            self.reconciled(name, result, loop.time() - began)
        return wake_at

    async def _settle(self, key: ObjectKey, facts: F, decide: Decide[F]) -> datetime | None:
        actor = Actor(Writer(self.client, self.gate, key), self.count, self.clock)
        facts, plan = await self._decide(facts, decide)
        log.debug("%s: row %s", key, plan.row.id if plan.row else "-")
        try:
            try:
                await actor.carry_out(plan, self.now())
            except Refused as refused:
                facts = attrs.evolve(facts, refusal=refused.refusal)
                _, plan = await self._decide(facts, decide)
                await actor.carry_out(plan, self.now())
        except TooOld:
            log.info("%s: the process stood still, the plan is dropped and made again", key)
            return self.now()
        return plan.wake_at

    async def _decide(self, facts: F, decide: Decide[F]) -> tuple[F, Plan]:
        for _ in range(_LOOKS):
            try:
                return facts, attrs.evolve(decide(facts, self.now()), made_at=self.clock())
            except Unknown as unknown:
                wanted = unknown.look
            of_events = wanted.kind == EVENTS.kind
            found = await (self.events.find(wanted) if of_events else look(self.client, wanted))
            evidence = {**facts.evidence, wanted: found}
            facts = attrs.evolve(facts, evidence=evidence, server_time=self.client.server_time)
        raise AssertionError(f"a decision asks for more than {_LOOKS} looks: {list(facts.evidence)}")


async def look(client: Client, wanted: Look) -> tuple[Any, ...]:
    """Reads from the API server itself, not from a cache."""
    resource, decode = KINDS[wanted.kind].resource, KINDS[wanted.kind].decode
    if wanted.names:
        each = [await look(client, Look(wanted.kind, wanted.namespace, name)) for name in wanted.names]
        return tuple(found for some in each for found in some)
    found: tuple[Any, ...]
    if wanted.name:
        try:
            raw = msgspec.Raw(await client.get(resource, wanted.namespace, wanted.name))
        except NotFound:
            return ()
        except Forbidden:
            # The right to read the CRD may be uninstalled before the CRD: that must not block a Backup.
            if resource is CRDS:
                return ()
            raise
        found = (read_object(raw, decode),)
    else:
        selector = Selector(labels=wanted.labels, fields=wanted.fields)
        target: Target[Any] = Target(resource, decode, wanted.namespace, selector)
        found = (await list_all(client, target, TIMING.page)).objects
    for item in found:
        if isinstance(item, Malformed):
            log.warning("%s %s/%s: %s", wanted.kind, item.metadata.namespace, item.metadata.name, item.why)
    return tuple(readable(item, wanted.kind) for item in found)
