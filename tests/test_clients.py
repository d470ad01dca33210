"""Few clients at a time, none for long, and none shuts another out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from tidbbackup.clients import bounded

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def serving(clients: int, seconds: float) -> AsyncIterator[int]:
    """A server on loopback that takes in so many; its port."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(text="here")

    server = web.Server(answer)
    listening = await asyncio.get_running_loop().create_server(
        bounded(server, clients, seconds), "127.0.0.1", 0
    )
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await server.shutdown()


async def test_the_oldest_makes_room_for_the_newest() -> None:
    async with serving(clients=2, seconds=60) as port:
        silent = []
        for _ in range(3):
            silent.append(await asyncio.open_connection("127.0.0.1", port))
            silent[-1][1].write(ASK)
            await silent[-1][0].readuntil(b"here")

        with suppress(ConnectionResetError):
            assert await silent[0][0].read() == b""
        for reader, writer in silent[1:]:
            writer.write(ASK)
            await reader.readuntil(b"here")
        for _, writer in silent:
            writer.close()


async def test_nobody_stays_for_long() -> None:
    async with serving(clients=2, seconds=0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(30):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()
