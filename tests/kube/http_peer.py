"""A listener that answers each request with the bytes it was told to, and keeps what it was asked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec
from attrs import define, field

from tidbbackup.kube.connection import Connection, Credentials


@define
class Asked:
    """One request as it came in."""

    line: str
    headers: dict[str, str]
    body: bytes


@define
class Peer:
    """What was asked, and where to ask."""

    url: str = ""
    asked: list[Asked] = field(factory=list)

    def connection(self, credentials: Credentials | None = None) -> Connection:
        """How a client reaches it."""
        return Connection(self.url, None, credentials or fixed_token("Bearer one"))


def fixed_token(*headers: str) -> Credentials:
    """Credentials that start with the first header and find the others when they read again."""
    later = deque(headers[1:])

    async def read() -> str:
        return later.popleft() if later else ""

    return Credentials(read, headers[0])


def answer(status: int, body: object = b"{}", *headers: str, length: int | None = None) -> bytes:
    """A whole HTTP answer; `length` announces another length than the body has."""
    sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
    lines = (f"HTTP/1.1 {status} X", f"Content-Length: {len(sent) if length is None else length}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + sent


@asynccontextmanager
async def http_peer(answers: Iterable[bytes]) -> AsyncIterator[Peer]:
    """Plays `answers`, one for each request; a connection ends after its answer, and hangs without one."""
    left, peer = deque(answers), Peer()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in rest)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        peer.asked.append(Asked(first, headers, body))
        if left:
            writer.write(left.popleft())
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    peer.url = f"http://{host}:{port}"
    try:
        yield peer
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()
