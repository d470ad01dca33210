"""A dumper as a program of its own, and the signals that hold it."""

import asyncio
import sys
import time
from pathlib import Path

from tidbbackup.worker.dumpers.process import DumperProcess


async def test_a_signal_in_the_moment_of_its_end_leaves_the_exit_code() -> None:
    """`Popen.send_signal` may take it before asyncio: a whole dump was DumpFailed with exit code 255."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "import sys; sys.exit(3)")
    popen = process._transport.get_extra_info("subprocess")  # type: ignore[attr-defined]
    dumper = DumperProcess(process=process)
    wait_until_it_has_ended(process.pid)
    dumper.suspend()
    dumper.resume()
    assert popen.returncode is None
    assert await process.wait() == 3


def wait_until_it_has_ended(pid: int) -> None:
    """Holds the event loop, so that asyncio cannot hear of the end before the signals."""
    while running(pid):
        time.sleep(0.001)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
