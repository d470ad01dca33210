"""What has to be right before a byte is dumped, whichever dumper does it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tidbbackup.model import enumeration, reasons
from tidbbackup.model.contract.result import Notice
from tidbbackup.worker.database.catalog import Database, Survey
from tidbbackup.worker.database.grants import read_grants
from tidbbackup.worker.dumpers.selection import Selection
from tidbbackup.worker.failure import StepFailed

_NAMED = 5
"""A message names this many objects and counts the rest."""


def taken(chosen: Selection, databases: tuple[Database, ...]) -> tuple[Database, ...]:
    """What of these is to be dumped.

    Raises:
        StepFailed: NothingToDump.
    """
    if found := chosen.apply(databases):
        return found
    raise StepFailed(
        reasons.NOTHING_TO_DUMP,
        "no database to dump: the user sees none beside the system's"
        + (f", or {chosen.origin} takes none of them" if chosen.origin else ""),
    )


def check_grants(survey: Survey, chosen: Selection, *, locks: bool = True) -> tuple[Notice, ...]:
    """See that the user sees everything. `locks`: the global read lock is taken.

    Raises:
        StepFailed: GrantsMissing.
    """
    report = read_grants(survey.grants, survey.is_tidb, locks=locks)
    lost = [name for name in report.revoked if name not in survey.system]
    if not report.missing and not lost:
        return ()
    what = f"{', '.join(report.missing)} on *.*" if report.missing else "rights"
    if lost:
        what += f" (revoked on {', '.join(lost[:_NAMED])})"
    # A filtered dump may need less than everything; a role may hold what we do not see.
    if report.undecided or chosen.origin:
        text = f"not granted directly: {what}; what the user cannot see is not in the backup"
        return (Notice(reasons.GRANTS_UNCHECKED, text),)
    raise StepFailed(
        reasons.GRANTS_MISSING,
        f"the user lacks {what}, so the backup would miss what it cannot see; {report.cure}",
    )


def some(things: Sequence[str]) -> str:
    """The first few of these, which may have commas, and how many more there are."""
    return enumeration.some(things, between="; ")
