"""A run that was given up because its pod did not start, and whose pod started all the same.

Failed is written before the Job is deleted; a controller that dies in between leaves the pod time to start.
Failed stays, but it is not true any more that there was no run. Must not know what follows from that.
"""

from __future__ import annotations

import attrs

from tidbbackup.decide.plan import Action
from tidbbackup.decide.run.job_state import Ours
from tidbbackup.decide.run.life import Life
from tidbbackup.decide.status import Cause, move
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import Phase


def started_after_all(life: Life) -> tuple[Action, ...]:
    """The reason of the failure mended, where its own Job says that a worker began; else nothing to do."""
    status, run = life.status, life.run
    failed = status.condition(Phase.FAILED)
    if status.phase != Phase.FAILED or failed is None or failed.reason not in reasons.NEVER_STARTED:
        return ()
    if not isinstance(run, Ours) or not (run.begun or run.done):
        return ()
    text = (
        f"its pod started all the same, after it was given up ({failed.reason}: {failed.message}); "
        "what it has made is a failure's leftover"
    )
    status = attrs.evolve(status, uploadLeftOpen=True, gcLifeTimeHeld=True)
    return move(life.backup, Phase.FAILED, Cause(reasons.STARTED_TOO_LATE, text), life.now, status=status)
