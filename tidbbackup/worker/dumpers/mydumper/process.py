"""Runs mydumper: one subprocess that cannot outlive the worker, cannot see its secrets, and cannot hang it.

Must not know what is dumped or what its log lines mean for the files.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import define, field

from tidbbackup.model import reasons
from tidbbackup.worker.dumpers.mydumper.log import LogLine, explains_others, read_line
from tidbbackup.worker.dumpers.mydumper.position import Position
from tidbbackup.worker.failure import StepFailed

log = logging.getLogger("tidbbackup.mydumper")

_LINE_LIMIT = 1 << 20
_EMPTY = "Empty table "
_UNLOCKED = "unlocking tables"
_BEGAN = "Started dump at"
_FINISHED = "Finished dump at"
_BROKEN = "Broken table detected, please review: "


@define
class Output:
    """One mydumper: what it says, how it ended, and the means to hold it."""

    code: int = 0
    first_error: str = ""
    cause: str = ""
    """The first line that explains others: disk full, connection lost."""
    empty_tables: set[str] = field(factory=set)
    """`database.table` of tables without rows."""
    position: Position = field(factory=Position)
    lines: int = 0
    began: bool = False
    """Whether it has the global read lock, or needs none: it writes from here on."""
    finished: bool = False
    """Whether all it has to write is written and closed."""
    stopped: StepFailed | None = None
    """Why the worker has ended it."""
    overdue: bool = False
    """Whether the worker has ended it because it did not exit after it had finished."""
    takes: Callable[[str], bool] = lambda _: True
    """Whether `database.table` is dumped."""
    unlocking: bool = False
    """Whether it has said that it is about to unlock the tables."""
    unlocked: bool = False
    process: asyncio.subprocess.Process | None = None

    def hear(self, line: LogLine) -> None:
        """Take in one line."""
        self.lines += 1
        if line.text.startswith(_EMPTY):
            self.empty_tables.add(line.text.removeprefix(_EMPTY))
        if _UNLOCKED in line.text:
            self.unlocking = True
        self.began = self.began or line.text.startswith(_BEGAN)
        self.finished = self.finished or line.text.startswith(_FINISHED)
        if line.fatal:
            self.first_error = self.first_error or line.text
            if not self.cause and explains_others(line.text):
                self.cause = line.text

    def holds_no_lock(self) -> bool:
        """Whether nobody waits for a lock of its, as far as it has told.

        It tells just before it asks the server to unlock, and then waits for the answer: once its main thread
        has been seen asleep after that line, the server has been asked.
        """
        if self.unlocking and not self.unlocked and self.process is not None:
            with contextlib.suppress(OSError):
                state = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
                self.unlocked = state == "S"
        return self.unlocked

    def activity(self) -> tuple[int, ...]:
        """Changes as long as it does anything; () where it is not asleep: held, at work, or not there."""
        if self.process is None or self.process.returncode is not None:
            return ()
        try:
            tasks = [path.read_text() for path in Path(f"/proc/{self.process.pid}/task").glob("*/stat")]
        except OSError:
            return ()
        found = [text.rpartition(")")[2].split() for text in tasks]
        if any(fields[0] != "S" for fields in found):
            return ()
        return (self.lines, *(int(fields[11]) + int(fields[12]) for fields in found))

    def end_it(self, why: StepFailed | None) -> None:
        """Kill it for this reason; None: it has finished."""
        self.stopped, self.overdue = why, why is None
        self._signal(signal.SIGKILL)

    def hold(self) -> None:
        """Stop the process where it stands. It dies by SIGKILL all the same, so with the worker too."""
        self._signal(signal.SIGSTOP)

    def release(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


def command(arguments: Sequence[str], search_path: str) -> list[str]:
    """The whole command line, started through setpriv: the kernel kills mydumper when the worker dies.

    Raises:
        StepFailed: DumpFailed, a program is not there.
    """
    setpriv, mydumper = (find(name, search_path) for name in ("setpriv", "mydumper"))
    return [str(setpriv), "--pdeathsig=KILL", "--", str(mydumper), *arguments]


def find(name: str, search_path: str) -> Path:
    """Where a program is.

    Raises:
        StepFailed: DumpFailed, it is not there.
    """
    found = shutil.which(name, path=search_path)
    if found is None:
        raise StepFailed(
            reasons.DUMP_FAILED, f"no program `{name}` on PATH={search_path}: the image lacks its package"
        )
    return Path(found)


async def run_mydumper(
    argv: Sequence[str], search_path: str, output: Output, connected: Callable[[], None]
) -> None:
    """Run it to its end; a cancelled run leaves no process, held or not.

    Args:
        argv: from `command`.
        search_path: its PATH, one of the two variables it gets (no keys, no password).
        output: takes in what it says and how it ends.
        connected: called once, when all its threads have logged in.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": search_path, "HOME": "/"},
        start_new_session=True,
        limit=_LINE_LIMIT,
    )
    output.process = process
    # Dying here: the kernel kills mydumper, the staging volume goes with the pod.
    try:
        await _listen(process, output, connected)
        code = await process.wait()
        output.code = 0 if output.overdue else code
    finally:
        await end(process)


async def _listen(process: asyncio.subprocess.Process, output: Output, connected: Callable[[], None]) -> None:
    assert process.stdout is not None
    waiting = True
    while True:
        try:
            raw = await process.stdout.readline()
        except ValueError:
            # A line longer than the limit; readline has thrown it away.
            continue
        if not raw:
            return
        line = read_line(raw.decode("utf-8", "replace"))
        output.hear(line)
        if not line.text:
            continue
        # It looks at all databases, and cannot open most views of the server's own.
        unwanted = line.text.startswith(_BROKEN) and not output.takes(line.text.removeprefix(_BROKEN))
        level = logging.DEBUG if unwanted else _LEVELS.get(line.level, logging.INFO)
        log.log(level, "%s", line.text)
        # All threads log in before the first one dumps.
        if waiting and " dumping " in line.text:
            waiting = False
            connected()


_LEVELS = {"CRITICAL": logging.ERROR, "ERROR": logging.ERROR, "WARNING": logging.WARNING}


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of it (mydumper starts no processes of its own) and collect it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
