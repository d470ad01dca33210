"""A run that was given up because its pod did not start, and whose pod started all the same.

Failed is written before the Job is deleted; a controller that dies in between leaves the pod time to start.
Failed stays, but it is not true any more that there was no run. Must not know what follows from that.
"""

from __future__ import annotations

from datetime import datetime

from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Action
from tidbbackup.decide.run.diagnosis import has_run
from tidbbackup.decide.run.ownership import owned_by, pods_made_by
from tidbbackup.decide.status import Cause, move
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import Backup, Phase


def started_after_all(facts: BackupFacts, backup: Backup, now: datetime) -> tuple[Action, ...]:
    """The reason of the failure mended, where its own Job says that a worker began; else nothing to do."""
    failed, job = backup.status.condition(Phase.FAILED), facts.job
    given_up = backup.status.phase == Phase.FAILED and failed and failed.reason in reasons.NEVER_STARTED
    if not failed or not given_up or job is None or not owned_by(job, backup):
        return ()
    if job.condition("Complete") is None and not any(map(has_run, pods_made_by(job, facts.pods))):
        return ()
    text = (
        f"its pod started all the same, after it was given up ({failed.reason}: {failed.message}); "
        "what it has made is a failure's leftover"
    )
    return move(backup, Phase.FAILED, Cause(reasons.STARTED_TOO_LATE, text), now)
