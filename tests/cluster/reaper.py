"""The process that outlives a crash: `python reaper.py FOLDER < pipe`.

It reads lines `+PGID NAME` and `-PGID` from its standard input. At the end of the input, however the
writers ended (SIGKILL too), it kills the sessions still on its list (a child's pid, its group and its
session are one number) and removes FOLDER. It knows nothing of what runs in them. Standard library
only: it is started by path, isolated from the package.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path


def surviving(lines: Iterable[str]) -> list[int]:
    """The children that were started and not stopped, the newest first."""
    groups: dict[int, None] = {}
    for line in lines:
        sign, number = line[:1], line[1:].split(" ")[0].strip()
        if not number.isdigit():
            continue
        groups.pop(int(number), None)
        if sign == "+":
            groups[int(number)] = None
    return list(reversed(groups))


def kill_all(sessions: list[int], patience: float = 5.0) -> None:
    """SIGKILL every process of these sessions; waits up to `patience` seconds until none lives.

    By session, not by group: each child leads a session, and what runs in it may make groups of its own.
    """
    deadline = time.monotonic() + patience
    while living := members(sessions):
        for pid in living:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def members(sessions: Iterable[int]) -> list[int]:
    """The processes of these sessions that are not zombies."""
    wanted = set(sessions)
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # After the name, which may hold anything, in parentheses: state, parent, group, session.
            state, _, _, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(session) in wanted and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def is_alive(session: int) -> bool:
    """Whether a session has a process that is not a zombie."""
    return bool(members([session]))


def remove(folder: Path, patience: float = 5.0) -> None:
    """Remove a folder; tries again for `patience` seconds while something still writes into it."""
    deadline = time.monotonic() + patience
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=time.monotonic() < deadline)
        if folder.exists():
            time.sleep(0.05)


def main() -> None:
    """Wait for the end of the input, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    kill_all(surviving(sys.stdin))
    remove(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
