"""What has to be right before a byte is dumped, judged from what the survey found. Pure.

Must not know a connection or the storage.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Notice
from tidbbackup.worker.database.catalog import Database, Survey
from tidbbackup.worker.dumpers.dumper import Clearance
from tidbbackup.worker.dumpers.mydumper import file_names, hazards, search
from tidbbackup.worker.dumpers.mydumper.options import Flags
from tidbbackup.worker.dumpers.preflight import check_grants, some, taken
from tidbbackup.worker.dumpers.selection import Selection
from tidbbackup.worker.failure import StepFailed


def clear(survey: Survey, selection: Selection, flags: Flags, known: hazards.Quirks) -> Clearance:
    """Judge a survey, for the mydumper at hand.

    Raises:
        StepFailed: GrantsMissing, NothingToDump, UnsupportedName, UnsupportedTable.
    """
    notices = check_grants(survey, selection, locks=not flags.no_locks)
    if lost := search.left_out(selection, survey):
        raise StepFailed(
            reasons.UNSUPPORTED_NAME,
            f"mydumper takes these for the server's own and leaves them out: {some(lost)}; rename them or "
            "filter them out",
        )
    databases = taken(selection, search.seen(survey.databases))
    if wrong := search.misread(selection, survey):
        raise StepFailed(
            reasons.UNSUPPORTED_NAME,
            f"mydumper cannot follow spec.tableFilter in names with a dot: {some(wrong)}; say what to "
            "take by spec.mydumper.tableRegex, which is searched in database.table",
        )
    check_names(databases, flags)
    if problems := hazards.unsupported_tables(databases, survey.is_tidb, known):
        raise StepFailed(
            reasons.UNSUPPORTED_TABLE,
            f"mydumper would lose or spoil {some(problems)}; change them or leave them out with a filter",
        )
    notices += tuple(_caveats(databases, is_tidb=survey.is_tidb))
    return Clearance(databases, notices)


def _caveats(databases: tuple[Database, ...], *, is_tidb: bool) -> Iterator[Notice]:
    """What a restore of this dump has to know."""
    if remote := hazards.remote_tables(databases):
        text = f"only the definition is dumped, not the rows, which are not this server's: {some(remote)}"
        yield Notice(reasons.ROWS_LEFT_OUT, text)
    if history := hazards.versioned_tables(databases):
        text = f"only the current rows are dumped, not the history of {some(history)}"
        yield Notice(reasons.HISTORY_LEFT_OUT, text)
    if by_hand := file_names.ambiguous_names(databases) + hazards.unloadable_tables(databases):
        text = f"whole in the archive, but myloader does not load them as they are: {some(by_hand)}"
        yield Notice(reasons.LOAD_BY_HAND, text)
    if not is_tidb and (rounded := hazards.rounded_tables(databases)):
        text = f"of FLOAT values six digits are dumped, others are lost (DOUBLE keeps all): {some(rounded)}"
        yield Notice(reasons.VALUES_ROUNDED, text)


def check_names(databases: tuple[Database, ...], flags: Flags) -> None:
    """Refuse what would be lost by its name.

    Raises:
        StepFailed: UnsupportedName.
    """
    if problems := file_names.unsupported_names(databases, flags):
        raise StepFailed(
            reasons.UNSUPPORTED_NAME,
            f"mydumper cannot dump these names: {some(problems)}; rename them or filter them out",
        )
