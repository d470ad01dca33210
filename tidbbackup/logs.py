"""Log lines: JSON for machines, a short human form on a terminal.

A line has only what the caller gave: no body of a request or an answer ever.
Must not know what is logged.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

import msgspec

Format = Literal["auto", "json", "human"]

_LEVELS = ("debug", "info", "warning", "error")
QUIET_LIBRARIES = ("kubernetes_asyncio", "aiohttp", "asyncio", "botocore", "aiobotocore")
"""At DEBUG these loggers write whole requests and answers, and so Secrets."""


class JsonLines(logging.Formatter):
    """One JSON object a line: ts (UTC, RFC 3339), level, logger, message, and error with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for one record, without its line feed."""
        line = {
            "ts": _utc(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class PlainLines(logging.Formatter):
    """The worker's: time (UTC), level, logger, message; a traceback follows on indented lines.

    Messages hold words of users and servers, which must not pass for lines of ours: what is not printable
    is written as \\n, \\x1b and so on.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line for one record."""
        trace = self.formatException(record.exc_info).split("\n") if record.exc_info else []
        return "\n    ".join(map(_printable, [self.line(record), *trace]))

    def line(self, record: logging.LogRecord) -> str:
        """The same as it was given."""
        when = f"{_utc(record):%Y-%m-%d %H:%M:%S},{record.msecs:03.0f}"
        return f"{when} {record.levelname} {record.name}: {record.getMessage()}"


class HumanLines(PlainLines):
    """Time of day (UTC), level where it matters, message."""

    def line(self, record: logging.LogRecord) -> str:
        """The same as it was given."""
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return f"{_utc(record):%H:%M:%S} {level}{record.getMessage()}"


def set_up_logging(
    level: str = "info", form: Format = "auto", stream: TextIO | None = None
) -> logging.Handler:
    """Sends every log line of `level` and above to `stream` (stderr), instead of all former handlers.

    Raises ValueError for a level that does not exist.
    """
    out = sys.stderr if stream is None else stream
    human = out.isatty() if form == "auto" else form == "human"
    handler = logging.StreamHandler(out)
    handler.setFormatter(HumanLines() if human else JsonLines())
    root = logging.getLogger()
    root.setLevel(_level(level))
    root.handlers[:] = [handler]
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    return handler


def _level(name: str) -> int:
    if name.lower() not in _LEVELS:
        raise ValueError(f"--log-level {name}: not one of {', '.join(_LEVELS)}")
    return logging.getLevelNamesMapping()[name.upper()]


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _utc(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
