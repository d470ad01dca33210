"""The plan of a multipart upload: how large its parts are and how many travel at once. Pure.

Must not know any S3 client.
"""

from __future__ import annotations

MIB = 1 << 20
MIN_PART = 16 * MIB
MAX_PART = 5 << 30
"""S3's own limit for one part, in bytes."""

# 9,000 of the 10,000 parts that S3 allows, for half as much again as was estimated: sizes stay equal
# within an upload (some providers insist), so the reserve has to be there from the start.
_PLANNED_PARTS = 9_000
_RESERVE = 1.5

_MEMORY_BYTES = 64 * MIB
_MAX_IN_FLIGHT = 4


def part_size(estimate: int) -> int:
    """Bytes of every part but the last, whole MiB, for an archive of about `estimate` bytes."""
    wanted = int(estimate * _RESERVE / _PLANNED_PARTS) + 1
    rounded = -(-wanted // MIB) * MIB
    return min(max(MIN_PART, rounded), MAX_PART)


def in_flight(part_bytes: int) -> int:
    """How many parts may be under way at once, so that their bodies stay within the memory budget."""
    return max(1, min(_MAX_IN_FLIGHT, _MEMORY_BYTES // part_bytes))
