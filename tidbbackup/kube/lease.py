"""Leader election: of several processes, only the one that holds a Lease of the API server writes.

The reckoning:

- The holder renews every 2 s (RETRY). It begins writes until 10 s (RENEW) after it *began* its last renewal
  that succeeded, by a clock that counts suspension. Then the process ends, and closes its connections.
- Another process takes the Lease 15 s (EXPIRE) after it has *seen* it change for the last time, by its own
  clock: later than the holder began that renewal. Times of two machines are never compared.
- So 5 s lie between the holder's last request, begun or still on the wire, and the first of the next holder.
  No timeout for each request could do that: it would be below 5 s, and an admission webhook may take 30 s.
- A process that is frozen while a request is on the wire closes nothing. The API server ends the request
  within 60 s; names and resourceVersions make it harmless, as between two that both believe to lead.

Must not know what the holder does.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import attrs
import msgspec
from attrs import frozen

from tidbbackup.kube.client import Client
from tidbbackup.kube.errors import ApiError, BadAnswer, Conflict, KubeError, NotFound, StatusError
from tidbbackup.kube.fence import Fence, boot_seconds
from tidbbackup.kube.resources import LEASES
from tidbbackup.kube.transport import LATER, Deadlines
from tidbbackup.model.meta import Meta

log = logging.getLogger(__name__)

EXPIRE, RENEW, RETRY = 15, 10.0, 2.0
"""Seconds, see above."""
_TRY, _RELEASE = 5.0, 2.0
"""Seconds for a try to get or renew the Lease, so that there is time for another, and for its release."""

DEADLINES = Deadlines(connect=2.5, idle=_TRY, total=_TRY)
"""For the Client of an Election."""


class LeaseLost(KubeError):
    """This process has led and must not go on; the message says why."""


class Spec(msgspec.Struct, frozen=True):
    """The spec of a Lease. Its times are for people, and never compared."""

    holderIdentity: str | None = None
    leaseDurationSeconds: int | None = None
    acquireTime: str | None = None
    renewTime: str | None = None
    leaseTransitions: int | None = None


class _Lease(msgspec.Struct):
    metadata: Meta
    spec: Spec = Spec()


_decode = msgspec.json.Decoder(_Lease).decode


@frozen
class Seen:
    """A Lease as this process knows it."""

    spec: Spec
    version: str
    """Its resourceVersion; "" if it was deleted since."""
    since: float
    """When this process first saw that spec, by its own clock."""


def see(before: Seen | None, found: tuple[Spec, str] | None, now: float) -> Seen | None:
    """What is known after a read, which has found spec and resourceVersion or no Lease.

    A Lease that was deleted still counts as held: its holder does not know that yet.
    """
    if found is None:
        return attrs.evolve(before, version="") if before else None
    spec, version = found
    return Seen(spec, version, before.since if before and before.spec == spec else now)


def wait(seen: Seen | None, me: str, now: float) -> float:
    """Seconds after which `me` may write its name into the Lease; 0 if it may now."""
    if seen is None or seen.spec.holderIdentity in (None, "", me):
        return 0.0
    return max(0.0, seen.since + (seen.spec.leaseDurationSeconds or EXPIRE) - now)


def claim(before: Spec | None, me: str, wall: str) -> Spec:
    """The spec by which `me` takes or renews the Lease; `wall` is the time to show."""
    if before and before.holderIdentity == me:
        return Spec(me, EXPIRE, before.acquireTime, wall, before.leaseTransitions)
    return Spec(me, EXPIRE, wall, wall, (before.leaseTransitions or 0) + 1 if before else 0)


class Election:
    """Gets a Lease and keeps it; the fence is open meanwhile.

    `client` is its own: without the fence, and no other request delays a renewal. `me` names the process, not
    the pod: a container that is started again waits like any other.
    """

    def __init__(
        self,
        client: Client,
        lease: tuple[str, str],
        fence: Fence,
        *,
        me: str = "",
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        self._client = client
        self._namespace, self._name = lease
        self._fence = fence
        self._me = me or f"{socket.gethostname()}_{uuid4()}"
        self._clock = clock
        self._seen: Seen | None = None
        self._trouble = ""
        self.refused = ""
        """The API server's refusal (rights, no such namespace); "" if it does not refuse."""

    def __str__(self) -> str:
        return f"Lease {self._namespace}/{self._name}"

    async def run(self) -> None:
        """Get the Lease, then renew it. Cancel it to stop: then the Lease is released.

        Dying at any point: the Lease expires, and another process takes it.

        Raises:
            LeaseLost: this process has led and must not go on.
        """
        pause = 0.0
        try:
            while True:
                await asyncio.sleep(pause)
                pause = await self._round()
        except asyncio.CancelledError:
            self._fence.close()
            await self._release()
            raise

    async def _round(self) -> float:
        """One try to get or renew the Lease; returns the seconds until the next one."""
        began, leads = self._clock(), self._fence.opened.is_set()
        left = self._fence.left if leads else _TRY
        if left <= 0:
            raise LeaseLost(f"{self} was not renewed in time")
        try:
            async with asyncio.timeout(min(_TRY, left)):
                held = await self._hold(leads=leads)
        except (ApiError, TimeoutError) as error:
            final = isinstance(error, StatusError) and error.status < 500 and error.status not in LATER
            self.refused = f"{self}: {error}" if final else ""
            trouble = str(error) or "no answer in time"
            if trouble != self._trouble:
                log.warning("%s: %s", self, trouble)
            self._trouble = trouble
            return max(0.0, min(RETRY, self._fence.left)) if leads else RETRY
        self.refused = self._trouble = ""
        if held:
            self._fence.extend(began + RENEW)
            return RETRY
        if leads:
            raise LeaseLost(f"{self} was taken by another process")
        return min(RETRY, wait(self._seen, self._me, self._clock()))

    async def _hold(self, *, leads: bool) -> bool:
        """Whether the Lease has our name now, by a write that has just succeeded."""
        if leads:
            try:
                await self._write()
            except (Conflict, NotFound) as error:
                log.warning("%s was changed or deleted by somebody else: %s", self, error)
            else:
                return True
        self._seen = see(self._seen, await self._read(), self._clock())
        if wait(self._seen, self._me, self._clock()) > 0:
            log.debug("%s: another process leads: %s", self, self._seen)
            return False
        try:
            await self._write()
        except Conflict:
            return False  # Another process was first.
        log.info("%s: this process leads, as %s", self, self._me)
        return True

    async def _read(self) -> tuple[Spec, str] | None:
        try:
            return _read(await self._client.get(LEASES, self._namespace, self._name))
        except NotFound:
            return None

    async def _write(self) -> None:
        before = self._seen
        spec = msgspec.to_builtins(claim(before.spec if before else None, self._me, _wall()))
        if before and before.version:
            answer = await self._patch(before.version, spec)
        else:
            body = {"metadata": {"name": self._name, "namespace": self._namespace}, "spec": spec}
            answer = await self._client.create(LEASES, self._namespace, body)
        self._seen = Seen(*_read(answer), self._clock())

    async def _patch(self, version: str, spec: dict[str, Any]) -> bytes:
        patch = {"metadata": {"resourceVersion": version}, "spec": spec}
        return await self._client.patch(LEASES, self._namespace, self._name, patch)

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(_RELEASE):
                # Read again: a renewal that was cancelled just now may have been carried out.
                found = await self._read()
                if found and found[0].holderIdentity == self._me:
                    await self._patch(found[1], {"holderIdentity": "", "renewTime": _wall()})
                    log.info("%s: released", self)
        except (ApiError, TimeoutError) as error:
            log.warning("%s: not released, another process waits until it expires: %s", self, error)


def _read(body: bytes) -> tuple[Spec, str]:
    try:
        found = _decode(body)
    except msgspec.DecodeError as error:
        raise BadAnswer(f"the answer is no Lease: {error}") from error
    return found.spec, found.metadata.resourceVersion


def _wall() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
