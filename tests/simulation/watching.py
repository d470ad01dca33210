"""The open watches of the simulated API server."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator

import aiohttp
from attrs import define, field

from tests.simulation.server import KINDS, Selected
from tests.simulation.store import Change, Objects, encode
from tests.simulation.weather import Weather

BOOKMARK_SECONDS = 60.0


@define(eq=False)
class Watch:
    """One watch: lines that wait until their time, in order."""

    plural: str
    wanted: Selected
    ends: float
    lines: deque[tuple[float, bytes]] = field(factory=deque)
    sent: int = 0
    """The version that it has reached."""
    broken: bool = False
    waiter: asyncio.Future[None] | None = None

    def add(self, line: bytes, at: float) -> None:
        """Sends a line, not before that time and not before those that wait already."""
        if self.broken:
            return  # A later line would hide those that were lost.
        self.lines.append((max(at, self.lines[-1][0]) if self.lines else at, line))
        self.wake()

    def cut(self) -> None:
        """Breaks off, without what still waits."""
        self.broken = True
        self.lines.clear()
        self.wake()

    def wake(self) -> None:
        """Looks again what there is to send."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def ready(self, now: float) -> bytes:
        """All lines whose time has come."""
        found = []
        while self.lines and self.lines[0][0] <= now:
            found.append(self.lines.popleft()[1])
        return b"".join(found)

    async def until(self, at: float) -> None:
        """Waits until then, or until there is something new."""
        loop = asyncio.get_running_loop()
        self.waiter = loop.create_future()
        alarm = loop.call_at(at, self.wake)
        try:
            await self.waiter
        finally:
            alarm.cancel()


@define
class Watches:
    """All open watches, of all controllers."""

    objects: Objects
    weather: Weather
    open: dict[str, list[Watch]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.objects.changed.append(self.told)

    def told(self, change: Change) -> None:
        """Sends a change to those that want it."""
        now = asyncio.get_running_loop().time()
        for watch in tuple(self.open.get(change.plural, ())):
            if change.last not in watch.wanted or self.weather.loses():
                continue
            if self.weather.cuts():
                watch.cut()
                continue
            watch.add(change.line, now + self.weather.latency())
            if self.weather.repeats():
                watch.add(change.line, now)
        if self.weather.forgets():
            self.objects.forget()

    def begin(self, plural: str, wanted: Selected, version: int, seconds: float) -> Watch:
        """A watch of what comes after that version."""
        now = asyncio.get_running_loop().time()
        watch = Watch(plural, wanted, now + seconds, sent=version)
        if version < self.objects.forgotten:
            status = {
                "kind": "Status",
                "code": 410,
                "reason": "Expired",
                "message": "too old resource version",
            }
            watch.add(encode({"type": "ERROR", "object": status}) + b"\n", now)
            watch.ends = now
            return watch
        log = self.objects.log
        for change in log[bisect_right(log, version, key=lambda each: each.version) :]:
            if change.plural == plural and change.last in wanted:
                watch.add(change.line, now)
        self.open.setdefault(plural, []).append(watch)
        return watch

    async def chunks(self, watch: Watch) -> AsyncIterator[bytes]:
        """What it sends, until it ends or breaks."""
        loop = asyncio.get_running_loop()
        bookmark = loop.time() + BOOKMARK_SECONDS
        try:
            while True:
                now = loop.time()
                if chunk := watch.ready(now):
                    yield chunk
                    continue
                if watch.broken:
                    raise aiohttp.ClientPayloadError("the connection was lost")
                if now >= watch.ends:
                    return
                if now >= bookmark and not watch.lines:
                    bookmark = now + BOOKMARK_SECONDS
                    if watch.sent != self.objects.version:
                        watch.sent = self.objects.version
                        yield self._bookmark(watch.plural)
                        continue
                # No bookmark goes past a line that waits.
                await watch.until(min(watch.ends, watch.lines[0][0] if watch.lines else bookmark))
        finally:
            self.close(watch)

    def close(self, watch: Watch) -> None:
        """Nothing more is sent."""
        if watch in (them := self.open.get(watch.plural, [])):
            them.remove(watch)

    def _bookmark(self, plural: str) -> bytes:
        api, kind = KINDS[plural]
        meta = {"resourceVersion": str(self.objects.version)}
        return (
            encode({"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": api, "metadata": meta}})
            + b"\n"
        )
