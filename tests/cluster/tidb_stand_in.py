"""A stand-in for TiDB: a proxy of MySQL's protocol in front of a real MariaDB that answers as TiDB does.

What a real TiDB 3.0 was seen to answer, and that is not MariaDB's own, is rewritten or refused here; all else
passes on. mysql.tidb is a real table of the server behind. It has no snapshots: `tidb_snapshot` is judged,
and then reads what is there now. Knows no Backup.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from attrs import define, field

from tests.cluster.database import Database
from tests.cluster.relay import Listener, both_ways, connection, listening, pass_on

VERSION = "5.7.25-TiDB-v3.0.12"
LIFE_TIME_COMMENT = "All versions within life time will not be collected by GC, at least 10m, in Go format."

_COM_QUERY = 0x03
_CLIENT_COMPRESS, _CLIENT_SSL = 0x20, 0x800
_SHIFT = 18

_TABLE = """
CREATE OR REPLACE TABLE mysql.tidb (
  VARIABLE_NAME VARCHAR(64) NOT NULL PRIMARY KEY, VARIABLE_VALUE VARCHAR(1024), COMMENT VARCHAR(1024)
) ENGINE=InnoDB
"""


@define(eq=False)
class TiDB:
    """One listening port; what it answers can be changed while it runs."""

    behind: Database
    hold_at: str = ""
    """A statement that holds this waits until `let_go`."""
    held: asyncio.Event = field(factory=asyncio.Event)
    """Somebody has come so far; what he said has not been carried out."""
    let_go: asyncio.Event = field(factory=asyncio.Event)
    conflicts: int = 0
    """So many of the next COMMITs meet another transaction."""
    later: int = 0
    """Seconds that its clock is ahead: so a test lets time pass."""
    statements: list[str] = field(factory=list)
    _listener: Listener = field(factory=Listener)

    @property
    def port(self) -> int:
        """Where a client finds it."""
        return self._listener.port

    async def life_time(self) -> tuple[str, str]:
        """The row's value and comment."""
        sql = "SELECT variable_value, comment FROM mysql.tidb WHERE variable_name = 'tikv_gc_life_time'"
        value, comment = (await self.behind.sql(sql))[0]
        return value, comment

    async def set(self, name: str, value: str, comment: str | None = None) -> None:
        """Write a row as a user would; without a comment that stays."""
        await self.behind.sql(
            "UPDATE mysql.tidb SET variable_value = %s, comment = COALESCE(%s, comment) "
            "WHERE variable_name = %s",
            (value, comment, name),
        )

    async def reset(self) -> None:
        """A cluster as it is some time after its first start."""
        safe_point = (datetime.now(UTC) - timedelta(minutes=10)).strftime("%Y%m%d-%H:%M:%S +0000")
        await self.behind.sql(_TABLE)
        for name, value, comment in (
            ("tikv_gc_life_time", "10m0s", LIFE_TIME_COMMENT),
            (
                "tikv_gc_safe_point",
                safe_point,
                "All versions after safe point can be accessed. (DO NOT EDIT)",
            ),
        ):
            await self.behind.sql("INSERT INTO mysql.tidb VALUES (%s, %s, %s)", (name, value, comment))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Connection(self, reader, writer).run()


@define(eq=False)
class _Connection:
    server: TiDB
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    in_transaction: bool = False

    async def run(self) -> None:
        behind = self.server.behind
        async with connection(behind.host, behind.port) as (from_server, to_server):
            _, greeting = await _read_packet(from_server)
            self.writer.write(_packet(0, _as_tidb(greeting)))
            await both_ways(self._up(to_server), pass_on(from_server, self.writer))

    async def _up(self, away: asyncio.StreamWriter) -> None:
        while True:
            number, payload = await _read_packet(self.reader)
            # A command begins with number 0; the packets of a login do not.
            if number == 0 and payload[:1] == bytes([_COM_QUERY]):
                answer = await self._answer(payload[1:].decode("utf-8", "surrogateescape"))
                if isinstance(answer, _Refusal):
                    self.writer.write(_packet(1, answer.encoded()))
                    continue
                payload = bytes([_COM_QUERY]) + answer.encode("utf-8", "surrogateescape")
            away.write(_packet(number, payload))
            await away.drain()

    async def _answer(self, statement: str) -> "str | _Refusal":
        """What is asked of the server behind instead, or the refusal."""
        self.server.statements.append(statement)
        if self.server.hold_at and self.server.hold_at in statement:
            self.server.held.set()
            await self.server.let_go.wait()
        words = " ".join(re.sub(r"/\*.*?\*/", " ", statement).split()).rstrip(";")
        upper = words.upper()
        if upper in ("SELECT VERSION()", "SELECT @@VERSION", "SELECT @@GLOBAL.VERSION"):
            return f"SELECT '{VERSION}' AS `VERSION()`"
        if upper == "SELECT @@TIDB_CURRENT_TS":
            return f"SELECT '{tso() if self.in_transaction else 0}' AS `@@tidb_current_ts`"
        if match := re.fullmatch(r"SET SESSION TIDB_SNAPSHOT ?= ?'(\d+)'", upper):
            return await self._snapshot(int(match[1]))
        if upper == "SHOW MASTER STATUS":
            columns = "'' AS Binlog_Do_DB, '' AS Binlog_Ignore_DB, '' AS Executed_Gtid_Set"
            return f"SELECT 'tidb-binlog' AS File, {tso()} AS Position, {columns}"
        if upper.startswith("FLUSH TABLES WITH READ LOCK"):
            text = "FLUSH TABLES WITH READ LOCK is not supported.  Please use @@tidb_snapshot"
            return _Refusal(1105, "HY000", text)
        if upper == "COMMIT" and self.server.conflicts:
            self.server.conflicts -= 1
            return _Refusal(
                9007, "HY000", "Write conflict, txnStartTS=430, conflictStartTS=431 [try again later]"
            )
        if upper.startswith("CHECKSUM TABLE"):
            return _Refusal(1064, "42000", "You have an error in your SQL syntax; check the manual")
        if re.match(r"BEGIN|START TRANSACTION", upper):
            self.in_transaction = True
        elif re.match(r"COMMIT|ROLLBACK", upper):
            self.in_transaction = False
        return statement.replace("UNIX_TIMESTAMP()", f"UNIX_TIMESTAMP() + {self.server.later}")

    async def _snapshot(self, asked: int) -> "str | _Refusal":
        found = await self.server.behind.sql(
            "SELECT variable_value FROM mysql.tidb WHERE variable_name = 'tikv_gc_safe_point'"
        )
        if not found:
            return _Refusal(1105, "HY000", "can not get 'tikv_gc_safe_point'")
        safe_point = datetime.strptime(found[0][0], "%Y%m%d-%H:%M:%S %z").astimezone(UTC)
        if (asked >> _SHIFT) / 1000 < safe_point.timestamp():
            shown = safe_point.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
            return _Refusal(1105, "HY000", f"snapshot is older than GC safe point {shown}")
        return f"SET @tidb_snapshot = {asked}"


@define
class _Refusal:
    code: int
    state: str
    text: str

    def encoded(self) -> bytes:
        return b"\xff" + self.code.to_bytes(2, "little") + f"#{self.state}{self.text}".encode()


def tso(ago: timedelta = timedelta(0)) -> int:
    """A TSO of now, or of some time ago."""
    return int((time.time() - ago.total_seconds()) * 1000) << _SHIFT


def _as_tidb(greeting: bytes) -> bytes:
    """The server's first packet with TiDB's version, and without what would hide the statements from us."""
    end = greeting.index(b"\0", 1)
    rest = bytearray(greeting[end + 1 :])
    # Connection id, eight bytes of salt and a filler come before the lower half of the capabilities.
    lower = int.from_bytes(rest[13:15], "little") & ~(_CLIENT_COMPRESS | _CLIENT_SSL)
    rest[13:15] = lower.to_bytes(2, "little")
    return greeting[:1] + VERSION.encode() + b"\0" + bytes(rest)


async def _read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    header = await reader.readexactly(4)
    return header[3], await reader.readexactly(int.from_bytes(header[:3], "little"))


def _packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


@asynccontextmanager
async def tidb_stand_in(behind: Database) -> AsyncIterator[TiDB]:
    """A TiDB for as long as the block lasts; users and data are those of the server behind."""
    server = TiDB(behind)
    await server.reset()
    async with listening(server._serve) as server._listener:
        yield server
