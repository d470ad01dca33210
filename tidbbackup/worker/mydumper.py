"""Runs mydumper: one subprocess that cannot outlive the worker, cannot see its secrets, and cannot hang it.

Must not know what is dumped or what its log lines mean for the files.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import define, field

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.verdict import LogLine, explains_others, read_line

log = logging.getLogger("tidbbackup.mydumper")

_LINE_LIMIT = 1 << 20
_POLL_SECONDS = 5.0
_VERSION_SECONDS = 10
_EMPTY = "Empty table "


@define
class Output:
    """What mydumper said and how it ended."""

    code: int = 0
    first_error: str = ""
    cause: str = ""
    """The first line that explains others: disk full, connection lost."""
    empty_tables: set[str] = field(factory=set)
    """`database.table` of tables without rows."""
    lines: int = 0

    def hear(self, line: LogLine) -> None:
        """Take in one line."""
        self.lines += 1
        if line.text.startswith(_EMPTY):
            self.empty_tables.add(line.text.removeprefix(_EMPTY))
        if line.fatal:
            self.first_error = self.first_error or line.text
            if not self.cause and explains_others(line.text):
                self.cause = line.text


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


async def program_version(argv: Sequence[str], search_path: str) -> str:
    """The line that the program of this command line gives for --version."""
    process = await asyncio.create_subprocess_exec(
        *(argv[argv.index("--") + 1], "--version"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": search_path},
    )
    try:
        async with asyncio.timeout(_VERSION_SECONDS):
            out, _ = await process.communicate()
    except TimeoutError:
        return "mydumper"
    finally:
        await _end(process)
    return out.decode("utf-8", "replace").partition("\n")[0].strip() or "mydumper"


async def run_mydumper(
    argv: Sequence[str],
    search_path: str,
    staging: Path,
    stall_seconds: float,
    connected: Callable[[], None],
    grown: Callable[[int], None],
) -> Output:
    """Run it to its end and hand back what it said; a cancelled run leaves no process.

    Args:
        argv: from `command`.
        search_path: its PATH, one of the two variables it gets (no keys, no password).
        staging: the folder whose growth shows that it is alive.
        stall_seconds: without a byte or a line for so long it is killed.
        connected: called once, when all its threads have logged in.
        grown: called every few seconds with the bytes in the folder.

    Raises:
        StepFailed: Stalled.
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
    output = Output()
    # Dying here: the kernel kills mydumper, the staging volume goes with the pod.
    try:
        async with asyncio.TaskGroup() as group:
            watchdog = group.create_task(_watch(output, staging, stall_seconds, grown))
            await _listen(process, output, connected)
            output.code = await process.wait()
            watchdog.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        await _end(process)
    return output


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
        log.log(_LEVELS.get(line.level, logging.INFO), "%s", line.text)
        # All threads log in before the first one dumps.
        if waiting and " dumping " in line.text:
            waiting = False
            connected()


_LEVELS = {"CRITICAL": logging.ERROR, "ERROR": logging.ERROR, "WARNING": logging.WARNING}


async def _watch(output: Output, staging: Path, stall_seconds: float, grown: Callable[[int], None]) -> None:
    """Ends only by raising, once neither the folder nor the log has grown for `stall_seconds`."""
    loop = asyncio.get_running_loop()
    before: tuple[int, int] = (-1, -1)
    since = loop.time()
    while True:
        now = (await asyncio.to_thread(folder_bytes, staging), output.lines)
        grown(now[0])
        if now != before:
            before, since = now, loop.time()
        elif loop.time() - since >= stall_seconds:
            raise StepFailed(
                reasons.STALLED,
                f"mydumper has neither read nor written a byte for {stall_seconds:g} s "
                f"({now[0]} bytes so far): is the database waiting for a lock",
            )
        await asyncio.sleep(min(_POLL_SECONDS, stall_seconds / 4))


def folder_bytes(folder: Path) -> int:
    """Sum of the sizes of the files in one folder; files that vanish meanwhile count for nothing."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of it (mydumper starts no processes of its own) and collect it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
