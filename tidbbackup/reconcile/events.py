"""The Events that tell why pods do not start: listed once for all runs of a namespace that wait at a time.

Each question makes the API server read every Event of the namespace, whatever its selector: 4,000 runs that
wait would ask 66 times a second. Must not interpret Events.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from attrs import define, field

from tidbbackup.decide.plan import Look
from tidbbackup.kube.client import Client, Selector
from tidbbackup.kube.decode import Malformed
from tidbbackup.kube.pace import TIMING
from tidbbackup.kube.resources import EVENTS
from tidbbackup.kube.watch import Target, list_all
from tidbbackup.model.meta import Meta
from tidbbackup.model.resource.kubernetes import Happening

FEW = 3
"""So many questions about a namespace are asked one by one: its other Events may be many."""
SECONDS = 5.0
"""How long one list answers all other questions."""
_OF_RUNS = ("backup-", "restore-", "aftermath-")
_ELSE = Happening(Meta())
_DECODER = msgspec.json.Decoder(Happening)

Events = tuple[Happening | Malformed, ...]


@define
class _Round:
    began: float
    questions: int = 0
    listed: asyncio.Task[Events] | None = None


@define
class EventLists:
    """Answers the looks for Events."""

    client: Client
    _rounds: dict[str, _Round] = field(factory=dict)

    async def find(self, wanted: Look) -> Events:
        """The Events that match the fields of `wanted`; in a list for many up to SECONDS old.

        Raises ApiError.
        """
        asked = self._round(wanted.namespace)
        asked.questions += 1
        if asked.questions <= FEW:
            return await self._list(wanted.namespace, Selector(fields=wanted.fields))
        if asked.listed is None:
            asked.listed = asyncio.create_task(self._list(wanted.namespace, Selector()))
        # Shielded: a reconcile that is cancelled does not take the answer from the others.
        return tuple(event for event in await asyncio.shield(asked.listed) if _matches(event, wanted.fields))

    def _round(self, namespace: str) -> _Round:
        now = asyncio.get_running_loop().time()
        self._rounds = {name: each for name, each in self._rounds.items() if now - each.began < SECONDS}
        return self._rounds.setdefault(namespace, _Round(now))

    async def _list(self, namespace: str, selector: Selector) -> Events:
        target: Target[Happening] = Target(EVENTS, _decode, namespace, selector)
        found = (await list_all(self.client, target, TIMING.page)).objects
        return tuple(event for event in found if event is not _ELSE)


def _decode(raw: msgspec.Raw) -> Happening:
    event = _DECODER.decode(raw)
    # Other programs' Events can be many thousands: they are not kept.
    return event if event.involvedObject.name.startswith(_OF_RUNS) else _ELSE


def _matches(event: Any, fields: str) -> bool:
    if isinstance(event, Malformed):
        return False
    wanted = (each.removeprefix("involvedObject.").split("=") for each in fields.split(","))
    return all(getattr(event.involvedObject, name) == value for name, value in wanted)
