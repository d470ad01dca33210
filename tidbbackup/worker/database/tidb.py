"""What is special about TiDB: how it is recognized, its snapshots, its garbage collection, its errors. Pure.

TiDB's statements and error messages stand here and nowhere else. Must not know a connection.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed

VERSION = "SELECT VERSION()"
CURRENT_TSO = "SELECT @@tidb_current_ts"
"""0 outside a transaction."""

SAFE_POINT = "SELECT variable_value FROM mysql.tidb WHERE variable_name = 'tikv_gc_safe_point'"

# The row is TiDB's setting in every version; since 5.0 the variable tidb_gc_life_time reads and writes it.
LIFE_TIME = (
    "SELECT variable_value, comment, UNIX_TIMESTAMP() FROM mysql.tidb "
    "WHERE variable_name = 'tikv_gc_life_time'"
)
LIFE_TIME_LOCKED = LIFE_TIME + " FOR UPDATE"
SET_LIFE_TIME = (
    "UPDATE mysql.tidb SET variable_value = %s, comment = %s WHERE variable_name = 'tikv_gc_life_time'"
)

CONFLICTS = frozenset({1205, 1213, 8002, 8022, 8028, 9007})
"""A transaction that met another one: to be tried again (lock wait, deadlock, TiDB's optimistic ones)."""
DENIED = frozenset({1044, 1142, 1143, 1227, 1290, 1836, 8121})
"""No right to, or a server that takes no writes."""

SNAPSHOT_GONE = r"older than GC safe point|GC life time is shorter than transaction duration"
SAFE_POINT_MISSING = r"can not get 'tikv_gc_safe_point'"

SNAPSHOT_CURE = (
    "TiDB has collected the versions that the dump still had to read: raise spec.tikvGCLifeTime above the "
    "time a dump takes, and grant UPDATE on mysql.tidb so that it can be held"
)
SAFE_POINT_CURE = (
    "TiDB's garbage collector has not run yet on this cluster, so no snapshot can be read: wait until "
    "mysql.tidb has a row tikv_gc_safe_point (ten minutes after its first start), then make a new Backup"
)

_PHYSICAL_SHIFT = 18
_SAFE_POINT_FORMATS = ("%Y%m%d-%H:%M:%S %z", "%Y%m%d-%H:%M:%S.%f %z")


def is_tidb(version: str) -> bool:
    """Whether a server of this version is TiDB, as mydumper decides it too."""
    return "tidb" in version.lower()


def read_at(tso: str) -> str:
    """The statement after which a session reads at this TSO."""
    return f"SET SESSION tidb_snapshot = '{int(tso)}'"


def time_of(tso: str) -> datetime:
    """When a TSO was given out."""
    return datetime.fromtimestamp((int(tso) >> _PHYSICAL_SHIFT) / 1000, UTC)


def check_safe_point(tso: str, safe_point: str | None) -> None:
    """See that what is to be read at this TSO has not been collected. None: there is no such row.

    Raises:
        StepFailed: SnapshotLost, GcSafePointMissing.
    """
    if safe_point is None:
        raise StepFailed(reasons.GC_SAFE_POINT_MISSING, f"mysql.tidb has no safe point: {SAFE_POINT_CURE}")
    collected = _read_safe_point(safe_point)
    if collected is not None and time_of(tso) < collected:
        raise StepFailed(
            reasons.SNAPSHOT_LOST,
            f"the snapshot at TSO {tso} is older than the GC safe point {safe_point}; are the clocks of PD "
            f"and TiDB apart? {SNAPSHOT_CURE}",
        )


def failure_of(words: str) -> tuple[str, str] | None:
    """Reason and cure for an error that only TiDB gives, None for any other."""
    if re.search(SNAPSHOT_GONE, words):
        return reasons.SNAPSHOT_LOST, SNAPSHOT_CURE
    if re.search(SAFE_POINT_MISSING, words):
        return reasons.GC_SAFE_POINT_MISSING, SAFE_POINT_CURE
    return None


def _read_safe_point(text: str) -> datetime | None:
    for form in _SAFE_POINT_FORMATS:
        try:
            return datetime.strptime(text, form).astimezone(UTC)
        except ValueError:
            continue
    # An unknown format: TiDB itself refuses a snapshot that is too old.
    return None
