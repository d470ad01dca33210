"""What mydumper's exit code and log lines mean: a table from its words to reasons and cures. Pure.

The presence of `metadata` proves nothing and is not asked. Must not know how the program is run.
"""

from __future__ import annotations

import re
import signal

from attrs import frozen

from tidbbackup.model import reasons
from tidbbackup.worker.database import identity, tidb
from tidbbackup.worker.failure import StepFailed

# "** (mydumper:17): CRITICAL **: 05:36:41.088: text", "** Message: 05:36:41.088: text"
_LINE = re.compile(
    r"\*\* (?:\([^)]*\): )?(?P<level>[A-Za-z]+)(?: \*\*)?: (?:[\d:.]+: )?(?P<text>.*)", re.DOTALL
)

_FATAL = frozenset({"CRITICAL", "ERROR"})

# The first row whose words occur in the line wins.
_MEANINGS: tuple[tuple[str, str, str], ...] = (
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
    (r"option parsing failed|Unknown option", reasons.INVALID_SPEC, "mend spec.mydumper.options"),
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


def judge(code: int, first_error: str, worst: str = "") -> StepFailed | None:
    """Whether the program's end was a failure, and which.

    Args:
        code: exit code, negative for a signal.
        first_error: text of the first fatal line, "" if there was none.
        worst: a line that explains more than the first (disk full, connection lost), "" if there was none.
    """
    if code == 0 and not first_error:
        return None
    text = worst or first_error
    for words, reason, cure in _MEANINGS:
        if re.search(words, text):
            return StepFailed(reason, f"mydumper: {text}; {cure}")
    if code < 0:
        end = f"mydumper was ended by {_signal(-code)}"
        return StepFailed(
            reasons.DUMP_FAILED, f"{end}: {text}" if text else f"{end} without an error message"
        )
    return StepFailed(
        reasons.DUMP_FAILED,
        f"mydumper: {text}" if text else f"mydumper ended with exit code {code} and no message",
    )


def explains_others(text: str) -> bool:
    """Whether a line names the cause of which earlier errors may be consequences."""
    return any(
        reason in (reasons.STAGING_FULL, reasons.DATABASE_LOST) and re.search(words, text)
        for words, reason, _ in _MEANINGS
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
