"""Keeps what the worker has in memory, its environment above all, from other processes of its user.

mydumper runs as the same user. Must not know what the secrets are.
"""

from __future__ import annotations

import ctypes
import logging
import resource

log = logging.getLogger(__name__)

# prctl(2)
_PR_SET_DUMPABLE, _NO = 4, 0


def keep_private() -> None:
    """No core dumps, of mydumper neither; /proc/<pid>/environ and mem of this process are root's alone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        failed = ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, _NO, 0, 0, 0)
    except (AttributeError, OSError):
        failed = True
    if failed:
        log.warning("the kernel does not hide this process's environment from others of its user")
