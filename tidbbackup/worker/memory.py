"""How the C library hands memory back: parts come and go, and a pod's limit counts what it keeps.

Must not know what the memory is for.
"""

from __future__ import annotations

import ctypes
import logging

log = logging.getLogger(__name__)

# mallopt(3). Set by hand, the threshold no longer grows to 32 MiB with the first large block that is freed,
# after which parts would be cut from heaps that never shrink.
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 4 << 20
_M_ARENA_MAX, _ARENAS = -8, 2


def hand_large_blocks_back() -> None:
    """Blocks over 4 MiB go back to the system as soon as they are freed; no heap for each thread.

    Without effect where the C library is not GNU's.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        log.debug("no mallopt: memory is handed back as the C library likes")
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    mallopt(_M_ARENA_MAX, _ARENAS)
