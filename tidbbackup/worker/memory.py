"""How the C library keeps memory: a pod's limit counts what lies freed in its heaps.

Must not know what the memory is for.
"""

from __future__ import annotations

import ctypes
import logging

log = logging.getLogger(__name__)

# mallopt(3)
_M_ARENA_MAX, _ARENAS = -8, 2


def share_heaps() -> None:
    """All threads share two heaps; else each gets its own, in which stays what it once had at the most.

    Without effect where the C library is not GNU's, and for threads that have their heap already.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        log.debug("no mallopt: each thread has the heaps that the C library likes")
        return
    mallopt(_M_ARENA_MAX, _ARENAS)
