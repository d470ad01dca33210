"""What mydumper's log lines mean: a table from its words to reasons and cures. Pure.

The presence of `metadata` proves nothing and is not asked. Must not know how the program is run.
"""

from __future__ import annotations

import re

from attrs import frozen

from tidbbackup.model import reasons
from tidbbackup.worker.database import identity, tidb
from tidbbackup.worker.dumpers.verdict import Meanings

# "** (mydumper:17): CRITICAL **: 05:36:41.088: text", "** Message: 05:36:41.088: text"
_LINE = re.compile(
    r"\*\* (?:\([^)]*\): )?(?P<level>[A-Za-z]+)(?: \*\*)?: (?:[\d:.]+: )?(?P<text>.*)", re.DOTALL
)

_FATAL = frozenset({"CRITICAL", "ERROR"})

MEANINGS: Meanings = (
    (identity.MARK, reasons.SEVERAL_SERVERS, identity.CURE),
    (
        "restricted_auth plugin list",
        reasons.LOGIN_FAILED,
        "without TLS the password is not sent in that form: set spec.from.tlsClientSecretName",
    ),
    (r"No space left|\(28\)|Disk quota|\(122\)", reasons.STAGING_FULL, "raise spec.storageSize"),
    (
        r"Permission denied|\(13\)|Read-only file system|\(30\)|Couldn't write metadata|Unable to create",
        reasons.STAGING_NOT_WRITABLE,
        "the staging volume must be writable for user 65532: choose another spec.storageClassName",
    ),
    (
        r"Couldn't get (master|source) position",
        reasons.GRANTS_MISSING,
        "grant REPLICATION CLIENT on *.* (on MariaDB BINLOG MONITOR) to the backup's user",
    ),
    (
        r"Couldn't acquire .*(Access denied|denied)",
        reasons.GRANTS_MISSING,
        "grant RELOAD (and LOCK TABLES) on *.* to the backup's user",
    ),
    (r"Access denied for user .*using password", reasons.LOGIN_FAILED, "the password changed meanwhile?"),
    (
        r"command denied|Access denied",
        reasons.GRANTS_MISSING,
        "grant SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, RELOAD on *.* to the backup's user",
    ),
    (
        r"Lost connection|gone away|Server shutdown|server is being shutdown|connection was killed|\(2013\)",
        reasons.DATABASE_LOST,
        "the database went away during the dump: see its own log, then make a new Backup",
    ),
    (
        r"Error connecting to database|Failed to connect to database",
        reasons.DATABASE_UNREACHABLE,
        "the database took our login but not mydumper's: too many connections?",
    ),
    (
        r"queries in PROCESSLIST running longer",
        reasons.DUMP_FAILED,
        "wait for them, kill them, or give spec.mydumper.options --long-query-guard",
    ),
    (
        tidb.SNAPSHOT_GONE,
        reasons.SNAPSHOT_LOST,
        tidb.SNAPSHOT_CURE,
    ),
    (tidb.SAFE_POINT_MISSING, reasons.GC_SAFE_POINT_MISSING, tidb.SAFE_POINT_CURE),
    (r"option parsing failed|Unknown option", reasons.INVALID_SPEC, "correct spec.mydumper.options"),
)


@frozen
class LogLine:
    """One line of mydumper's output."""

    level: str
    """CRITICAL, ERROR, WARNING, Message; "" for text without a level."""
    text: str

    @property
    def fatal(self) -> bool:
        """Whether the dump cannot be whole after this."""
        return self.level in _FATAL or self.text.startswith("option parsing failed")


def read_line(line: str) -> LogLine:
    """Take a line apart."""
    match = _LINE.match(line.strip())
    return LogLine(match["level"], match["text"].strip()) if match else LogLine("", line.strip())
