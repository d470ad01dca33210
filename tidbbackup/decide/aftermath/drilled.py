"""Whether a Backup is proven: by the newest of its drills that has ended.

Must not know when a drill is due.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import attrs

from tidbbackup.decide.plan import Action, Announce
from tidbbackup.decide.run.life import BackupLife
from tidbbackup.decide.status import MESSAGE_LIMIT, update_status
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import KIND, PROVEN, Condition, Phase
from tidbbackup.model.resource.restore import Restore


def drilled(life: BackupLife) -> tuple[Action, ...]:
    """Say what the newest drill tells of it, and write it; nothing where it is written, or none has ended."""
    ended = [(at, drill) for drill in life.facts.drills if (at := drill.status.timeCompleted)]
    newest = max(ended, key=lambda each: each[0], default=None)
    if newest is None:
        return ()
    at, drill = newest
    told, old = _told_by(drill, at), life.status.condition(PROVEN)
    if old and old.status == told.status:
        told = attrs.evolve(told, lastTransitionTime=old.lastTransitionTime)
    others = [each for each in life.status.conditions if each.type != PROVEN]
    write = update_status(life.backup, attrs.evolve(life.status, conditions=(*others, told)))
    holds = told.status == "True"
    kind: Literal["Normal", "Warning"] = "Normal" if holds else "Warning"
    reason = PROVEN if holds else reasons.NOT_PROVEN
    say = Announce(KIND, life.backup.metadata, kind, reason, f"{told.reason}: {told.message}")
    return (say, *write) if write else ()


def _told_by(drill: Restore, at: datetime) -> Condition:
    """All that limits the proof is in its message: the filter, what a suffix leaves out."""
    holds, status = drill.status.phase == Phase.COMPLETE, drill.status
    phase = status.condition(Phase.COMPLETE if holds else Phase.FAILED)
    only = f"only {', '.join(drill.spec.tableFilter)}" if drill.spec.tableFilter else ""
    parts = (phase.message if phase else "", only, *(each.message for each in status.warnings))
    message = f"{drill.metadata.name}: {'; '.join(part for part in parts if part)}"
    return Condition(PROVEN, str(holds), phase.reason if phase else "", message[:MESSAGE_LIMIT], at)
