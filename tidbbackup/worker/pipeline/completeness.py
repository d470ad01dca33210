"""Judges the files of a dump: each by its end before it goes into the archive, all by their names and sizes.

The judgement on all comes before the archive's end is sent, so nothing that fails it becomes visible.
Must not know the archive.
"""

from __future__ import annotations

from pathlib import Path

from tidbbackup.model import reasons
from tidbbackup.model.enumeration import some
from tidbbackup.worker.archive.manifest import printable
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.catalog import Database
from tidbbackup.worker.database.survey import current_databases
from tidbbackup.worker.dumpers.dumper import Dump
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.staging import volume

LAST = b";\n"
"""What every file of statements ends with."""
_NAMED = 10
"""A message names this many objects and counts the rest."""


def is_cut_off(path: Path) -> bool:
    """Whether a file of statements ends in the middle of one.

    A volume may tell at close alone that it did not keep all that was written, and the dumper may not look
    at that: it goes on and ends well.
    """
    # Two bytes that have just been written: a thread would cost more.
    return path.name.endswith(".sql") and volume.end(path, len(LAST)) != LAST


def cut_off(names: list[str]) -> StepFailed:
    """The failure that names such files and what cures it."""
    return StepFailed(
        reasons.DUMP_INCOMPLETE,
        f"{some(list(map(printable, names)), _NAMED)} of the dump ends in the middle: the "
        "staging volume did not keep all that was written, and told nobody (is it full, has it a quota); "
        "raise spec.storageSize or choose another spec.storageClassName",
    )


async def check_whole(dump: Dump, databases: tuple[Database, ...], sizes: dict[str, int]) -> None:
    """Compare the files with what the server held before; what is gone from it by now may be missing.

    Raises:
        StepFailed: DumpIncomplete, UnsupportedName, DatabaseLost.
    """
    order = dump.order
    absent = dump.missing(databases, sizes)
    if not absent:
        return
    present = await aside(current_databases, order.login, order.found.commit_ts)
    still = order.selection.apply(present)
    lost = sorted(set(absent) & set(dump.missing(still, sizes)))
    if lost:
        raise StepFailed(
            reasons.DUMP_INCOMPLETE,
            f"{dump.name} ended well but its dump lacks {some(lost, _NAMED)}; what "
            "cannot be opened (a view of a table that is gone) has to be corrected, dropped or filtered out",
        )
