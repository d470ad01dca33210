"""Judges the files of a dump: each by its end before it goes into the archive, all by their names and sizes.

The judgement on all comes before the archive's end is sent, so nothing that fails it becomes visible.
Must not know the archive.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tidbbackup.model import reasons
from tidbbackup.worker.archive.manifest import printable
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.catalog import Database, Survey
from tidbbackup.worker.database.survey import current_databases
from tidbbackup.worker.dumpers.mydumper import completeness
from tidbbackup.worker.dumpers.mydumper.preflight import Clearance, check_names
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.job import Job
from tidbbackup.worker.staging import volume

_NAMED = 10
"""So many objects are named in a message, the rest counted."""


async def check_end(path: Path, clearance: Clearance) -> None:
    """Look at the end of a data file that this mydumper may have spoilt.

    Raises:
        StepFailed: DumpIncomplete.
    """
    for database, table in completeness.spoilt_files(clearance.watched, [path.name]).values():
        if await asyncio.to_thread(volume.ends_spoilt, path, completeness.lacks_column_list):
            raise StepFailed(
                reasons.DUMP_INCOMPLETE,
                f"mydumper wrote the last row of `{database}`.`{table}` in a form that does not load; rename "
                "the columns with a backtick in any table, which keep the worker from avoiding that",
            )


def is_cut_off(path: Path) -> bool:
    """Whether a file of statements ends in the middle of one.

    A volume may tell at close alone that it did not keep all that was written, and mydumper does not look at
    that: it goes on and ends well.
    """
    # Two bytes that have just been written: a thread would cost more.
    return path.name.endswith(".sql") and volume.end(path, len(completeness.LAST)) != completeness.LAST


def cut_off(names: list[str]) -> StepFailed:
    """The failure that names such files and what cures it."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return StepFailed(
        reasons.DUMP_INCOMPLETE,
        f"{', '.join(printable(name) for name in names[:_NAMED])}{more} of the dump ends in the middle: the "
        "staging volume did not keep all that was written, and told nobody (is it full, has it a quota); "
        "raise spec.storageSize or choose another spec.storageClassName",
    )


async def check_whole(
    job: Job, found: Survey, clearance: Clearance, sizes: dict[str, int], empty_tables: set[str]
) -> None:
    """Compare the files with what the server held before; what is gone from it by now may be missing.

    Raises:
        StepFailed: DumpIncomplete, UnsupportedName, DatabaseLost.
    """

    def missing(databases: tuple[Database, ...]) -> list[str]:
        created = [d.name for d in databases if job.selection.database(d.name)]
        return completeness.missing_objects(databases, job.flags, sizes, empty_tables, created)

    absent = missing(clearance.databases)
    if not absent:
        return
    present = await aside(current_databases, job.login, found.commit_ts)
    still = job.selection.apply(present)
    check_names(still, job.flags)
    lost = sorted(set(absent) & set(missing(still)))
    if lost:
        more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        raise StepFailed(
            reasons.DUMP_INCOMPLETE,
            f"mydumper ended well but its dump lacks {', '.join(lost[:_NAMED])}{more}; what cannot be opened "
            "(a view of a table that is gone) has to be mended, dropped or filtered out",
        )
