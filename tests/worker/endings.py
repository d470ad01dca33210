"""Processes that end or are ended, as tests look at them."""

import asyncio
from pathlib import Path


def children(parent: int) -> list[int]:
    """Processes whose parent this is."""
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(number) for number in text.split()]


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return state(pid) != "Z"
    except OSError:
        return False


def state(pid: int) -> str:
    """One letter: R runs, S sleeps, T is stopped, Z is dead."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def gone(pid: int) -> None:
    """Wait for a process's end."""
    async with asyncio.timeout(5):
        while alive(pid):  # noqa: ASYNC110 - nothing tells us of the end of another's child
            await asyncio.sleep(0.02)


async def kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.wait()
