"""A TCP proxy that cuts or freezes its connections once so many bytes, or a word, have passed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from tests.cluster.relay import Listener, both_ways, connection, listening, pass_on, reset


@define
class CutProxy:
    """One listening port in front of one server."""

    target: tuple[str, int]
    limit: int | None = None
    """Bytes in both directions together, after which nothing passes any more; None: no limit."""
    word: bytes | None = None
    """Nothing passes any more from the piece on that holds this."""
    freeze: bool = False
    """At the limit: keep the connections open and silent, instead of resetting them."""
    thaw: asyncio.Event = field(factory=asyncio.Event)
    """Ends the silence: what was kept goes on its way."""
    passed: int = 0
    reached: asyncio.Event = field(factory=asyncio.Event)
    _listener: Listener = field(factory=Listener)

    @property
    def port(self) -> int:
        """Where a client finds it."""
        return self._listener.port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.reached.is_set() and not self.freeze:
            reset(writer.transport)
            return
        async with connection(*self.target) as (from_server, to_server):
            await both_ways(pass_on(reader, to_server, self._look), pass_on(from_server, writer, self._look))

    async def _look(self, data: bytes) -> None:
        self.passed += len(data)
        over = self.limit is not None and self.passed > self.limit
        if over or (self.word is not None and self.word in data):
            self.reached.set()
            if self.freeze:
                await self.thaw.wait()
                return
            self._listener.reset()
            raise ConnectionResetError


@asynccontextmanager
async def cut_proxy(host: str, port: int) -> AsyncIterator[CutProxy]:
    """A proxy for as long as the block lasts."""
    proxy = CutProxy((host, port))
    async with listening(proxy._serve) as proxy._listener:
        yield proxy
