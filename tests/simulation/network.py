"""The way from one controller to the simulated API server: in place of aiohttp's session, below the Client.

All of the Client above it is the product's: paths, bodies, the fence, retries, the reading of errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from email.utils import format_datetime
from functools import partial
from typing import Any, cast

import aiohttp
from attrs import define, field
from yarl import URL

from tests.simulation.server import ApiServer, Refusal, read_path, selected
from tests.simulation.watching import Watch, Watches
from tests.simulation.weather import Weather
from tidbbackup.kube.client import Client
from tidbbackup.kube.errors import ApiError

LONG = 0.1
"""Seconds on the way that give others the time to act."""
_STATUS = {"429": 429, "500": 500, "403": 403, "409": 409, "503 later": 503, "429 later": 429}
_LOST = {"500 done": 500, "504 done": 504}
_LATER = {"Retry-After": "1"}


@define
class Answer:
    """What the Client reads of an aiohttp.ClientResponse."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(factory=dict)
    cut: bool = False
    stream: AsyncIterator[bytes] | None = None
    closes: Callable[[], None] = lambda: None

    @property
    def content(self) -> Answer:
        """Itself: its body."""
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        """The body in chunks."""
        if self.stream is not None:
            async for chunk in self.stream:
                yield chunk
            return
        if self.cut:
            yield self.body[: len(self.body) // 2]
            raise aiohttp.ClientPayloadError("the answer broke off")
        yield self.body

    async def read(self, _: int) -> bytes:
        """The body of an error."""
        return self.body

    def close(self) -> None:
        """The reader has had enough."""
        self.closes()

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@define(eq=False)
class Network:
    """Stands for an aiohttp.ClientSession. `dies` is called when the controller is to die now."""

    server: ApiServer
    watches: Watches
    weather: Weather
    actor: str
    dies: Callable[[], None] = lambda: None
    dead: bool = False
    mine: list[Watch] = field(factory=list)
    waits: Callable[[str, str], None] = lambda *_: None
    """Told of method and path of a request that is long on its way to the server."""
    asked: Callable[[str, str, str, int], None] = lambda *_: None
    """Told of each answered request: actor, method, path, status."""

    async def request(
        self, method: str, url: URL, *, data: Any, timeout: aiohttp.ClientTimeout, **_: object
    ) -> Answer:
        """One request, and what befalls it."""
        fault = self.weather.fault(writes=method == "PATCH")
        death = self.weather.death() if method != "GET" else ""
        way = self.weather.latency()
        if way > LONG:
            self.waits(method, url.path)
        await self._travel(way)
        body = _read(data)
        await self._die_if(death == "before")
        if fault in _STATUS:
            return self._refused(fault)
        if fault == "refused":
            raise aiohttp.ClientConnectionError("connection refused")
        if fault == "silence":
            await self._silence(timeout)
        answer = self._answered(method, url, body)
        await self._die_if(death == "after")
        await self._travel(self.weather.latency())
        if fault == "reset":
            raise aiohttp.ClientConnectionError("connection reset")
        if fault == "silence done":
            await self._silence(timeout)
        if fault in _LOST:
            return Answer(_LOST[fault], Refusal(_LOST[fault], "Timeout").body)
        answer.cut = fault == "cut"
        return answer

    def _answered(self, method: str, url: URL, body: bytes) -> Answer:
        query = url.query
        if "watch" in query:
            at = read_path(url.path)
            wanted, seconds = selected(at, query), float(query["timeoutSeconds"])
            watch = self.watches.begin(at.plural, wanted, int(query["resourceVersion"]), seconds)
            self.mine.append(watch)
            return Answer(200, stream=self.watches.chunks(watch), closes=partial(self.watches.close, watch))
        self.server.actor = self.actor
        try:
            status, raw = self.server.answer(method, url.path, query, body)
        except Refusal as refusal:
            status, raw = refusal.status, refusal.body
        finally:
            self.server.actor = ""
        self.asked(self.actor, method, url.path, status)
        return Answer(status, raw, {"Date": format_datetime(self.server.clock(), usegmt=True)})

    def _refused(self, fault: str) -> Answer:
        status = _STATUS[fault]
        words = {409: "Conflict", 403: "Forbidden"}
        body = Refusal(status, words.get(status, "InternalError"), "exceeded quota: by chance").body
        return Answer(status, body, _LATER if fault.endswith("later") else {})

    async def _travel(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._if_dead()

    async def _silence(self, timeout: aiohttp.ClientTimeout) -> None:
        await asyncio.sleep(min(timeout.total or 60.0, timeout.sock_read or 60.0))
        await self._if_dead()
        raise aiohttp.ServerTimeoutError("no answer in time")

    async def _if_dead(self) -> None:
        if self.dead:
            await asyncio.get_running_loop().create_future()

    async def _die_if(self, now: bool) -> None:
        if now:
            self.dies()
            await self._if_dead()

    def die(self) -> None:
        """Nothing goes through any more, in either direction."""
        self.dead = True
        for watch in self.mine:
            self.watches.close(watch)

    async def close(self) -> None:
        """The Client closes it."""


def _read(data: Any) -> bytes:
    try:
        return b"" if data is None else bytes(data.read())
    except ApiError as error:
        # As aiohttp tells of a body that cannot be read.
        raise aiohttp.ClientConnectionError(str(error)) from error


class SimulatedClient(Client):
    """The product's Client over such a way."""

    def __init__(self, network: Network, *rest: Any, **more: Any) -> None:
        super().__init__(*rest, **more)
        self._network = network

    def _session(self) -> aiohttp.ClientSession:
        return cast(aiohttp.ClientSession, self._network)
