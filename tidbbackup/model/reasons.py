"""Reasons of conditions and Events: constant CamelCase words, grouped by the part that causes them.

docs/failures.md explains each; a test holds the two together. Must not know how a reason is found.
"""

from __future__ import annotations

# The user's spec, or what it names.
INVALID_SPEC = "InvalidSpec"
NAME_TAKEN = "NameTaken"
FOREIGN_BACKUP = "ForeignBackup"

# The pod could not start, or was killed or deleted. The worker did not report these.
UNSCHEDULABLE = "Unschedulable"
VOLUME_UNAVAILABLE = "VolumeUnavailable"
IMAGE_UNAVAILABLE = "ImageUnavailable"
SECRET_MISSING = "SecretMissing"  # noqa: S105  a reason
SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing"
QUOTA_EXCEEDED = "QuotaExceeded"
POD_REFUSED = "PodRefused"
START_FAILED = "StartFailed"
PENDING_TOO_LONG = "PendingTooLong"
STARTED_TOO_LATE = "StartedTooLate"
EVICTED = "Evicted"
OOM_KILLED = "OOMKilled"
KILLED = "Killed"
NODE_LOST = "NodeLost"
DEADLINE_EXCEEDED = "DeadlineExceeded"
JOB_DELETED = "JobDeleted"
POD_DELETED = "PodDeleted"
RESULT_LOST = "ResultLost"
NOTHING_STORED = "NothingStored"

# The worker reports these.
LOGIN_FAILED = "LoginFailed"
DATABASE_UNREACHABLE = "DatabaseUnreachable"
DATABASE_LOST = "DatabaseLost"
LOCK_TIMEOUT = "LockTimeout"
SEVERAL_SERVERS = "SeveralServers"
GRANTS_MISSING = "GrantsMissing"
UNSUPPORTED_NAME = "UnsupportedName"
UNSUPPORTED_TABLE = "UnsupportedTable"
NOTHING_TO_DUMP = "NothingToDump"
DUMP_FAILED = "DumpFailed"
DUMP_INCOMPLETE = "DumpIncomplete"
SNAPSHOT_LOST = "SnapshotLost"
GC_SAFE_POINT_MISSING = "GcSafePointMissing"
GC_LIFE_TIME_NOT_HELD = "GcLifeTimeNotHeld"
STAGING_FULL = "StagingFull"
STAGING_TOO_SMALL = "StagingTooSmall"
STAGING_NOT_WRITABLE = "StagingNotWritable"
CREDENTIALS_MISSING = "CredentialsMissing"
CREDENTIALS_REFUSED = "CredentialsRefused"
ACCESS_DENIED = "AccessDenied"
BUCKET_NOT_FOUND = "BucketNotFound"
STORAGE_UNREACHABLE = "StorageUnreachable"
STORAGE_REFUSED = "StorageRefused"
UPLOAD_FAILED = "UploadFailed"
KEY_TAKEN = "KeyTaken"
VERIFY_FAILED = "VerifyFailed"
STALLED = "Stalled"
TERMINATED = "Terminated"
CLEAN_FAILED = "CleanFailed"
# Of a restore.
ARCHIVE_NOT_FOUND = "ArchiveNotFound"
ARCHIVE_BROKEN = "ArchiveBroken"
ARCHIVE_UNREADABLE = "ArchiveUnreadable"
NOTHING_TO_RESTORE = "NothingToRestore"
TARGET_NOT_EMPTY = "TargetNotEmpty"
LOAD_FAILED = "LoadFailed"
ROWS_DIFFER = "RowsDiffer"
INTERNAL_ERROR = "InternalError"

# How far a run is.
JOB_CREATED = "JobCreated"
POD_STARTED = "PodStarted"
INSPECTING = "Inspecting"
INSPECTING_AGAIN = "InspectingAgain"
RETRY_WAITS = "RetryWaits"
ARCHIVE_STORED = "ArchiveStored"
ARCHIVE_FOUND = "ArchiveFound"
ARCHIVE_DELETED = "ArchiveDeleted"
DATA_KEPT = "DataKept"
RUN_STOPPED = "RunStopped"
RELEASE_FAILED = "ReleaseFailed"
RELEASE_GIVEN_UP = "ReleaseGivenUp"
EXPIRED = "Expired"
CLOCKS_DIFFER = "ClocksDiffer"
"""Of a Backup or a schedule: nothing is deleted by its age or by retention until the clocks agree."""
NAMESPACE_TERMINATING = "NamespaceTerminating"
CRD_TERMINATING = "CRDTerminating"

# Beside the phase.
NO_EFFECT = "NoEffect"
ENDPOINT_WITHOUT_SCHEME = "EndpointWithoutScheme"
UPLOAD_LEFT_OPEN = "UploadLeftOpen"
GC_LIFE_TIME_STILL_RAISED = "GcLifeTimeStillRaised"
ACL_NOT_SUPPORTED = "ACLNotSupported"
TAGS_NOT_SET = "TagsNotSet"
OPTION_OVERRIDES = "OptionOverrides"
SERVER_KEY_UNCHECKED = "ServerKeyUnchecked"
GRANTS_UNCHECKED = "GrantsUnchecked"
FILES_UNCHECKED = "FilesUnchecked"
LOAD_BY_HAND = "LoadByHand"
HISTORY_LEFT_OUT = "HistoryLeftOut"
ROWS_LEFT_OUT = "RowsLeftOut"
VALUES_ROUNDED = "ValuesRounded"
DELETE_MARKER = "DeleteMarker"
MANIFEST_MISSING = "ManifestMissing"
DEFINER_MISSING = "DefinerMissing"

NEVER_STARTED = frozenset(
    {
        *(UNSCHEDULABLE, VOLUME_UNAVAILABLE, IMAGE_UNAVAILABLE, SECRET_MISSING, SERVICE_ACCOUNT_MISSING),
        *(QUOTA_EXCEEDED, POD_REFUSED, START_FAILED, PENDING_TOO_LONG),
    }
)
"""No worker has begun: nothing is left in the bucket."""

LEFT_IN_THE_BUCKET = frozenset({BUCKET_NOT_FOUND, KEY_TAKEN})
"""A cleaning has ended and has not deleted all that it should: a Warning."""

DIED_WITHOUT_A_WORD = frozenset(
    {
        *(EVICTED, OOM_KILLED, KILLED, NODE_LOST, DEADLINE_EXCEEDED, JOB_DELETED, POD_DELETED, RESULT_LOST),
        STARTED_TOO_LATE,
    }
)
"""A worker may have begun and left no result: an upload or an archive may exist."""
