"""Runs a dumper as a program of its own: it cannot outlive the worker, cannot see its secrets, and cannot
hang it.

Must not know which dumper it is, what is dumped or what its lines mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from attrs import define

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed

_LINE_LIMIT = 1 << 20


@define
class DumperProcess:
    """One dumper: what it says, how it ended, and the means to hold it. A dumper extends it by what its lines
    mean."""

    code: int = 0
    lines: int = 0
    began: bool = False
    """Whether it is past all locks, or needs none: it writes from here on."""
    finished: bool = False
    """Whether all it has to write is written and closed."""
    stopped: StepFailed | None = None
    """Why the worker has ended it."""
    overdue: bool = False
    """Whether the worker has ended it because it did not exit after it had finished."""
    process: asyncio.subprocess.Process | None = None

    def hear(self, text: str) -> None:
        """Take in one line."""
        self.lines += 1

    def holds_no_lock(self) -> bool:
        """Whether it holds no lock that others wait for, as far as its log says."""
        return self.began

    def activity(self) -> tuple[int, ...]:
        """Changes as long as it does anything; () if it does not sleep: suspended, at work, or gone."""
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

    def suspend(self) -> None:
        """Suspend the process (SIGSTOP). It dies by SIGKILL all the same, so with the worker too."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # Not process.send_signal: it first looks whether the process has ended. If it has, asyncio
                # cannot get its exit code any more and reports 255.
                os.kill(self.process.pid, number)


def command(program: str, arguments: Sequence[str], search_path: str) -> list[str]:
    """The whole command line, started through setpriv: the kernel kills the dumper when the worker dies.

    Raises:
        StepFailed: DumpFailed, a program is not there.
    """
    setpriv, dumper = (find(name, search_path) for name in ("setpriv", program))
    return [str(setpriv), "--pdeathsig=KILL", "--", str(dumper), *arguments]


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


async def run(argv: Sequence[str], search_path: str, dumper: DumperProcess, stdin: bytes = b"") -> None:
    """Run it to its end; a cancelled run leaves no process, suspended or not.

    Args:
        argv: from `command`.
        search_path: its PATH, one of the two variables it gets (no keys, no password).
        dumper: takes in what it says on standard output and standard error, and how it ends.
        stdin: what it reads from standard input.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": search_path, "HOME": "/"},
        start_new_session=True,
        limit=_LINE_LIMIT,
    )
    dumper.process = process
    # Dying here: the kernel kills the dumper, the staging volume goes with the pod.
    try:
        if process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        await _listen(process, dumper)
        code = await process.wait()
        dumper.code = 0 if dumper.overdue else code
    finally:
        await end(process)


async def _listen(process: asyncio.subprocess.Process, dumper: DumperProcess) -> None:
    assert process.stdout is not None
    while True:
        try:
            raw = await process.stdout.readline()
        except ValueError:
            # A line longer than the limit; readline has thrown it away.
            continue
        if not raw:
            return
        dumper.hear(raw.decode("utf-8", "replace"))


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of it (dumpers start no processes of their own) and collect it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
