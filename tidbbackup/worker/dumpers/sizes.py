"""How many connections a dumper opens and how large its files are, where the task does not say. Pure."""

from __future__ import annotations

import math

FILE_BYTES = 64 << 20
"""Files are cut at this size, whatever key a table has: one that is open cannot be packed, so what the
staging volume has to hold is bounded by it. docs/decisions/0030."""
_MIN_THREADS, _MAX_THREADS = 2, 8
# On a small volume two files of every thread have to find room, one open and one that waits.
_FILES_PER_VOLUME = 2 * _MAX_THREADS


def file_bytes(staging_bytes: int) -> int:
    """The size of a file. `staging_bytes`: of the volume; 0: unknown."""
    return min(FILE_BYTES, staging_bytes // _FILES_PER_VOLUME) if staging_bytes else FILE_BYTES


def threads(cpus: float, tables: int, *, by_rows: bool) -> int:
    """How many connections.

    One for each CPU we may use, for that is what writing down rows costs; two at least, since one waits for
    the server. Unless tables are cut by rows each is read by one thread, so more threads than tables are idle
    logins.
    """
    wanted = max(_MIN_THREADS, min(_MAX_THREADS, math.ceil(cpus)))
    return wanted if by_rows else max(1, min(wanted, tables))
