"""The status of a Backup or Restore: moving from phase to phase, and what of it has to be written.

Invariant: of the phases' conditions exactly one is True, and `phase` names it. The others keep the time at
which they were reached, so a finished Backup still tells when it was Scheduled and Running.
Must not know why a phase is entered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal, TypeVar

import attrs
import msgspec
from attrs import frozen

from tidbbackup.decide.plan import Action, Announce, Counted, PatchStatus, Tally
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.names import SCHEDULE_LABEL
from tidbbackup.model.reasons import (
    GC_LIFE_TIME_STILL_RAISED,
    RELEASE_GIVEN_UP,
    ROWS_LEFT_OUT,
    UPLOAD_LEFT_OPEN,
    VALUES_ROUNDED,
    WAITS_ITS_TURN,
)
from tidbbackup.model.resource.backup import (
    FINISHED,
    SUCCEEDED,
    WARNING,
    Backup,
    BackupStatus,
    Condition,
    Phase,
    StatusWarning,
)
from tidbbackup.model.resource.restore import Restore, RestoreStatus

MESSAGE_LIMIT = 2048
# What has to be corrected comes first, then what is missing in the archive: a condition has one reason. What
# many databases have comes last.
_BY_WEIGHT = {
    UPLOAD_LEFT_OPEN: 0,
    GC_LIFE_TIME_STILL_RAISED: 1,
    RELEASE_GIVEN_UP: 1,
    ROWS_LEFT_OUT: 2,
    VALUES_ROUNDED: 9,
}
_USUAL_WEIGHT = 3
_WARNING_PHASES = {Phase.FAILED, Phase.INVALID, Phase.CLEAN_FAILED}


Status = TypeVar("Status", bound=attrs.AttrsInstance)
Subject = Backup | Restore
"""What has such a status."""
S = TypeVar("S", bound=BackupStatus | RestoreStatus)


@frozen
class Cause:
    """A reason and what stands behind it, for a condition."""

    reason: str
    message: str


def enter(status: S, phase: Phase, reason: str, message: str, now: datetime) -> S:
    """The status with `phase` as its one True phase; entering it again only corrects reason and message."""
    message = message[:MESSAGE_LIMIT]
    current = status.condition(phase)
    since = current.lastTransitionTime if current and current.status == "True" else now.replace(microsecond=0)
    entered = Condition(phase, "True", reason, message, since)
    former = [
        attrs.evolve(condition, status="False")
        for condition in status.conditions
        if condition.type in set(Phase) and condition.type != phase
    ]
    # Behind the phase, as kubectl's column Reason shows the first that is True.
    over = tuple(ends(phase, entered)) if phase in (Phase.COMPLETE, Phase.FAILED) else ()
    told = {*Phase, *(condition.type for condition in over)}
    beside = [condition for condition in status.conditions if condition.type not in told]
    return attrs.evolve(status, phase=phase.value, conditions=(*former, entered, *over, *beside))


def ends(phase: Phase, entered: Condition) -> Iterator[Condition]:
    """What tells whoever waits for a Backup that it is over, and whether it is Complete; it stays."""
    yield attrs.evolve(entered, type=FINISHED, status="True", reason=phase.value)
    yield attrs.evolve(entered, type=SUCCEEDED, status=str(phase is Phase.COMPLETE))


def warn(status: S, notices: Iterable[Notice | StatusWarning], now: datetime) -> S:
    """The status with `notices` as its warnings, and one condition that tells all of them.

    What was told before and has not been corrected since stays.
    """
    lasting: dict[str, bool] = {}
    if isinstance(status, BackupStatus):
        lasting = {UPLOAD_LEFT_OPEN: status.uploadLeftOpen, GC_LIFE_TIME_STILL_RAISED: status.gcLifeTimeHeld}
    told = [StatusWarning(each.reason, each.message) for each in notices if lasting.get(each.reason, True)]
    told += [each for each in status.warnings if lasting.get(each.reason)]
    found = tuple(sorted(dict.fromkeys(told), key=lambda each: _BY_WEIGHT.get(each.reason, _USUAL_WEIGHT)))
    conditions = tuple(condition for condition in status.conditions if condition.type != WARNING)
    if found:
        message = "; ".join(each.message for each in found)[:MESSAGE_LIMIT]
        current = status.condition(WARNING)
        since = current.lastTransitionTime if current else now.replace(microsecond=0)
        conditions += (Condition(WARNING, "True", found[0].reason, message, since),)
    return attrs.evolve(status, conditions=conditions, warnings=found)


def is_over(status: BackupStatus | RestoreStatus) -> bool:
    """Whether it has been told how the run ended."""
    return any(map(status.condition, (Phase.COMPLETE, Phase.FAILED)))


def changes(old: Status, new: Status) -> dict[str, Any]:
    """The merge patch from a status, a Backup's or a schedule's, to another; empty where nothing differs.

    `progress` is never in it: the progress task alone writes that.
    """
    before, after = _wire(old), _wire(new)
    patch = {name: value for name, value in after.items() if before.get(name) != value}
    return patch | {name: None for name in before if name not in after}


def move(
    backup: Subject,
    phase: Phase,
    cause: Cause,
    now: datetime,
    *,
    status: BackupStatus | RestoreStatus | None = None,
) -> tuple[Action, ...]:
    """The actions by which a Backup or Restore enters a phase: say it, then write it; none where nothing
    differs.

    An Event said twice is one Event. A status written first would leave none if we died in between.
    """
    # What waits for a node tells of the nodes, and is no answer to anything that we ask.
    current = None if phase is Phase.SCHEDULED else backup.status.condition(phase)
    message = _news(backup, current, "True", cause)
    before: BackupStatus | RestoreStatus = status or backup.status
    entered = enter(before, phase, cause.reason, message, now)
    wanted = attrs.evolve(entered, observedGeneration=backup.metadata.generation)
    patch = changes(backup.status, wanted)
    if not patch:
        return ()
    tallies: tuple[Tally, ...] = ()
    if isinstance(backup, Backup) and isinstance(wanted, BackupStatus) and backup.status.phase != phase:
        tallies = tuple(_counted(backup, phase, wanted))
    write = PatchStatus(backup.key, backup.metadata.resourceVersion, patch, tallies)
    if phase in _WARNING_PHASES:
        text = f"{cause.reason}: {cause.message}"
        return (Announce(backup.kind, backup.metadata, "Warning", phase.value, text), write)
    if backup.status.phase == phase:
        return (write,)
    return (Announce(backup.kind, backup.metadata, "Normal", phase.value, cause.message), write)


def update_status(backup: Subject, status: BackupStatus | RestoreStatus) -> tuple[Action, ...]:
    """The action by which a Backup gets another status without a change of its phase, where they differ."""
    patch = changes(backup.status, status)
    if not patch:
        return ()
    patch |= changes(
        backup.status, attrs.evolve(backup.status, observedGeneration=backup.metadata.generation)
    )
    return (PatchStatus(backup.key, backup.metadata.resourceVersion, patch),)


def held_since(backup: Subject, cause: Cause) -> datetime | None:
    """Since when a Backup is held back by such a cause; None: it was not.

    A wait for its turn is nobody's fault and does not count for what comes after it.
    """
    current = backup.status.condition(Phase.SCHEDULED)
    if current is None:
        return None
    same = (current.reason == WAITS_ITS_TURN) == (cause.reason == WAITS_ITS_TURN)
    return current.lastTransitionTime if same else None


def hold_back(
    backup: Subject, cause: Cause, now: datetime, kind: Literal["Normal", "Warning"] = "Warning"
) -> tuple[Action, ...]:
    """The actions that tell why a Backup is not Scheduled yet, and since when; its phase stays as it is."""
    current = backup.status.condition(Phase.SCHEDULED)
    since = held_since(backup, cause) or now.replace(microsecond=0)
    message = _news(backup, current, "False", cause)[:MESSAGE_LIMIT]
    held = Condition(Phase.SCHEDULED, "False", cause.reason, message, since)
    others = [condition for condition in backup.status.conditions if condition.type != held.type]
    wanted = attrs.evolve(
        backup.status, conditions=(*others, held), observedGeneration=backup.metadata.generation
    )
    patch = changes(backup.status, wanted)
    if not patch:
        return ()
    say = Announce(backup.kind, backup.metadata, kind, cause.reason, cause.message)
    return (say, PatchStatus(backup.key, backup.metadata.resourceVersion, patch))


def no_longer_held(status: S) -> S:
    """The status without what hold_back told: what is refused later is held back from then on."""
    kept = [each for each in status.conditions if (each.type, each.status) != (Phase.SCHEDULED, "False")]
    return attrs.evolve(status, conditions=tuple(kept))


def _news(backup: Subject, told: Condition | None, holds: str, cause: Cause) -> str:
    """The message to write: the one there is, where nothing differs but words with a digit in them.

    A webhook's answer may bear the number of its request. What we write wakes us, and then we would ask
    again, without a pause, for ever.
    """
    if told is None or (told.status, told.reason) != (holds, cause.reason):
        return cause.message
    if backup.status.observedGeneration != backup.metadata.generation:
        return cause.message
    same = _plain(told.message) == _plain(cause.message[:MESSAGE_LIMIT])
    return told.message if same else cause.message


def _plain(message: str) -> list[str]:
    return [word for word in message.split() if not any(map(str.isdigit, word))]


def _counted(backup: Backup, phase: Phase, status: BackupStatus) -> Iterator[Tally]:
    meta = backup.metadata
    group = meta.namespace, meta.labels.get(SCHEDULE_LABEL, "")
    started, completed = status.timeStarted, status.timeCompleted
    if phase is Phase.COMPLETE:
        seconds = (completed - started).total_seconds() if started and completed else None
        yield Tally(Counted.FINISHED, *group, phase.value, seconds=seconds, size=status.backupSize)
    elif phase is Phase.FAILED:
        yield Tally(Counted.FINISHED, *group, phase.value)
    elif phase is Phase.CLEAN_FAILED:
        yield Tally(Counted.CLEAN_FAILED, *group)


def _wire(status: attrs.AttrsInstance) -> dict[str, Any]:
    filled = ((each, getattr(status, each.name)) for each in attrs.fields(type(status)))
    return {
        each.name: msgspec.to_builtins(value)
        for each, value in filled
        if value not in (None, "", ()) and value is not each.default and each.name != "progress"
    }
