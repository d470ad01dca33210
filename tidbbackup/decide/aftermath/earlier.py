"""A Backup that ended under a version before this one: what its reasons tell is written into fields, once.

That version read from the reasons of conditions what a run may have left (docs/decisions/0074). Must not know
what is done about it.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from tidbbackup.decide.aftermath.release import TRIES_FOR
from tidbbackup.decide.plan import Action
from tidbbackup.decide.run.life import Life
from tidbbackup.decide.status import ends, mend
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import FINISHED, WARNING, BackupStatus, Phase, StatusWarning


def brought_up_to_date(life: Life) -> tuple[Action, ...]:
    """The write that adds the fields and the conditions; nothing where they are there."""
    status = life.status
    complete, failed = status.condition(Phase.COMPLETE), status.condition(Phase.FAILED)
    ended = complete or failed
    if ended is None or status.condition(FINISHED) is not None:
        return ()
    warning = status.condition(WARNING)
    told = (StatusWarning(warning.reason, warning.message),) if warning else ()
    warned = {each.reason for each in told}
    unheard = complete is None and (ended.reason in reasons.DIED_WITHOUT_A_WORD or life.backup.tried_before)
    held = unheard or ended.reason == reasons.ARCHIVE_FOUND or reasons.GC_LIFE_TIME_STILL_RAISED in warned
    known = attrs.evolve(
        status,
        conditions=(*status.conditions, *ends(Phase(ended.type), ended)),
        warnings=status.warnings or told,
        uploadLeftOpen=status.uploadLeftOpen or unheard or reasons.UPLOAD_LEFT_OPEN in warned,
        gcLifeTimeHeld=status.gcLifeTimeHeld or (held and not _given_up(status, life.now)),
    )
    return mend(life.backup, known)


def _given_up(status: BackupStatus, now: datetime) -> bool:
    return status.timeCompleted is not None and now >= status.timeCompleted + TRIES_FOR
