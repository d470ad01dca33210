"""A TCP proxy that stops at a word: once a client says it, nothing passes until the test has decided.

So a run stands still at an exact point (a query, an upload, a manifest) and can be killed or cut off there.
Knows no protocol: the word is looked for in what the client sends.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

TABLE_DUMP = b"SQL_NO_CACHE"
"""What mydumper says when it reads the rows of a table."""
PART = b"partNumber="
"""In the request that uploads a part of an archive."""
COMPLETION = b"<CompleteMultipartUpload"
"""In the request that makes an upload an object."""
MANIFEST = b".manifest.json"
"""In the request that writes a manifest."""


@define(eq=False)
class HoldProxy:
    """One listening port in front of one server."""

    target: tuple[str, int]
    word: bytes
    port: int = 0
    reached: asyncio.Event = field(factory=asyncio.Event)
    """Somebody has said the word; what it belongs to has not been passed on."""
    _released: asyncio.Event = field(factory=asyncio.Event)
    _refusing: bool = False
    _open: dict["asyncio.Task[None]", asyncio.StreamWriter] = field(factory=dict)

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
        for task, writer in self._open.items():
            writer.transport.abort()
            task.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from a client to the server and back."""
        task = asyncio.current_task()
        assert task is not None
        if self._refusing:
            writer.transport.abort()
            return
        self._open[task] = writer
        with contextlib.suppress(OSError, asyncio.CancelledError):
            from_server, to_server = await asyncio.open_connection(*self.target)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, to_server, held=True))
                    group.create_task(self._pump(from_server, writer, held=False))
            except* OSError:
                pass  # one of the two has gone, and with it the connection
            finally:
                to_server.transport.abort()
        writer.transport.abort()
        del self._open[task]

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: bool) -> None:
        while data := await reader.read(1 << 16):
            if held and self.word in data and not self._released.is_set():
                self.reached.set()
                await self._released.wait()
            writer.write(data)
            await writer.drain()
        # Either end closes both: neither HTTP nor MySQL goes on in one direction.
        raise ConnectionResetError

    async def close(self) -> None:
        """Drop every connection."""
        tasks = tuple(self._open)
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def hold_proxy(host: str, port: int, word: bytes) -> AsyncIterator[HoldProxy]:
    """A proxy for as long as the block lasts."""
    proxy = HoldProxy((host, port), word)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
