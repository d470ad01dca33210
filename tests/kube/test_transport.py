"""The way out: every status is looked at, every wait has an end.

Here is also what kube/metrics.py and kube/sockets.py promise.
"""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import pytest
from attrs import define, field

from tests.kube.http_peer import Peer, answer, fixed_token, http_peer
from tests.kube.things import status
from tidbbackup.kube.connection import Connection
from tidbbackup.kube.errors import (
    ApiError,
    Forbidden,
    Gone,
    NotLeader,
    ServerError,
    Silence,
    StatusError,
    TooLong,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from tidbbackup.kube.metrics import UNREAD
from tidbbackup.kube.sockets import open_socket
from tidbbackup.kube.transport import ANSWER_LIMIT, Answered, Deadlines, Request, Retries, Transport

QUICK = Deadlines(connect=2.0, idle=0.1, total=2.0)
GET = Request("GET", "/api/v1/pods")


@define
class Counted:
    """Keeps what was counted."""

    requests: list[tuple[str, str]] = field(factory=list)

    def request(self, code: str, method: str) -> None:
        """See ClientMetrics."""
        self.requests.append((code, method))


def _transport(connection: Connection, answered: Answered = UNREAD.request) -> Transport:
    return Transport(connection, answered, QUICK, Retries(limit=2, longest=1.0), "agent/1")


async def _ask(peer: Peer, answered: Answered = UNREAD.request) -> bytes:
    transport = _transport(peer.connection(), answered)
    try:
        return await transport.ask(GET)
    finally:
        await transport.close()


async def test_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    counted = Counted()
    async with http_peer([answer(200, b'{"a": 1}')]) as peer:
        assert await _ask(peer, counted.request) == b'{"a": 1}'
    asked = peer.asked[0]
    assert asked.line == "GET /api/v1/pods HTTP/1.1"
    wanted = {"authorization": "Bearer one", "accept-encoding": "identity", "user-agent": "agent/1"}
    assert wanted.items() <= asked.headers.items()
    assert counted.requests == [("200", "GET")]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(302, StatusError), (403, Forbidden), (410, Gone), (429, TooManyRequests), (500, ServerError)],
)
async def test_nothing_but_2xx_passes(code: int, kind: type[ApiError]) -> None:
    async with http_peer([answer(code, status(code, "X"), "Location: http://127.0.0.1:1/")]) as peer:
        with pytest.raises(kind, match=f"GET /api/v1/pods: {code} because"):
            await _ask(peer)
    async with http_peer([answer(code, b"<html>")]) as peer:
        transport = _transport(peer.connection())
        with pytest.raises(kind):
            async with transport.stream(GET, 1):
                raise AssertionError("a stream of an error")
        await transport.close()


@pytest.mark.parametrize(
    ("header", "time"),
    [
        (("Date: Tue, 24 Nov 2026 03:00:00 GMT",), datetime(2026, 11, 24, 3, tzinfo=UTC)),
        ((), None),
        (("Date: soon",), None),
        (("Date: Tue, 99 Nov 2026 03:00:00 GMT",), None),
        (("Date: Fri, 31 Dec 9999 23:59:59 -2359",), None),
    ],
)
async def test_the_newest_good_answer_tells_the_time(header: tuple[str, ...], time: datetime | None) -> None:
    old, other = "Date: Mon, 23 Nov 2026 03:00:00 GMT", "Date: Sun, 22 Nov 2026 03:00:00 GMT"
    async with http_peer(
        [answer(200, b"{}", old), answer(200, b"{}", *header), answer(502, b"", other)]
    ) as peer:
        transport = _transport(peer.connection())
        assert transport.server_time is None
        await transport.ask(GET)
        assert transport.server_time == datetime(2026, 11, 23, 3, tzinfo=UTC)
        await transport.ask(GET)
        with pytest.raises(ServerError):
            await transport.ask(GET)
        assert transport.server_time == time
        await transport.close()


async def test_an_answer_is_not_taken_in_beyond_its_bound() -> None:
    most = b"x" * ANSWER_LIMIT
    async with http_peer([answer(200, most), answer(200, most + b"x")]) as peer:
        assert await _ask(peer) == most
        with pytest.raises(TooLong, match="GET /api/v1/pods: the answer has more than 8,388,608 bytes"):
            await _ask(peer)


async def test_a_server_that_says_when_is_asked_again_then() -> None:
    later = answer(429, status(429, "TooManyRequests"), "Retry-After: 0")
    async with http_peer([later, answer(503, b"", "Retry-After: 0"), answer(200, b"{}")]) as peer:
        assert await _ask(peer) == b"{}"
    async with http_peer([later] * 4) as peer:
        with pytest.raises(TooManyRequests):
            await _ask(peer)
        assert len(peer.asked) == 3


@pytest.mark.parametrize("header", ["X: y", "Retry-After: 3600"])
async def test_without_a_near_time_the_caller_decides(header: str) -> None:
    async with http_peer([answer(429, b"", header), answer(200)]) as peer:
        with pytest.raises(TooManyRequests):
            await _ask(peer)
        assert len(peer.asked) == 1


class Leadership:
    """Given for so many questions."""

    def __init__(self, answers: int) -> None:
        self.left = answers

    def may_write(self) -> None:
        """See Fence.check."""
        self.left -= 1
        if self.left < 0:
            raise NotLeader("not sent")


def _writer(peer: Peer, leadership: Leadership) -> Transport:
    retries = Retries(limit=2, longest=1.0)
    return Transport(peer.connection(), UNREAD.request, QUICK, retries, may_write=leadership.may_write)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_without_leadership_no_write_is_sent_and_reads_are(method: str) -> None:
    async with http_peer([answer(200)]) as peer:
        transport = _writer(peer, Leadership(0))
        with pytest.raises(NotLeader):
            await transport.ask(Request(method, "/apis", body=b"{}"))
        with pytest.raises(NotLeader):
            await transport.ask(Request(method, "/apis"))
        await transport.ask(GET)
        await transport.close()
    assert [asked.line.split()[0] for asked in peer.asked] == ["GET"]


async def test_leadership_that_is_lost_while_the_connection_opens_stops_the_write() -> None:
    async with http_peer([answer(200)]) as peer:
        transport = _writer(peer, Leadership(1))
        with pytest.raises(TransportError, match="NotLeader"):
            await transport.ask(Request("POST", "/apis", body=b"{}"))
        await transport.close()
    assert peer.asked == []


async def test_a_write_that_is_sent_again_is_asked_for_again() -> None:
    later = answer(429, status(429, "TooManyRequests"), "Retry-After: 0")
    async with http_peer([later, answer(200)]) as peer:
        leadership = Leadership(100)
        transport = _writer(peer, leadership)

        async def lost() -> None:
            while not peer.asked:  # noqa: ASYNC110  the peer tells nobody
                await asyncio.sleep(0)
            leadership.left = 0

        losing = asyncio.create_task(lost())
        with pytest.raises(NotLeader):
            await transport.ask(Request("POST", "/apis", body=b"{}"))
        await losing
        await transport.close()
    assert len(peer.asked) == 1


async def test_a_refused_token_is_read_again_once() -> None:
    async with http_peer([answer(401), answer(200)]) as peer:
        transport = _transport(peer.connection(fixed_token("Bearer old", "Bearer new")))
        await transport.ask(GET)
        await transport.close()
        assert [asked.headers["authorization"] for asked in peer.asked] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("found", [(), ("Bearer one",), ("",)])
async def test_without_another_token_a_401_is_an_error(found: tuple[str, ...]) -> None:
    async with http_peer([answer(401), answer(200)]) as peer:
        transport = _transport(peer.connection(fixed_token("Bearer one", *found)))
        with pytest.raises(Unauthorized):
            await transport.ask(GET)
        await transport.close()
        assert len(peer.asked) == 1


async def test_silence_and_cuts_are_errors_within_the_deadline() -> None:
    counted = Counted()
    async with http_peer([]) as peer:
        with pytest.raises(TransportError, match="GET /api/v1/pods: SocketTimeoutError"):
            await _ask(peer, counted.request)
        transport = _transport(peer.connection())
        with pytest.raises(Silence):
            async with transport.stream(GET, 60):
                raise AssertionError("a stream of silence")
        await transport.close()
    assert counted.requests == [("<error>", "GET")]
    async with http_peer([answer(200, b"half", length=100)]) as peer:
        with pytest.raises(TransportError, match="broke off"):
            await _ask(peer)


async def test_a_stream_gives_what_came_and_then_tells_that_it_broke() -> None:
    found: list[bytes] = []

    async def read(transport: Transport) -> None:
        async with transport.stream(GET, 60) as chunks:
            async for chunk in chunks:
                found.append(chunk)  # noqa: PERF401  what came before the error counts

    async with http_peer([answer(200, b"half", length=100)]) as peer:
        transport = _transport(peer.connection())
        with pytest.raises(TransportError):
            await read(transport)
        await transport.close()
    assert b"".join(found) == b"half"


async def test_nobody_listening() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransportError, match=f"127.0.0.1:{port}"):
        await _ask(Peer(f"http://127.0.0.1:{port}"))


def test_sockets_notice_a_dead_path() -> None:
    with open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ())) as opened:
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
