"""dumpling's log lines: what it has said so far, and a table from its words to reasons and cures.

Must not know how the program is run.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from attrs import define, field

from tidbbackup.model import reasons
from tidbbackup.worker.database import identity, tidb
from tidbbackup.worker.dumpers.process import DumperProcess
from tidbbackup.worker.dumpers.verdict import Meanings, explains_others

log = logging.getLogger("tidbbackup.dumpling")

_FATAL = frozenset({"error", "dpanic", "panic", "fatal"})
# The library tries again, and ends well if that goes well; the first file has been closed by then.
_FAILED_PIECE = "fail to dumping table(chunk)"
_EMPTY = "no data written in table chunk"
_STEPS = ("dumpling", "dumped")
"""What the program itself says: its version at the beginning, and that all is whole at the end."""
# The worker holds the life time.
_ADVICE = "If the amount of data to dump is large"

MEANINGS: Meanings = (
    (identity.MARK, reasons.SEVERAL_SERVERS, identity.CURE),
    (r"(?i)no space left|quota exceeded", reasons.STAGING_FULL, "raise spec.storageSize"),
    (
        r"(?i)permission denied|read-only file system",
        reasons.STAGING_NOT_WRITABLE,
        "the staging volume must be writable for user 65532: choose another spec.storageClassName",
    ),
    (tidb.SNAPSHOT_GONE, reasons.SNAPSHOT_LOST, tidb.SNAPSHOT_CURE),
    (tidb.SAFE_POINT_MISSING, reasons.GC_SAFE_POINT_MISSING, tidb.SAFE_POINT_CURE),
    ("Access denied for user", reasons.LOGIN_FAILED, "the password changed meanwhile?"),
    (
        "command denied|[Aa]ccess denied",
        reasons.GRANTS_MISSING,
        "grant SELECT on *.* to the backup's user",
    ),
    (
        "x509:|tls:",
        reasons.DATABASE_UNREACHABLE,
        "dumpling takes the one certificate that the server has shown to the worker: all servers behind "
        "spec.from.host need the same, or set spec.dumper: mydumper",
    ),
    (
        "invalid connection|bad connection|broken pipe|connection reset|EOF|database is closed",
        reasons.DATABASE_LOST,
        "the database went away during the dump: see its own log, then make a new Backup",
    ),
    (
        "connection refused|no such host|i/o timeout|Too many connections",
        reasons.DATABASE_UNREACHABLE,
        "the database took our login but not dumpling's",
    ),
    (
        "Unknown system variable|can't be set to the value",
        reasons.INVALID_SPEC,
        "correct --params in spec.dumpling.options",
    ),
)


@define
class DumplingProcess(DumperProcess):
    """One dumpling."""

    began: bool = True
    version: str = "dumpling"
    first_error: str = ""
    cause: str = ""
    """The first line that explains others: disk full, connection lost."""
    empty: set[tuple[str, str]] = field(factory=set)
    """(database, table) of tables of which a piece had no rows."""

    def hear(self, text: str) -> None:
        """Take in one line, and log it."""
        self.lines += 1
        level, message, line = _read(text)
        if message == _EMPTY:
            self.empty.add((str(line.get("database")), str(line.get("table"))))
        self.version = str(line.get("version", self.version)) if message == "dumpling" else self.version
        self.finished = self.finished or message == "dumped"
        error = f"{line.get('error') or message}"
        if level in _FATAL or message.startswith(_FAILED_PIECE):
            self.first_error = self.first_error or error
            if not self.cause and explains_others(MEANINGS, error):
                self.cause = error
        told = {"warn": logging.WARNING}.get(level, logging.ERROR if level in _FATAL else logging.DEBUG)
        if message.startswith(_ADVICE):
            told = logging.DEBUG
        elif message in _STEPS:
            told = logging.INFO
        log.log(told, "%s", text.strip())


def _read(text: str) -> tuple[str, str, dict[str, Any]]:
    """Level, message and all fields; a line that is not of JSON is a message alone."""
    try:
        line = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        text = text.strip()
        return "panic" if text.startswith(("panic:", "fatal error:")) else "", text, {}
    return str(line.get("level", "")), str(line.get("message", "")), line
