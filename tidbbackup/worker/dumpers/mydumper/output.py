"""What a running mydumper says, line by line. Must not know how it is started or judged."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from tidbbackup.worker.dumpers.mydumper.log import MEANINGS, LogLine, read_line
from tidbbackup.worker.dumpers.process import DumperProcess
from tidbbackup.worker.dumpers.verdict import explains_others

log = logging.getLogger("tidbbackup.mydumper")

_EMPTY = "Empty table "
_UNLOCKED = ("unlocking tables", "releasing global locks", "Global locks released")
_BEGAN = "Started dump at"
_FINISHED = "Finished dump at"
_BROKEN = "Broken table detected, please review"
_LEVELS = {"CRITICAL": logging.ERROR, "ERROR": logging.ERROR, "WARNING": logging.WARNING}


@define
class MydumperProcess(DumperProcess):
    """One mydumper."""

    connected: Callable[[], object] = lambda: None
    """Called when all its threads have logged in."""
    first_error: str = ""
    last_warning: str = ""
    """Versions after 0.10 may say no more before they end with an error."""
    cause: str = ""
    """The first line that explains others: disk full, connection lost."""
    empty_tables: set[str] = field(factory=set)
    """`database.table` of tables without rows."""
    unlocking: bool = False
    """Whether it has said that it is about to unlock the tables."""
    unlocked: bool = False
    waiting: bool = True
    """Whether its threads may still have to log in."""

    def hear(self, text: str) -> None:
        """Take in one line, and log it."""
        line = read_line(text)
        self.lines += 1
        if line.text.startswith(_EMPTY):
            self.empty_tables.add(line.text.removeprefix(_EMPTY))
        if any(words in line.text for words in _UNLOCKED):
            self.unlocking = True
        self.began = self.began or line.text.startswith(_BEGAN)
        self.finished = self.finished or line.text.startswith(_FINISHED)
        if line.fatal:
            self.first_error = self.first_error or line.text
            if not self.cause and explains_others(MEANINGS, line.text):
                self.cause = line.text
        if line.level == "WARNING":
            self.last_warning = line.text
        if line.text:
            self._tell(line)
        # All threads log in before the first one dumps.
        if self.waiting and " dumping " in line.text:
            self.waiting = False
            self.connected()

    def holds_no_lock(self) -> bool:
        """Whether it holds no lock that others wait for, as far as its log says.

        It tells just before it asks the server to unlock, and then waits for the answer: once its main thread
        has been seen asleep after that line, the server has been asked.
        """
        if self.unlocking and not self.unlocked and self.process is not None:
            with contextlib.suppress(OSError):
                state = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
                self.unlocked = state == "S"
        return self.unlocked

    def _tell(self, line: LogLine) -> None:
        # So it calls views that it cannot open, the server's own too. It has to dump none.
        unwanted = line.text.startswith(_BROKEN)
        level = logging.DEBUG if unwanted else _LEVELS.get(line.level, logging.INFO)
        log.log(level, "%s", line.text)
