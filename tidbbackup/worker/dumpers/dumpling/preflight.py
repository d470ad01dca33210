"""What dumpling cannot dump, told from what the survey found. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tidbbackup.model import reasons
from tidbbackup.worker.database.catalog import Database, Survey, Table
from tidbbackup.worker.dumpers.dumper import Clearance
from tidbbackup.worker.dumpers.dumpling.orders import stem, tables_of
from tidbbackup.worker.dumpers.preflight import check_grants, some, taken
from tidbbackup.worker.dumpers.selection import Selection
from tidbbackup.worker.failure import StepFailed

_LONGEST_STEM = 255 - len(".0000000000000.sql")


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
    return Clearance(databases, notices)


def _names(databases: tuple[Database, ...]) -> Iterator[str]:
    for name in (database.name for database in databases):
        # It writes the name into a query as it is.
        if bad := next((c for c in "'\\" if c in name), ""):
            yield f"database `{name}`: {bad} in the name"
    stems = Counter(stem(database, table.name) for database, table in tables_of(databases))
    for database, table in tables_of(databases):
        files = stem(database, table.name)
        why = _wrong(files, table)
        if why or stems[files] > 1:
            why = why or f"another one would have the same file name {files}"
            yield f"table `{database}`.`{table.name}`: {why}"


def _wrong(stem: str, table: Table) -> str:
    if "/" in stem or "\0" in stem:
        return "a slash in the name"
    if len(stem.encode()) > _LONGEST_STEM:
        return "its file name would be longer than 255 bytes"
    names = (table.name, *(column.name for column in table.columns))
    # It takes these for quoted.
    if any(name.startswith("`") or name.endswith("`") for name in names):
        return "a backtick at the beginning or the end of its name, or of a column's"
    return ""
