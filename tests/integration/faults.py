"""What tests do to a running lab: stand still at a point, look at its processes, swap its controller.

Knows the machine (/proc) and the lab; knows nothing of the product but its programs' names.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tests.cluster.lab import PROGRAM, Lab, start_controller
from tests.integration.hold_proxy import HoldProxy, hold_proxy


def before_database(lab: Lab, word: bytes) -> AbstractAsyncContextManager[HoldProxy]:
    """A proxy between worker and database that stops at a word."""
    return hold_proxy(lab.database.host, lab.database.port, word)


def before_store(lab: Lab, word: bytes) -> AbstractAsyncContextManager[HoldProxy]:
    """A proxy between worker and storage that stops at a word."""
    return hold_proxy("127.0.0.1", lab.store.port, word)


async def within(event: asyncio.Event, seconds: float = 30) -> None:
    """Wait for an event that has to come."""
    async with asyncio.timeout(seconds):
        await event.wait()


def program(pid: int) -> str:
    """Name of the program of a process, empty if it is none any more (a zombie has no command line)."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return os.path.basename(command.split(b"\0")[0].decode(errors="replace"))


def mydumper_of(lab: Lab, namespace: str, pod: str) -> int:
    """The process id of a pod's mydumper."""
    (found,) = [pid for pid in lab.node.pids(namespace, pod) if program(pid) == "mydumper"]
    return found


async def gone(pid: int, seconds: float = 5) -> None:
    """Wait until a process is no more."""
    deadline = time.monotonic() + seconds
    while program(pid):
        assert time.monotonic() < deadline, f"process {pid} ({program(pid)}) lives on"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def other_controller(
    lab: Lab, flags: Sequence[str] = (), program: Sequence[str] = PROGRAM
) -> AsyncIterator[None]:
    """The lab's controller stopped, another in its place; an ordinary one again at the end."""
    await lab.controller.stop()
    lab.controller = await start_controller(lab.plane, flags, "other-controller", program)
    try:
        yield
    finally:
        await lab.controller.stop()
        lab.controller = await start_controller(lab.plane)


@asynccontextmanager
async def no_controller(lab: Lab) -> AsyncIterator[None]:
    """The lab's controller killed (SIGKILL); a new one at the end."""
    child = lab.controller.child
    child.signal(signal.SIGKILL)
    await lab.plane.processes.stop(child)
    try:
        yield
    finally:
        lab.controller = await start_controller(lab.plane)
