"""Lost answers, as the real client meets them on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.client import AccessKeys, Patience, open_client
from tidbbackup.storage.unanswered import UnansweredTries

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def closed_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def closed_once_heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def reset_once_heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


async def broken_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<?xml")
    writer.close()


def status(line: str) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    return answer


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[int]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def lost_of_one(port: int) -> int:
    target = ObjectTarget("ceph", "b", "k", endpoint=f"http://127.0.0.1:{port}", pathStyle=True)
    async with open_client(target, AccessKeys("a", "b"), patience=Patience(attempts=1)) as client:
        with UnansweredTries(client, "CreateMultipartUpload") as lost, pytest.raises(Exception, match=r"."):
            await client.create_multipart_upload(Bucket="b", Key="k")
        with pytest.raises(Exception, match=r"."):
            await client.create_multipart_upload(Bucket="b", Key="k")
    return lost.count


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        (closed_once_heard, 1),
        (reset_once_heard, 1),
        (broken_off, 1),
        (status("502 Bad Gateway"), 1),
        (status("504 Gateway Timeout"), 1),
        (status("503 Slow Down"), 0),
        (status("403 Forbidden"), 0),
    ],
)
async def test_what_may_have_been_heard(answer: Answer, lost: int) -> None:
    async with listening(answer) as port:
        assert await lost_of_one(port) == lost


async def test_where_nobody_listens_nothing_has_been_heard() -> None:
    async with listening(closed_at_once) as port:
        pass
    assert await lost_of_one(port) == 0
