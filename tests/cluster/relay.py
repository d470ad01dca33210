"""What all proxies of the tests share: a port on loopback, bytes that are moved on.

What is done to the bytes on their way is each proxy's own. Knows no protocol.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

LIMIT = 64 * 1024
"""Bytes that are moved at once."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
Look = Callable[[bytes], Awaitable[None]]
"""Sees bytes before they are passed on; may wait, or end the connection by an OSError."""


@define(eq=False)
class Listener:
    """One port and the connections that have come in there."""

    port: int = 0
    _open: dict["asyncio.Task[None]", asyncio.StreamWriter] = field(factory=dict)

    def reset(self) -> None:
        """Every connection that is open now ends with RST."""
        for task, writer in tuple(self._open.items()):
            reset(writer.transport)
            task.cancel()

    async def close(self) -> None:
        """Drop every connection."""
        dropped = dict(self._open)
        for task in dropped:
            task.cancel()
        await asyncio.gather(*dropped, return_exceptions=True)
        # What a client does not read any more would keep its end open.
        for writer in dropped.values():
            writer.transport.abort()


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """A free port for as long as the block lasts; at the end every connection is gone."""
    listener = Listener()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        listener._open[task] = writer
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # one of the two has gone, or it is the end
        finally:
            del listener._open[task]
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, limit=LIMIT)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        await listener.close()
        await server.wait_closed()


@asynccontextmanager
async def connection(
    host: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server; aborted at the end. Raises OSError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.create_connection(lambda: protocol, host, port, ssl=tls)
    try:
        yield reader, _ToServer(transport, protocol, reader, loop)
    finally:
        # Before anything is awaited: the end of a proxy may cancel this too.
        transport.abort()


class _ToServer(asyncio.StreamWriter):
    def __del__(self) -> None:
        """Not asyncio's: it calls a TLS connection unclosed that the server has closed."""


async def pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Look | None = None
) -> None:
    """Move bytes until there are no more."""
    while data := await reader.read(LIMIT):
        if look:
            await look(data)
        writer.write(data)
        await writer.drain()


async def both_ways(up: Coroutine[Any, Any, None], down: Coroutine[Any, Any, None]) -> None:
    """Until one of the two directions ends: neither HTTP nor MySQL goes on in the other alone."""
    moving = [asyncio.create_task(up), asyncio.create_task(down)]
    try:
        await asyncio.wait(moving, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in moving:
            task.cancel()
        await asyncio.gather(*moving, return_exceptions=True)


@asynccontextmanager
async def slow_server(host: str, port: int, bytes_per_second: int) -> AsyncIterator[int]:
    """The port of a way to a server on which bytes go so slowly, in each direction and connection."""

    async def slowly(data: bytes) -> None:
        await asyncio.sleep(len(data) / bytes_per_second)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with connection(host, port) as (from_server, to_server):
            await both_ways(pass_on(reader, to_server, slowly), pass_on(from_server, writer, slowly))

    async with listening(serve) as listener:
        yield listener.port


def reset(transport: asyncio.BaseTransport | None) -> None:
    """End a connection with RST."""
    assert isinstance(transport, asyncio.Transport)
    opened = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        # Lingering for no time at all turns the close into a RST.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
