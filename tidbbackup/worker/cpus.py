"""How many CPUs this container may use: a pod on a node of 64 has them all to see and two to use.

Must not know what they are used for.
"""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cpus(root: Path = CGROUP) -> float:
    """The container's CPU limit by its cgroup, or else the CPUs that the process may run on."""
    seen = float(len(os.sched_getaffinity(0)))
    # `<quota> <period>` in microseconds, the quota `max` where there is none; or a file for each.
    quota, _, period = _text(root / "cpu.max").partition(" ")
    limit = _ratio(quota, period)
    if limit is None:
        limit = _ratio(_text(root / "cpu/cpu.cfs_quota_us"), _text(root / "cpu/cpu.cfs_period_us"))
    return seen if limit is None else min(limit, seen)


def _ratio(quota: str, period: str) -> float | None:
    # -1 and `max` are no limit, and no digits.
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
        return int(quota) / int(period)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
