"""Memory that comes back: seen from outside, in a process of its own."""

import subprocess
import sys

_FREED_AND_KEPT = """
from tidbbackup.worker.memory import hand_large_blocks_back
if %r:
    hand_large_blocks_back()
def resident():
    text = open("/proc/self/status").read()
    return int(text.partition("VmRSS:")[2].split()[0])
# The first one that is freed teaches the C library to cut the others from its heap.
b"x" * (16 << 20)  # freed at once
before = resident()
parts = []
for _ in range(12):
    parts.append((b"x" * (16 << 20), bytes(2000)))
small = [each[1] for each in parts]
parts.clear()
print(resident() - before)
"""


def kept(asked: bool) -> int:
    """KiB that stay with the process after 192 MiB of parts have been freed."""
    code = _FREED_AND_KEPT % asked
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)


def test_freed_parts_leave_the_process() -> None:
    assert kept(asked=True) < 16 << 10
