"""What dumpling cannot dump, told from what the survey found. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Notice
from tidbbackup.worker.database.catalog import Database, Survey
from tidbbackup.worker.dumpers.dumper import Clearance
from tidbbackup.worker.dumpers.dumpling.orders import stem, tables_of
from tidbbackup.worker.dumpers.preflight import check_grants, some, taken
from tidbbackup.worker.dumpers.selection import Selection
from tidbbackup.worker.failure import StepFailed

_LONGEST_STEM = 255 - len("-schema-triggers.sql")


def clear(survey: Survey, chosen: Selection) -> Clearance:
    """Judge a survey.

    Raises:
        StepFailed: InvalidSpec, GrantsMissing, NothingToDump, UnsupportedName.
    """
    if not survey.is_tidb:
        raise StepFailed(
            reasons.INVALID_SPEC,
            f"dumpling dumps TiDB only, and this server is {survey.version}: set spec.dumper: mydumper",
        )
    notices = check_grants(survey, chosen, locks=False)
    databases = taken(chosen, survey.databases)
    if problems := [*_names(databases)]:
        raise StepFailed(
            reasons.UNSUPPORTED_NAME,
            f"dumpling cannot dump these names: {some(problems)}; rename them or filter them out",
        )
    if by_hand := [*_escaped(databases)]:
        text = (
            "whole in the archive, but myloader does not know the escaped names of their files (our restore "
            f"and TiDB Lightning do): {some(by_hand)}"
        )
        notices += (Notice(reasons.LOAD_BY_HAND, text),)
    return Clearance(databases, notices)


def _escaped(databases: tuple[Database, ...]) -> Iterator[str]:
    for database in databases:
        if stem(database.name) != database.name:
            yield f"database `{database.name}`"
        for table in database.tables:
            if stem(table.name) != table.name:
                yield f"table `{database.name}`.`{table.name}`"


def _names(databases: tuple[Database, ...]) -> Iterator[str]:
    for database in databases:
        # It writes the name into a query as it is.
        if bad := next((c for c in "'\\" if c in database.name), ""):
            yield f"database `{database.name}`: {bad} in the name"
        for table in database.tables:
            if len(stem(database.name, table.name).encode()) > _LONGEST_STEM:
                yield f"table `{database.name}`.`{table.name}`: its file name would be longer than 255 bytes"
    for name, table in tables_of(databases):
        names = (table.name, *(column.name for column in table.columns))
        # It takes these for quoted.
        if any(each.startswith("`") or each.endswith("`") for each in names):
            where = "at the beginning or the end of its name, or of a column's"
            yield f"table `{name}`.`{table.name}`: a backtick {where}"
