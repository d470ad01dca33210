"""The fault proxy does what it says, to bytes and to requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.cluster.fault_proxy import Fault, FaultProxy, fault_proxy

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
REQUEST = b"GET /a?watch=true HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"


@asynccontextmanager
async def _server(asked: list[bytes], *, http: bool) -> AsyncIterator[int]:
    """Answers each request and ends the connection; without `http` an echo."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if http:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(ANSWER)
            else:
                while chunk := await reader.read(100):
                    writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def _proxied(*faults: Fault, http: bool = True) -> AsyncIterator[tuple[FaultProxy, list[bytes]]]:
    asked: list[bytes] = []
    async with _server(asked, http=http) as port, fault_proxy("127.0.0.1", port, http=http) as proxy:
        proxy.faults += faults
        yield proxy, asked


async def _ask(proxy: FaultProxy) -> bytes:
    """Everything that comes until the end; ConnectionResetError where it comes by RST."""
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    try:
        writer.write(REQUEST)
        return await reader.read()
    finally:
        writer.close()


async def test_without_a_fault_all_is_passed_on_once_for_each_connection() -> None:
    async with _proxied() as (proxy, asked):
        assert await _ask(proxy) == ANSWER
        assert proxy.requests == ["GET /a?watch=true HTTP/1.1"]
        assert asked == [b"GET /a?watch=true HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]


async def test_a_status_is_answered_as_often_as_asked_for() -> None:
    refusal = Fault(matches="watch", status=503, body=b"no", times=2)
    async with _proxied(Fault(matches="other"), Fault(excludes="watch"), refusal) as (proxy, asked):
        answers = [await _ask(proxy) for _ in range(3)]
        assert [answer.split()[1] for answer in answers] == [b"503", b"503", b"200"]
        assert answers[0].endswith(b"\r\n\r\nno")
        assert (len(asked), proxy.faulted) == (1, 2)


@pytest.mark.parametrize("cut", [0, 1, 20, len(ANSWER)])
async def test_a_cut_comes_at_its_byte(cut: int) -> None:
    async with _proxied(Fault(cut_at=cut)) as (proxy, _):
        assert await _ask(proxy) == ANSWER[:cut]
        assert proxy.cut == 1


async def test_a_reset_is_one() -> None:
    async with _proxied(Fault(cut_at=0, reset=True)) as (proxy, _):
        with pytest.raises(ConnectionResetError):
            await _ask(proxy)


async def test_small_pieces_are_the_same_bytes() -> None:
    async with _proxied(Fault(rechunk=1)) as (proxy, _):
        assert await _ask(proxy) == ANSWER


async def test_a_blackhole_neither_answers_nor_ends() -> None:
    async with _proxied(Fault(blackhole_at=10)) as (proxy, _):
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(REQUEST)
        assert await reader.readexactly(10) == ANSWER[:10]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        writer.close()


@pytest.mark.parametrize("dark", [False, True])
async def test_open_connections_can_be_lost_and_new_ones_work(dark: bool) -> None:
    async with _proxied(http=False) as (proxy, _):
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        if dark:
            proxy.blackhole_open()
            writer.write(b"two")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.05)
        else:
            proxy.reset_open()
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
        writer.close()
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(b"new")
        assert await reader.readexactly(3) == b"new"
        writer.close()
