"""Wall time, CPU seconds and peak memory of processes, and the peak size of a folder, while a block runs.

Reads /proc in a thread; a process that has ended counts with what was seen of it last. Knows no backup.
"""

import contextlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field

_INTERVAL_SECONDS = 0.02
_TICK = os.sysconf("SC_CLK_TCK")


@define
class Measured:
    """What one block took. Seconds and bytes; by the name of the program."""

    seconds: float = 0.0
    cpu_seconds: dict[str, float] = field(factory=dict)
    peak_rss: dict[str, int] = field(factory=dict)
    peak_folder: int = 0


@contextlib.contextmanager
def measured(folder: Path, servers: dict[str, int]) -> Iterator[Measured]:
    """Measure this process's descendants but `servers` (name to pid), whose CPU counts from now on, and
    `folder`."""
    found = Measured()
    watch = _Watch(found, folder, servers)
    thread = threading.Thread(target=watch.run, daemon=True)
    began = time.monotonic()
    thread.start()
    try:
        yield found
    finally:
        found.seconds = time.monotonic() - began
        watch.over.set()
        thread.join()
        watch.look()
        watch.total()


class _Watch:
    def __init__(self, found: Measured, folder: Path, servers: dict[str, int]) -> None:
        self._found = found
        self._folder = folder
        self._servers = servers
        self._before = {name: _cpu(pid) for name, pid in servers.items()}
        self._cpu: dict[tuple[int, str], float] = {}
        self._own = os.getpid()
        self._known = set(_descendants(self._own))
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(_INTERVAL_SECONDS):
            self.look()

    def look(self) -> None:
        self._found.peak_folder = max(self._found.peak_folder, _folder_bytes(self._folder))
        for pid in _descendants(self._own):
            if pid in self._known:
                continue
            with contextlib.suppress(OSError, ValueError):
                name = _name(pid)
                self._cpu[pid, name] = _cpu(pid)
                rss = self._found.peak_rss
                rss[name] = max(rss.get(name, 0), peak_rss(pid))

    def total(self) -> None:
        seconds: dict[str, float] = defaultdict(float)
        for (_, name), value in self._cpu.items():
            seconds[name] += value
        for name, pid in self._servers.items():
            seconds[name] = _cpu(pid) - self._before[name]
        self._found.cpu_seconds = dict(seconds)


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            text = Path(f"/proc/{pid}/task/{task}/children").read_text()
            for child in map(int, text.split()):
                yield child
                yield from _descendants(child)


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _cpu(pid: int) -> float:
    """Of the process itself, without children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def peak_rss(pid: int) -> int:
    """The most memory that a process has had. Bytes. Raises OSError, ValueError: it has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError("it has ended")


def _folder_bytes(folder: Path) -> int:
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    total += _folder_bytes(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total
