"""How an attempt ends, and with it the Backup (or Restore) where no other follows: what the status then says.

Must not know how it was found out that it has ended.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from tidbbackup.decide.plan import Action
from tidbbackup.decide.run import retry
from tidbbackup.decide.spec.task import notices
from tidbbackup.decide.status import Cause, S, Subject, move, warn
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Notice, Outcome, WorkerResult
from tidbbackup.model.resource.backup import Backup, BackupStatus, Phase
from tidbbackup.model.resource.restore import RestoreStatus
from tidbbackup.model.units import format_duration, format_size


def finish(backup: Backup, result: WorkerResult, now: datetime) -> tuple[Action, ...]:
    """By the worker's own result."""
    status = _told(backup, result, now)
    if result.outcome is Outcome.COMPLETE:
        return complete(backup, result, now, status, reasons.ARCHIVE_STORED)
    cause = Cause(result.reason or reasons.INTERNAL_ERROR, result.message or "the worker gave no reason")
    return end_attempt(backup, cause, now, status, result.started, result.finished)


def complete(
    backup: Backup, result: WorkerResult, now: datetime, status: BackupStatus, reason: str
) -> tuple[Action, ...]:
    """The archive is whole: by the worker's own result, or by what was found in the storage."""
    status = attrs.evolve(
        timed(status, result.started, result.finished or now),
        runEnded=None,
        backupPath=result.path or status.backupPath,
        backupSize=result.size,
        backupSizeReadable=format_size(result.size),
        commitTs=result.commitTs,
        checksum=result.checksum,
        databases=result.databases,
        databaseCount=result.databaseCount,
    )
    text = f"{status.backupSizeReadable} from {result.databaseCount} databases in {status.timeTaken}"
    cause = Cause(reason, f"{text}; {result.message}" if result.message else text)
    return move(backup, Phase.COMPLETE, cause, now, status=status)


def end_attempt(
    backup: Backup,
    cause: Cause,
    now: datetime,
    status: BackupStatus,
    started: datetime | None = None,
    finished: datetime | None = None,
) -> tuple[Action, ...]:
    """It has failed, and so has the Backup where no other follows. `status` tells what it may have left."""
    found = retry.after(backup, cause, now)
    if isinstance(found, Cause):
        return fail(backup, found, now, status, started, finished)
    # Dying here: the next run finds the record, which is all that it goes by.
    status = attrs.evolve(status, backoffRetryStatus=found.records, runEnded=None)
    return move(backup, Phase.SCHEDULED, found.cause, now, status=status)


def fail(
    subject: Subject,
    cause: Cause,
    now: datetime,
    status: BackupStatus | RestoreStatus | None = None,
    started: datetime | None = None,
    finished: datetime | None = None,
) -> tuple[Action, ...]:
    """The Backup or Restore has failed, whatever its policy of retries says."""
    status = attrs.evolve(status or subject.status, runEnded=None)
    return move(subject, Phase.FAILED, cause, now, status=timed(status, started, finished or now))


def _told(backup: Backup, result: WorkerResult, now: datetime) -> BackupStatus:
    told = (*notices(backup.spec), *result.notices)
    if result.uploadLeftOpen and result.outcome is Outcome.FAILED:
        text = (
            "the upload could not be taken back: its parts are left, or its archive may yet appear without a "
            "manifest; they go when the Backup is deleted"
        )
        told = (Notice(reasons.UPLOAD_LEFT_OPEN, text), *told)
    # What an attempt before this one may have left is gone too once the backup is complete.
    before = BackupStatus() if result.outcome is Outcome.COMPLETE else backup.status
    status = attrs.evolve(
        backup.status,
        backupPath=result.path or backup.status.backupPath,
        # Another attempt has the same key.
        log=f"{backup.status.backupPath}.log" if result.logKept else backup.status.log,
        uploadLeftOpen=before.uploadLeftOpen or result.uploadLeftOpen,
        gcLifeTimeHeld=before.gcLifeTimeHeld or result.gcLifeTimeHeld,
    )
    return warn(status, told, now)


def timed(status: S, started: datetime | None, finished: datetime) -> S:
    """The status with when its run began (None: as it is told already), ended, and how long it took."""
    started = started or status.timeStarted
    taken = format_duration(finished - started) if started else ""
    return attrs.evolve(
        status,
        timeStarted=started and started.replace(microsecond=0),
        timeCompleted=finished.replace(microsecond=0),
        timeTaken=taken,
    )
