"""What is left to do about a Backup whose run is over, by its status and its policy alone.

Must not know how it is done.
"""

from __future__ import annotations

import attrs

from tidbbackup.decide.spec.task import clean_policy
from tidbbackup.model.contract.aftermath import Aftermath, Data, Part
from tidbbackup.model.contract.result import WorkerResult
from tidbbackup.model.resource.backup import Backup, BackupStatus, CleanPolicy, Phase


def left_to_inspect(backup: Backup) -> Aftermath:
    """Its run ended and the worker left no result."""
    return Aftermath((Part.INSPECT, *_release(backup.status)))


def left_to_release(backup: Backup) -> Aftermath:
    """It is Complete or Failed, and its archive is not our concern any more."""
    return Aftermath(_release(backup.status))


def left_to_clean(backup: Backup) -> Aftermath:
    """It is being deleted: what of its leftovers and its data is to go, and what its run may have left in the
    database. After the phase Clean only the latter."""
    status = backup.status
    data = Data.KEEP if status.phase == Phase.CLEAN else _data(backup)
    upload = status.uploadLeftOpen and status.phase != Phase.CLEAN
    clean = (Part.CLEAN,) if upload or data is not Data.KEEP else ()
    return Aftermath((*clean, *_release(status)), data)


def done(status: BackupStatus, report: WorkerResult | None) -> BackupStatus:
    """The status once the worker has reported; of the inspection and the cleaning the phase tells."""
    released = report.part(Part.RELEASE) if report else None
    return attrs.evolve(status, gcLifeTimeHeld=False) if released and released.done else status


def _release(status: BackupStatus) -> tuple[Part, ...]:
    return (Part.RELEASE,) if status.gcLifeTimeHeld else ()


def _data(backup: Backup) -> Data:
    """What becomes of an archive; that of a failure can only be there if its upload may be open."""
    policy, status = clean_policy(backup), backup.status
    complete = status.condition(Phase.COMPLETE) is not None
    if policy is CleanPolicy.RETAIN:
        return Data.KEEP
    if not (complete or status.uploadLeftOpen):
        return Data.LOG if status.log else Data.KEEP
    if policy is CleanPolicy.DELETE:
        return Data.DELETE
    if complete:
        return Data.KEEP
    end = status.runEnded
    # OnFailure is about what a failure leaves. A run that left no result may have made a whole backup; one
    # that was stopped was to come to nothing.
    return Data.DELETE if end is None or end.stopped else Data.DELETE_UNLESS_WHOLE
