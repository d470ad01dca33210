"""Why a statement of an archive failed, as reason, the server's words and a cure. Pure.

Must not know which statement it was beyond its name for people.
"""

from __future__ import annotations

from typing import Any

import pymysql

from tidbbackup.model import reasons
from tidbbackup.worker.database import tidb
from tidbbackup.worker.database.session import LOST, error_code, error_words
from tidbbackup.worker.failure import StepFailed

AGAIN = "then restore again with overwrite: Tables"

_CURES: dict[int, tuple[str, str]] = {
    **dict.fromkeys(
        tidb.DENIED,
        (reasons.GRANTS_MISSING, "grant what is missing (docs/reference/restore.md has the list)"),
    ),
    **dict.fromkeys(
        (1290, 1836),
        (reasons.LOAD_FAILED, "the server takes no writes: name the one that does, or end its read_only"),
    ),
    **dict.fromkeys(
        (1021, 1114, 3, 28),
        (reasons.LOAD_FAILED, "the server has no room: give it more"),
    ),
    **dict.fromkeys(
        (1264, 1265, 1292, 1366, 1406, 1411, 1690),
        (
            reasons.LOAD_FAILED,
            "the server would store another value than the archive has: restore into a server of the dumped "
            "one's kind and version, or load this table by hand",
        ),
    ),
    1050: (reasons.TARGET_NOT_EMPTY, "somebody has created it meanwhile"),
    1062: (reasons.LOAD_FAILED, "somebody writes to this table, or the archive is damaged: stop the one"),
    1064: (
        reasons.LOAD_FAILED,
        "does the archive come from a server of another kind or a newer version; `tidbbackup verify` tells "
        "whether it is damaged",
    ),
    1153: (reasons.LOAD_FAILED, "raise max_allowed_packet of the server"),
    1205: (reasons.LOAD_FAILED, "another session holds a lock on it: end that session"),
    1419: (
        reasons.GRANTS_MISSING,
        "grant SUPER, or set the server's log_bin_trust_function_creators to 1",
    ),
    8239: (
        reasons.LOAD_FAILED,
        "this archive does not hold the placement policy: create it in the target first",
    ),
}
_OF_THE_SERVER = frozenset({3, 28, 1021, 1114, 1205, 1290, 1836, 8239})
"""Errors that say what the server lacks, whatever the statement is."""


def explained(error: pymysql.Error, what: str, where: str) -> StepFailed:
    """The failure of a statement. `what`: the object it is about; `where`: the server."""
    code, said = error_code(error), error_words(error)
    if code in LOST or code == 0:
        return StepFailed(
            reasons.DATABASE_LOST,
            f"loading {what}: the connection to {where} was lost: {said}; look at the server's own log, "
            f"{AGAIN}",
        )
    reason, cure = _CURES.get(code, (reasons.LOAD_FAILED, "correct that"))
    return StepFailed(reason, f"loading {what}: {where} answers {code}: {said}; {cure}, {AGAIN}")


def may_be_damage(error: StepFailed) -> bool:
    """Whether a damaged archive can be the cause: its statements may fail before its digest is known."""
    cause = error.__cause__
    if isinstance(cause, pymysql.Error) and error_code(cause) in _OF_THE_SERVER:
        return False
    return error.reason in (reasons.LOAD_FAILED, reasons.ARCHIVE_UNREADABLE)


def lost(error: StepFailed) -> StepFailed:
    """The failure of a further connection to a server that has been reached before."""
    return StepFailed(reasons.DATABASE_LOST, f"{error}; {AGAIN}")


def left_out(statement: bytes, what: str) -> StepFailed:
    """A statement that no dump holds."""
    begin: Any = statement[:60].decode("utf-8", "replace")
    return StepFailed(
        reasons.ARCHIVE_UNREADABLE,
        f"{what}: a restore does not carry out `{begin}`: load this archive by hand",
    )
