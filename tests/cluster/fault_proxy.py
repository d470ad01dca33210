"""A proxy on loopback that does to connections what networks and servers in trouble do.

With `http` it takes one request for each connection and knows its first line, so that faults can be
meant for some requests only; without, it moves bytes. It ends TLS where `tls` is given, and speaks
TLS to the server where `upstream_tls` is. It knows no server's semantics.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from attrs import Factory, define, field, frozen

from tests.cluster.relay import LIMIT, Listener, both_ways, connection, listening, reset


@frozen
class Fault:
    """What happens to a request, or to each when `times` is None; offsets count bytes of the answer."""

    matches: str = ""
    """Part of the request's first line, e.g. `watch=true`; everything else is left alone."""
    excludes: str = "\0"
    """Not where the first line has this."""
    times: int | None = 1
    delay: float = 0.0
    """Seconds before the request is passed on."""
    status: int | None = None
    """Answered with this by the proxy itself; the server never hears of it."""
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    cut_at: int | None = None
    """The connection ends there, in mid-sentence."""
    reset: bool = False
    """It ends with RST instead of FIN."""
    blackhole_at: int | None = None
    """From there on nothing is moved either way, and nothing is closed."""
    rechunk: int | None = None
    """Passed on in pieces of this size."""


@define(eq=False)
class FaultProxy:
    """A running proxy; valid inside `async with fault_proxy()`."""

    host: str
    port: int
    faults: list[Fault] = Factory(list)
    """The first that matches is used, as often as it says."""
    requests: list[str] = Factory(list)
    """The first line of each request, in order; "" without `http`."""
    faulted: int = 0
    """How many were."""
    cut: int = 0
    """How many answers were cut off. The server has done what they answer."""
    _used: dict[int, int] = Factory(dict)
    _frozen: asyncio.Event = field(factory=asyncio.Event)
    _listener: Listener = field(factory=Listener)

    def blackhole_open(self) -> None:
        """Every connection that is open now is silent from here on, without being closed."""
        self._frozen.set()
        self._frozen = asyncio.Event()

    def reset_open(self) -> None:
        """Every connection that is open now ends with RST."""
        self._listener.reset()

    def count_cut(self) -> None:
        """One more answer was cut off."""
        self.cut += 1

    def pick(self, line: str) -> Fault | None:
        """The fault for a request, which counts as used."""
        for fault in self.faults:
            used = self._used.get(id(fault), 0)
            if (
                fault.matches in line
                and fault.excludes not in line
                and (fault.times is None or used < fault.times)
            ):
                self._used[id(fault)] = used + 1
                self.faulted += 1
                return fault
        return None


@asynccontextmanager
async def fault_proxy(
    host: str,
    port: int,
    *,
    http: bool = True,
    upstream_tls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[FaultProxy]:
    """Start a proxy in front of `host:port`; at the end every connection is gone."""
    proxy = FaultProxy("127.0.0.1", 0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Connection(proxy, reader, writer).serve(host, port, upstream_tls, http=http)

    async with listening(serve, tls) as proxy._listener:
        proxy.port = proxy._listener.port
        yield proxy


@define(eq=False)
class _Connection:
    proxy: FaultProxy
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def serve(self, host: str, port: int, tls: ssl.SSLContext | None, *, http: bool) -> None:
        # Taken before anything awaits: who is connected when the path dies stays in the dark.
        dead = self.proxy._frozen
        request = await self._request() if http else b""
        line = request.split(b"\r\n", 1)[0].decode()
        self.proxy.requests.append(line)
        fault = self.proxy.pick(line) or Fault()
        await asyncio.sleep(fault.delay)
        if fault.status is not None:
            self.writer.write(_answer(fault))
            await self.writer.drain()
            return
        async with connection(host, port, tls) as (from_server, to_server):
            to_server.write(request)
            await both_ways(
                _move(self.reader, to_server, Fault(), dead),
                _move(from_server, self.writer, fault, dead, self.proxy.count_cut),
            )
            if fault.reset:
                reset(self.writer.transport)

    async def _request(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        names = {line.split(b":", 1)[0].lower(): line.split(b":", 1)[1].strip() for line in lines}
        body = await self.reader.readexactly(int(names.get(b"content-length", b"0")))
        kept = [line for line in lines if not line.lower().startswith(b"connection:")]
        return b"\r\n".join((first, *kept, b"Connection: close", b"", b"")) + body


async def _move(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    fault: Fault,
    dead: asyncio.Event,
    cut: Callable[[], None] = lambda: None,
) -> None:
    """Moves bytes until one side ends, the fault ends it, or the path is dead, which is for ever."""
    moved = 0
    while chunk := await reader.read(fault.rechunk or LIMIT):
        if dead.is_set():
            await asyncio.Event().wait()
        if fault.blackhole_at is not None and moved + len(chunk) > fault.blackhole_at:
            writer.write(chunk[: fault.blackhole_at - moved])
            await asyncio.Event().wait()
        if fault.cut_at is not None and moved + len(chunk) >= fault.cut_at:
            cut()
            writer.write(chunk[: fault.cut_at - moved])
            await writer.drain()
            return
        moved += len(chunk)
        writer.write(chunk)
        await writer.drain()
    if dead.is_set():
        await asyncio.Event().wait()


def _answer(fault: Fault) -> bytes:
    headers = {"Content-Length": str(len(fault.body)), "Connection": "close", **fault.headers}
    lines = (f"HTTP/1.1 {fault.status} Fault", *(f"{name}: {value}" for name, value in headers.items()))
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + fault.body
