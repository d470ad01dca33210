"""A TCP proxy that cuts or freezes its connections once so many bytes, or a word, have passed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field


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
    port: int = 0
    passed: int = 0
    reached: asyncio.Event = field(factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(factory=set)
    _tasks: set["asyncio.Task[None]"] = field(factory=set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self.reached.is_set() and not self.freeze:
                return
            away_reader, away_writer = await asyncio.open_connection(*self.target)
            self._writers.add(away_writer)
            await asyncio.gather(self._pump(reader, away_writer), self._pump(away_reader, writer))
        except OSError:
            return
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            self.passed += len(data)
            over = self.limit is not None and self.passed > self.limit
            if over or (self.word is not None and self.word in data):
                self.reached.set()
                if self.freeze:
                    await asyncio.Event().wait()
                for each in self._writers:
                    each.transport.abort()
                return
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def close(self) -> None:
        """Drop every connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def cut_proxy(host: str, port: int) -> AsyncIterator[CutProxy]:
    """A proxy for as long as the block lasts."""
    proxy = CutProxy((host, port))
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
