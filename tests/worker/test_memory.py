"""Heaps of the C library, as it counts them itself, in a process of its own."""

import subprocess
import sys
from pathlib import Path

_HEAPS = """
import ctypes, sys, threading
from tidbbackup.worker.memory import share_heaps
if sys.argv[1] == "shared":
    share_heaps()
together = threading.Barrier(6)

def work():
    # More than Python's own allocator takes: it comes from the C library, while all threads live.
    block = bytearray(64 << 10)
    together.wait()

threads = [threading.Thread(target=work) for _ in range(6)]
for each in threads:
    each.start()
for each in threads:
    each.join()
c = ctypes.CDLL(None)
c.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(c.fopen(sys.argv[2].encode(), b"w"))
c.malloc_info(0, file)
c.fclose(file)
"""


def heaps(folder: Path, how: str) -> int:
    """How many the C library has made for six threads that all took memory."""
    told = folder / how
    subprocess.run([sys.executable, "-c", _HEAPS, how, str(told)], check=True)
    return told.read_text().count("<heap ")


def test_threads_share_two_heaps(tmp_path: Path) -> None:
    assert heaps(tmp_path, "shared") <= 2
    assert heaps(tmp_path, "as it likes") > 2, "what the rule is for"
