"""The processes of a container: its session, and what its main process has started. Reads /proc.

The main process leads a session of its own. A program that leaves both the session and its parent (a
daemon) is lost to us here, where a real container's PID namespace would still hold it.
"""

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen


@frozen
class Entry:
    """A living process as /proc shows it."""

    pid: int
    parent: int
    session: int


def parse_stat(text: str) -> Entry | None:
    """An entry from /proc/PID/stat; None for a zombie or for what is none."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    if len(fields) < 4 or fields[0] in "ZX":
        return None
    return Entry(pid=int(head.split(" ")[0]), parent=int(fields[1]), session=int(fields[3]))


def members(main: int, entries: Iterable[Entry]) -> list[int]:
    """The processes of the session `main` leads and all descendants of those, `main` first."""
    entries = list(entries)
    found = {each.pid for each in entries if each.session == main}
    grown = True
    while grown:
        children = {each.pid for each in entries if each.parent in found} - found
        found |= children
        grown = bool(children)
    return sorted(found, key=lambda pid: (pid != main, pid))


def processes_of(main: int) -> list[int]:
    """The process ids of a container that are alive now."""
    return members(main, _snapshot())


def kill_container(main: int) -> None:
    """SIGKILL everything in a container. Repeats: a process may fork while we look."""
    for _ in range(10):
        alive = processes_of(main)
        if not alive:
            return
        for pid in alive:
            send(pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _snapshot() -> list[Entry]:
    found: list[Entry] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if entry := parse_stat(stat.read_text(errors="replace")):
                found.append(entry)
    return found
