"""How an attempt ends, and with it the Backup where no other follows: what the status then says.

Must not know how it was found out that it has ended.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from tidbbackup.decide.plan import Action
from tidbbackup.decide.run import retry
from tidbbackup.decide.spec.task import archive_url, notices
from tidbbackup.decide.status import Cause, move, warn
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Notice, Outcome, WorkerResult
from tidbbackup.model.resource.backup import Backup, BackupStatus, Phase
from tidbbackup.model.units import format_duration, format_size


def finish(
    backup: Backup, result: WorkerResult, now: datetime, *, inspected: bool = False
) -> tuple[Action, ...]:
    """By the worker's word, or (`inspected`) by what was found in the storage after it left none."""
    if result.outcome is not Outcome.COMPLETE:
        cause = Cause(result.reason or reasons.INTERNAL_ERROR, result.message or "the worker gave no reason")
        return end_attempt(backup, cause, now, result)
    status = _ended(_told(backup, result, now), result.started, result.finished or now)
    status = attrs.evolve(
        status,
        gcLifeTimeHeld=status.gcLifeTimeHeld or inspected,
        backupSize=result.size,
        backupSizeReadable=format_size(result.size),
        commitTs=result.commitTs,
        checksum=result.checksum,
        databases=result.databases,
        databaseCount=result.databaseCount,
    )
    text = f"{status.backupSizeReadable} from {result.databaseCount} databases in {status.timeTaken}"
    whole = reasons.ARCHIVE_FOUND if inspected else reasons.ARCHIVE_STORED
    cause = Cause(whole, f"{text}; {result.message}" if result.message else text)
    return move(backup, Phase.COMPLETE, cause, now, status=status)


def end_attempt(
    backup: Backup, cause: Cause, now: datetime, result: WorkerResult | None = None
) -> tuple[Action, ...]:
    """It has failed, and so has the Backup where no other follows; `result` if the worker had its say."""
    found = retry.after(backup, cause, now)
    if isinstance(found, Cause):
        return fail(backup, found, now, result)
    # Dying here: the next run finds the record, which is all that it goes by.
    status = _told(backup, result, now) if result else backup.status
    # The next attempt has the same key and the same place in the ledger of GC life times: what this one may
    # have left is over once that says so itself.
    status = attrs.evolve(status, backoffRetryStatus=found.records, uploadLeftOpen=True, gcLifeTimeHeld=True)
    return move(backup, Phase.SCHEDULED, found.cause, now, status=status)


def fail(
    backup: Backup, cause: Cause, now: datetime, result: WorkerResult | None = None
) -> tuple[Action, ...]:
    """The Backup has failed, whatever its policy of retries says."""
    status = _told(backup, result, now) if result else backup.status
    died, before = cause.reason in reasons.DIED_WITHOUT_A_WORD, backup.tried_before
    status = attrs.evolve(
        status,
        uploadLeftOpen=status.uploadLeftOpen or died or before,
        gcLifeTimeHeld=status.gcLifeTimeHeld or before or (died and result is None),
    )
    started, finished = (result.started, result.finished) if result else (None, None)
    return move(backup, Phase.FAILED, cause, now, status=_ended(status, started, finished or now))


def _told(backup: Backup, result: WorkerResult, now: datetime) -> BackupStatus:
    # The path again: of a run that was over before anybody saw it begin, no status has told it.
    told = (*notices(backup.spec), *result.notices)
    if result.uploadLeftOpen:
        text = (
            "the upload could not be taken back: its parts are left, or its archive may yet appear without a "
            "manifest; they go when the Backup is deleted"
        )
        told = (Notice(reasons.UPLOAD_LEFT_OPEN, text), *told)
    warned = {notice.reason for notice in told}
    # What an attempt before this one may have left is gone too once the backup is complete.
    before = BackupStatus() if result.outcome is Outcome.COMPLETE else backup.status
    status = attrs.evolve(
        backup.status,
        backupPath=result.path or backup.status.backupPath or archive_url(backup),
        uploadLeftOpen=before.uploadLeftOpen or reasons.UPLOAD_LEFT_OPEN in warned,
        gcLifeTimeHeld=before.gcLifeTimeHeld
        or result.gcLifeTimeHeld
        or reasons.GC_LIFE_TIME_STILL_RAISED in warned,
    )
    return warn(status, told, now)


def _ended(status: BackupStatus, started: datetime | None, finished: datetime) -> BackupStatus:
    started = started or status.timeStarted
    taken = format_duration(finished - started) if started else ""
    return attrs.evolve(
        status,
        timeStarted=started and started.replace(microsecond=0),
        timeCompleted=finished.replace(microsecond=0),
        timeTaken=taken,
    )
