"""Names are locks: every object we create has a name computed from its cause.

Must not know why something is created.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from tidbbackup.model.compression import Compression
from tidbbackup.model.units import compact_time

GROUP = "pingcap.com"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
BACKUP_CRD = f"backups.{GROUP}"

FINALIZER = "tidb.pingcap.com/backup-protection"
BEGUN_UID = "tidb.pingcap.com/begun-uid"
"""On a Backup, set with the finalizer: its own uid. A copy has another uid, so it is recognized."""

RUN_NOW = "tidb.pingcap.com/run-now"
"""On a BackupSchedule, set by its user: each new value asks for one run at once."""

MANAGED_BY = "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/component"
APP_NAME = "app.kubernetes.io/name"
OURS = "tidbbackup"
RESTORE = "restore"
"""The component of a Restore's Job and pod; all others are a Backup's."""

BACKUP_LABEL = "tidb.pingcap.com/backup"
RESTORE_LABEL = "tidb.pingcap.com/restore"
SCHEDULE_LABEL = "tidb.pingcap.com/backup-schedule"
DUE_TIME = "tidb.pingcap.com/due-time"
SCHEDULE_UID = "tidb.pingcap.com/schedule-uid"
MADE_OF = "tidb.pingcap.com/made-of"
"""On the Job aftermath-<bk>: a digest of the spec and image it was made from."""

_LABEL_LIMIT = 63
_KEPT = 54


def short(name: str) -> str:
    """The name itself; if it is too long for a label, its first 54 characters, `-`, 8 hex of its sha256.

    Jobs and label values have the same rule, because the Job controller puts a Job's name into a label.
    """
    if len(name) <= _LABEL_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    # Without a dot at its end: Kubernetes refuses `.-` in the name of a Job.
    return f"{name[:_KEPT].rstrip('.')}-{digest}"


def job_name(verb: str, backup: str, attempt: int = 1) -> str:
    """`backup-<bk>`, `aftermath-<bk>`: at most one Job of a verb for one Backup name and attempt.

    A later attempt of an opt-in retry has `-r<n>` at its end.
    """
    return short(f"{verb}-{backup}" + (f"-r{attempt}" if attempt > 1 else ""))


def labels(component: str, name: str) -> dict[str, str]:
    """The labels of everything we create for a Backup of that name, or for a Restore."""
    return {APP_NAME: OURS, COMPONENT: component, MANAGED_BY: OURS, owner_label(component): short(name)}


def owner_label(component: str) -> str:
    """The label that names the Backup or Restore."""
    return RESTORE_LABEL if component == RESTORE else BACKUP_LABEL


def archive_key(prefix: str, created: datetime, uid: str, compression: Compression) -> str:
    """`[prefix/]backup-<creation time>-<first 8 of uid>.tgz`, or `.tar.zst`: unique by the uid, sorted by the
    time.

    It is computed from metadata and the immutable spec, never read from a status, which others can write.
    """
    name = f"{archive_stem(created, uid)}{compression.extension}"
    clean = prefix.strip("/")
    return f"{clean}/{name}" if clean else name


def archive_stem(created: datetime, uid: str) -> str:
    """The archive's name without folder and extension."""
    return f"backup-{compact_time(created)}-{uid[:8]}"
