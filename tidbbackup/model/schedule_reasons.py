"""Reasons in the conditions and Events of a BackupSchedule. Must not know how a reason is found."""

from __future__ import annotations

# Ready.
READY = "Ready"
"""The condition, and its reason when it is True."""
PAUSED = "Paused"
INVALID_SCHEDULE = "InvalidSchedule"
UNKNOWN_ZONE = "UnknownZone"
NAME_TOO_LONG = "NameTooLong"
INVALID_TEMPLATE = "InvalidTemplate"
INVALID_RETENTION = "InvalidRetention"
"""In the condition Warning: Backups are created, but none is deleted by its age or number."""

# The outcome of a due time. Each has exactly one of these.
BACKUP_CREATED = "BackupCreated"
SKIPPED_OVERLAP = "SkippedOverlap"
SKIPPED_PAUSED = "SkippedPaused"
MISSED_DOWNTIME = "MissedDowntime"
MISSED_DEADLINE = "MissedDeadline"
MISSED_EDITED = "MissedEdited"
MISSED_INVALID = "MissedInvalid"
MISSED_NAME_TAKEN = "MissedNameTaken"
MISSED_REFUSED = "MissedRefused"

BACKUP_REFUSED = "BackupRefused"
"""Temporary: it is tried again until the next due time or the starting deadline."""

# Drills.
INVALID_DRILL = "InvalidDrill"
"""In the condition Warning: Backups are created, but no drill."""
DRILL_CREATED = "DrillCreated"
DRILL_SKIPPED = "DrillSkipped"

# Why retention deletes a Backup.
RETENTION_EXPIRED = "RetentionExpired"
RETENTION_MAX_BACKUPS = "RetentionMaxBackups"
RETENTION_FAILED_LIMIT = "RetentionFailedLimit"
