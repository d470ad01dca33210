"""What the run of a Backup that is going may have left, and what of that its policy wants gone.

Asked once the run is over or stopped. Must not know how it is cleaned.
"""

from __future__ import annotations

from attrs import frozen

from tidbbackup.decide.aftermath.inspection import found_whole
from tidbbackup.decide.run.job_state import Ours, Reported, Silent
from tidbbackup.decide.run.life import Life
from tidbbackup.decide.spec.task import clean_policy
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.resource.backup import CleanPolicy, Phase


@frozen
class Remains:
    """What is left of a Backup that is going; true where there is something to clean."""

    uploads: bool = False
    """A multipart upload may be open."""
    data: bool = False
    """An archive may be there, and the policy wants it gone."""
    kept: bool = False
    """An archive is there, and the policy keeps it."""
    unheard: bool = False
    """Nobody knows how far the run had come."""

    def __bool__(self) -> bool:
        return self.uploads or self.data


def what_remains(life: Life) -> Remains:
    """What a Backup whose run is over or stopped may have left, by its phase, its policy and its last word.

    Its Job, if it is still there, knows of a run, and of its end, that no status tells of yet. A worker that
    could say why it failed has aborted its upload; one that died without a word may have left anything, even
    a whole archive, and what an upload that is left open becomes nobody knows either.
    """
    status, run, policy = life.status, life.run, clean_policy(life.backup)
    tried_before = life.backup.tried_before
    if status.phase in ("", Phase.INVALID) and not isinstance(run, Ours) and not tried_before:
        return Remains()
    goes = policy is CleanPolicy.DELETE
    if status.condition(Phase.COMPLETE) is not None:
        return Remains(data=goes, kept=not goes, unheard=status.gcLifeTimeHeld)
    if not tried_before and _never_began(life):
        return Remains()
    # A failure is in the status for good: the archive's fate must not hang on which Job is still there.
    failed = status.condition(Phase.FAILED) is not None
    if not failed and isinstance(run, Reported) and run.result.outcome is Outcome.COMPLETE:
        return Remains(data=goes, kept=not goes, unheard=run.result.gcLifeTimeHeld)
    if not failed and ((isinstance(run, Ours) and run.done) or found_whole(life)):
        return Remains(data=goes, kept=not goes, unheard=True)
    alone = not (failed or tried_before)
    if alone and isinstance(run, Reported) and run.result.reason not in reasons.DIED_WITHOUT_A_WORD:
        # Its own failure, which no status tells of yet. The commonest, wrong keys, would fail a cleaning too.
        uploads, unheard = run.result.uploadLeftOpen, run.result.gcLifeTimeHeld
    else:
        told = failed or status.stoppedAt is not None
        uploads, unheard = status.uploadLeftOpen or not told, status.gcLifeTimeHeld or not told
    return Remains(uploads=uploads, data=uploads and policy is not CleanPolicy.RETAIN, unheard=unheard)


def _never_began(life: Life) -> bool:
    """Its pod ended (drained, evicted) while it waited, and its node was there to say so."""
    run = life.run
    if life.begun or not isinstance(run, Silent) or run.cause.reason == reasons.NODE_LOST:
        return False
    return bool(run.pods) and all(pod.ended and pod.state.waiting is None for pod in run.pods)
