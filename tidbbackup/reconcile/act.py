"""Carries a Plan out: in order, each action repeatable, stopping at the first that fails, and after a create.

What is created comes back through its cache and wakes the key, so the rest is decided again then, behind the
creates of all others: where many are due at once, no Job or Backup waits for the Events and status of others.
The only module that writes to the API. Must not decide: if an action fails it raises, and the next round
sees the objects as they are then.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from attrs import frozen

from tidbbackup.decide.aftermath.finalizer import NAMESPACE_KIND
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import (
    Action,
    Announce,
    Ask,
    Create,
    Delete,
    PatchStatus,
    Plan,
    SetFinalizers,
    Tally,
)
from tidbbackup.decide.run.ownership import JOB_KIND
from tidbbackup.decide.schedule.scheduled import is_same_run
from tidbbackup.kube.client import Propagation
from tidbbackup.kube.decode import read_meta
from tidbbackup.kube.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    StatusError,
)
from tidbbackup.kube.fence import boot_seconds
from tidbbackup.kube.resources import EVENTS
from tidbbackup.kube.writes import Writer
from tidbbackup.model.meta import Meta
from tidbbackup.model.names import API_VERSION, OURS
from tidbbackup.model.units import format_time
from tidbbackup.reconcile.kinds import KINDS

log = logging.getLogger(__name__)

_EVENT_MESSAGE_LIMIT = 1024

PLAN_SECONDS = 5.0
"""How long this process may stand still between a decision and an action, or between two actions."""


class Refused(Exception):
    """The API server refuses an object that we want to create, permanently or for now."""

    def __init__(self, error: StatusError) -> None:
        super().__init__(error.message)
        self.refusal = Refusal(
            error.status,
            error.message,
            namespace_terminating=isinstance(error, Forbidden) and error.namespace_terminating,
            quota_exceeded=isinstance(error, Forbidden) and error.quota_exceeded,
        )


class TooOld(Exception):
    """The process stood still after the decision: what it was made on may have changed. Decide again."""


@frozen
class Actor:
    """Writes to the API, for one reconcile key. `clock` counts suspension."""

    writer: Writer
    count: Callable[[Tally], None]
    clock: Callable[[], float] = boot_seconds

    async def carry_out(self, plan: Plan, now: datetime) -> None:
        """Carry out the actions in order, until one has created something.

        Raises:
            Refused: a create was refused, or would be (400, 403, 422, or the name is taken): deciding again
                may know what to do.
            TooOld: the rest of the plan was dropped.
            ApiError: anything else that failed; trying again later is right.
        """
        current = plan.made_at
        for action in plan.actions:
            if self.clock() - current > PLAN_SECONDS:
                raise TooOld
            if isinstance(action, Create):
                # Dying or stopping here: the next round finds the object, and does the rest.
                if await self._creates(action):
                    return
            else:
                await self._do(action, now)
            # The API server's time does not count: behind a slow webhook no plan would be carried out.
            current = self.clock()

    async def _do(self, action: Action, now: datetime) -> None:
        match action:
            case Ask():
                await self._ask(action)
            case Delete():
                await self._delete(action)
            case PatchStatus():
                patch = {"metadata": {"resourceVersion": action.version}, "status": action.changes}
                await self._patch(action, patch, "status")
            case SetFinalizers():
                meta: dict[str, Any] = {"resourceVersion": action.version}
                meta |= {"finalizers": list(action.finalizers), "annotations": action.annotations}
                await self._patch(action, {"metadata": meta}, "")
            case Announce():
                await self._announce(action, now)

    async def _creates(self, action: Create) -> bool:
        """False if the object is there already: then no event of the cache need come for it."""
        manifest = action.manifest
        meta = manifest["metadata"]
        resource = KINDS[manifest["kind"]].resource
        log.info("create %s %s/%s", resource.kind, meta["namespace"], meta["name"])
        try:
            await self.writer.create(resource, meta["namespace"], manifest)
        except AlreadyExists as error:
            found = read_meta(await self.writer.client.get(resource, meta["namespace"], meta["name"]))
            if not is_ours(found, manifest):
                raise Refused(error) from error
            self.writer.gate.note(self.writer.key, resource, found.resourceVersion, meta["namespace"])
            return False
        except (BadRequest, Forbidden, Invalid) as error:
            raise Refused(error) from error
        return True

    async def _ask(self, action: Ask) -> None:
        meta = action.manifest["metadata"]
        resource = KINDS[action.manifest["kind"]].resource
        try:
            await self.writer.client.create(resource, meta["namespace"], action.manifest, dry_run=True)
        except AlreadyExists:
            return  # Admission comes before the check whether the name exists.
        except (BadRequest, Forbidden, Invalid) as error:
            raise Refused(error) from error

    async def _delete(self, action: Delete) -> None:
        key = action.key
        log.info("delete %s uid %s", key, action.uid)
        # By default the API orphans a Job's pods; with this policy the Job stays until they are deleted. A
        # Backup's own finalizer handles its Job.
        foreground = key.kind == JOB_KIND and not action.abandon
        how: Propagation = "Foreground" if foreground else "Background"
        try:
            await self.writer.delete(
                KINDS[key.kind].resource, key.namespace, key.name, uid=action.uid, propagation=how
            )
        except (NotFound, Conflict):
            return  # Deleted, or another object has the name: ours no longer exists.
        self._count(action.tallies)

    async def _patch(
        self, action: PatchStatus | SetFinalizers, patch: dict[str, Any], subresource: str
    ) -> None:
        key = action.key
        try:
            await self.writer.patch(
                KINDS[key.kind].resource, key.namespace, key.name, patch, subresource=subresource
            )
        except NotFound:
            return  # Deleted meanwhile: there is no object for the Event.
        self._count(action.tallies)

    def _count(self, tallies: tuple[Tally, ...]) -> None:
        # Dying before this line, or a lost answer, leaves it uncounted; the next round finds the write done.
        for tally in tallies:
            self.count(tally)

    async def _announce(self, action: Announce, now: datetime) -> None:
        log.log(
            logging.WARNING if action.type == "Warning" else logging.INFO,
            "%s %s/%s: %s: %s",
            action.kind,
            action.about.namespace,
            action.about.name,
            action.reason,
            action.message,
        )
        try:
            await self.writer.client.create(EVENTS, action.about.namespace, event(action, now))
        except AlreadyExists:
            return
        except ApiError as error:
            # An Event must never stop the actions: a terminating namespace accepts no Events.
            log.info("no Event for %s %s: %s", action.kind, action.about.name, error)


def event(action: Announce, now: datetime) -> dict[str, Any]:
    """The Event for an announcement. Its name is computed from its object and text, so it is written once."""
    meta, message = action.about, action.message[:_EVENT_MESSAGE_LIMIT]
    said = "\0".join((meta.uid, action.type, action.reason, message))
    name = f"{meta.name[:200].rstrip('-.')}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"
    whole_namespace = action.kind == NAMESPACE_KIND
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": meta.namespace},
        "involvedObject": {
            "apiVersion": "v1" if whole_namespace else API_VERSION,
            "kind": action.kind,
            "name": meta.name,
            # An Event about an object without a namespace is in `default`.
            "namespace": "" if whole_namespace else meta.namespace,
            "uid": meta.uid,
        },
        "type": action.type,
        "reason": action.reason,
        "message": message,
        "source": {"component": OURS},
        "reportingComponent": OURS,
        "firstTimestamp": format_time(now),
        "lastTimestamp": format_time(now),
        "count": 1,
    }


def is_ours(found: Meta, wanted: dict[str, Any]) -> bool:
    """Whether the existing object has the same cause: the same owner, or the same schedule and due time."""
    owner = msgspec.convert(wanted["metadata"], Meta).owner
    if owner is None:
        return is_same_run(found, wanted)
    return found.owner is not None and found.owner.identity == owner.identity
