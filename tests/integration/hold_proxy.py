"""A TCP proxy that stops at a word: once a client says it, nothing passes until the test has decided.

So a run stands still at an exact point (a query, an upload, a manifest) and can be killed or cut off there.
Knows no protocol: the word is looked for in what the client sends.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from tests.cluster.relay import Listener, both_ways, connection, listening, pass_on, reset

TABLE_DUMP = b"SQL_NO_CACHE"
"""What mydumper says when it reads the rows of a table."""
PART = b"partNumber="
"""In the request that uploads a part of an archive."""
COMPLETION = b"<CompleteMultipartUpload"
"""In the request that makes an upload an object."""
DELETION = b"DELETE /"
"""In each request that deletes something."""
MANIFEST = b".manifest.json"
"""In the request that writes a manifest."""


@define(eq=False)
class HoldProxy:
    """One listening port in front of one server."""

    target: tuple[str, int]
    word: bytes
    skip: int = 0
    """So often the word passes before."""
    said: int = 0
    """How often it has been said."""
    reached: asyncio.Event = field(factory=asyncio.Event)
    """Somebody has said the word; what it belongs to has not been passed on."""
    _released: asyncio.Event = field(factory=asyncio.Event)
    _refusing: bool = False
    _listener: Listener = field(factory=Listener)

    @property
    def port(self) -> int:
        """Where a client finds it."""
        return self._listener.port

    @property
    def url(self) -> str:
        """Where an HTTP client finds it."""
        return f"http://127.0.0.1:{self.port}"

    def release(self) -> None:
        """Let pass what waits and all that comes: from here on the way is a good one."""
        self._refusing = False
        self._released.set()

    def cut(self) -> None:
        """The server is lost: every connection ends with RST, and so does each new one until `release`."""
        self._refusing = True
        self._listener.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            reset(writer.transport)
            return
        async with connection(*self.target) as (from_server, to_server):
            await both_ways(pass_on(reader, to_server, self._look), pass_on(from_server, writer))

    async def _look(self, data: bytes) -> None:
        self.said += self.word in data
        if self.word in data and self.said > self.skip and not self._released.is_set():
            self.reached.set()
            await self._released.wait()


@asynccontextmanager
async def hold_proxy(host: str, port: int, word: bytes, skip: int = 0) -> AsyncIterator[HoldProxy]:
    """A proxy for as long as the block lasts."""
    proxy = HoldProxy((host, port), word, skip)
    async with listening(proxy._serve) as proxy._listener:
        yield proxy
