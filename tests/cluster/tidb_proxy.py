"""A proxy of MySQL's protocol in front of a TiDB: it shows the statements, holds them, and plays what a real
TiDB cannot be made to do on demand: a COMMIT that meets another transaction, a clock that is ahead.

Everything else passes on unchanged. Knows no Backup.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from tests.cluster.relay import Listener, both_ways, connection, listening, pass_on
from tests.cluster.tidb_server import TiDB

_COM_QUERY = 0x03
_CLIENT_COMPRESS, _CLIENT_SSL = 0x20, 0x800


@define(eq=False)
class TidbProxy:
    """One listening port; what it does can be changed while it runs."""

    behind: TiDB
    hold_at: str = ""
    """A statement that contains this waits until `let_go`."""
    held: asyncio.Event = field(factory=asyncio.Event)
    """A statement has been held; the server has not seen it."""
    let_go: asyncio.Event = field(factory=asyncio.Event)
    conflicts: int = 0
    """So many of the next COMMITs meet another transaction."""
    later: int = 0
    """Seconds that the server's clock is ahead: so a test lets time pass."""
    statements: list[str] = field(factory=list)
    _listener: Listener = field(factory=Listener)

    @property
    def port(self) -> int:
        """Where a client finds it."""
        return self._listener.port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with connection(self.behind.host, self.behind.port) as (from_server, to_server):
            number, greeting = await _read_packet(from_server)
            writer.write(_packet(number, _in_plain_text(greeting)))
            await both_ways(self._up(reader, writer, to_server), pass_on(from_server, writer))

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, away: asyncio.StreamWriter
    ) -> None:
        while True:
            number, payload = await _read_packet(reader)
            # A command begins with number 0; the packets of a login do not.
            if number == 0 and payload[:1] == bytes([_COM_QUERY]):
                statement = await self._seen(payload[1:].decode("utf-8", "surrogateescape"))
                if statement is None:
                    writer.write(_packet(1, _CONFLICT))
                    continue
                payload = bytes([_COM_QUERY]) + statement.encode("utf-8", "surrogateescape")
            away.write(_packet(number, payload))
            await away.drain()

    async def _seen(self, statement: str) -> str | None:
        """What the server gets instead; None: it gets nothing, and the client is told of a conflict."""
        self.statements.append(statement)
        if self.hold_at and self.hold_at in statement:
            self.held.set()
            await self.let_go.wait()
        if statement.upper() == "COMMIT" and self.conflicts:
            self.conflicts -= 1
            return None
        if not self.later:
            return statement
        return statement.replace("UNIX_TIMESTAMP()", f"UNIX_TIMESTAMP() + {self.later}")


_CONFLICT = (
    b"\xff"
    + (9007).to_bytes(2, "little")
    + b"#HY000Write conflict, txnStartTS=430, conflictStartTS=431 [try again later]"
)


def _in_plain_text(greeting: bytes) -> bytes:
    """The server's first packet without what would hide the statements from us."""
    end = greeting.index(b"\0", 1)
    rest = bytearray(greeting[end + 1 :])
    # Connection id, eight bytes of salt and a filler come before the lower half of the capabilities.
    lower = int.from_bytes(rest[13:15], "little") & ~(_CLIENT_COMPRESS | _CLIENT_SSL)
    rest[13:15] = lower.to_bytes(2, "little")
    return greeting[: end + 1] + bytes(rest)


async def _read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    header = await reader.readexactly(4)
    return header[3], await reader.readexactly(int.from_bytes(header[:3], "little"))


def _packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


@asynccontextmanager
async def tidb_proxy(behind: TiDB) -> AsyncIterator[TidbProxy]:
    """A way to the TiDB for as long as the block lasts; mysql.tidb is as some time after its first start."""
    proxy = TidbProxy(behind)
    await behind.reset_gc()
    async with listening(proxy._serve) as proxy._listener:
        yield proxy
