"""What has to be right before a byte is dumped, judged from what the survey found. Pure.

Must not know a connection or the storage.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Notice
from tidbbackup.worker.database.catalog import Database, Survey
from tidbbackup.worker.database.grants import read_grants
from tidbbackup.worker.dumpers.dumper import Clearance
from tidbbackup.worker.dumpers.mydumper import file_names, hazards, search
from tidbbackup.worker.dumpers.mydumper.options import Flags
from tidbbackup.worker.dumpers.selection import Selection
from tidbbackup.worker.failure import StepFailed

_NAMED = 5
"""So many objects are named in a message, the rest counted."""


def clear(survey: Survey, selection: Selection, flags: Flags, known: hazards.Quirks) -> Clearance:
    """Judge a survey, for the mydumper at hand.

    Raises:
        StepFailed: GrantsMissing, NothingToDump, UnsupportedName, UnsupportedTable.
    """
    notices = _check_grants(survey, selection, flags)
    if lost := search.left_out(selection, survey):
        raise StepFailed(
            reasons.UNSUPPORTED_NAME,
            f"mydumper takes these for the server's own and leaves them out: {_some(lost)}; rename them or "
            "filter them out",
        )
    databases = selection.apply(search.seen(survey.databases))
    if not databases:
        raise StepFailed(
            reasons.NOTHING_TO_DUMP,
            "no database to dump: the user sees none beside the system's"
            + (f", or {selection.origin} takes none of them" if selection.origin else ""),
        )
    if wrong := search.misread(selection, survey):
        raise StepFailed(
            reasons.UNSUPPORTED_NAME,
            f"mydumper cannot follow spec.tableFilter in names with a dot: {_some(wrong)}; say what to "
            "take by spec.mydumper.tableRegex, which is searched in database.table",
        )
    check_names(databases, flags)
    if problems := hazards.unsupported_tables(databases, survey.databases, survey.is_tidb, known):
        raise StepFailed(
            reasons.UNSUPPORTED_TABLE,
            f"mydumper would lose or spoil {_some(problems)}; change them or leave them out with a filter",
        )
    notices += tuple(_caveats(databases, flags, is_tidb=survey.is_tidb))
    return Clearance(databases, notices)


def _caveats(databases: tuple[Database, ...], flags: Flags, *, is_tidb: bool) -> Iterator[Notice]:
    """What a restore of this dump has to know."""
    if remote := hazards.remote_tables(databases):
        text = f"only the definition is dumped, not the rows, which are not this server's: {_some(remote)}"
        yield Notice(reasons.ROWS_LEFT_OUT, text)
    if history := hazards.versioned_tables(databases):
        text = f"only the current rows are dumped, not the history of {_some(history)}"
        yield Notice(reasons.HISTORY_LEFT_OUT, text)
    by_hand = file_names.ambiguous_names(databases) + hazards.unloadable_tables(databases)
    if by_hand := by_hand + hazards.repeated_triggers(databases):
        text = f"whole in the archive, but myloader does not load them as they are: {_some(by_hand)}"
        yield Notice(reasons.LOAD_BY_HAND, text)
    if flags.selecting:
        text = "the options select tables by a rule of mydumper's: the files could not be compared"
        yield Notice(reasons.FILES_UNCHECKED, text)
    if not (is_tidb or flags.no_data) and (rounded := hazards.rounded_tables(databases)):
        text = f"of FLOAT values six digits are dumped, others are lost (DOUBLE keeps all): {_some(rounded)}"
        yield Notice(reasons.VALUES_ROUNDED, text)


def check_names(databases: tuple[Database, ...], flags: Flags) -> None:
    """Refuse what would be lost by its name.

    Raises:
        StepFailed: UnsupportedName.
    """
    if problems := file_names.unsupported_names(databases, flags):
        raise StepFailed(
            reasons.UNSUPPORTED_NAME,
            f"mydumper cannot dump these names: {_some(problems)}; rename them or filter them out",
        )


def _check_grants(survey: Survey, selection: Selection, flags: Flags) -> tuple[Notice, ...]:
    report = read_grants(survey.grants, survey.is_tidb, locks=not flags.no_locks)
    unopened = [f"`{d}`.`{view}`" for d, view in survey.unopened if selection.member(d, view)]
    if unopened and not flags.no_views:
        raise StepFailed(
            reasons.GRANTS_MISSING,
            f"the user may not EXECUTE functions that views call, so the views cannot be read: "
            f"{_some(unopened)}; {report.cure_of('EXECUTE')}",
        )
    lost = [name for name in report.revoked if name not in survey.system]
    if not report.missing and not lost:
        return ()
    what = f"{', '.join(report.missing)} on *.*" if report.missing else "rights"
    if lost:
        what += f" (revoked on {', '.join(lost[:_NAMED])})"
    # A filtered dump may need less than everything; a role may hold what we do not see.
    if report.undecided or selection.origin:
        text = f"not granted directly: {what}; what the user cannot see is not in the backup"
        return (Notice(reasons.GRANTS_UNCHECKED, text),)
    raise StepFailed(
        reasons.GRANTS_MISSING,
        f"the user lacks {what}, so the backup would miss what it cannot see; {report.cure}",
    )


def _some(things: list[str]) -> str:
    more = f" and {len(things) - _NAMED} more" if len(things) > _NAMED else ""
    return "; ".join(things[:_NAMED]) + more
