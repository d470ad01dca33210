"""Carries one event of the ledger out, on the row of tikv_gc_life_time in mysql.tidb, in one transaction.

SELECT and UPDATE on mysql.tidb are all it needs. Blocking calls, to be run in a thread. Must not know
why an event happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pymysql
from pymysql.connections import Connection

from tidbbackup.worker.database import tidb
from tidbbackup.worker.database.session import Login, error_code, error_words, fetch, open_session
from tidbbackup.worker.gc.ledger import CannotHold, Event, Row, ledger

_ATTEMPTS = 8
_PAUSE_SECONDS = 0.05


def change(login: Login, event_at: Callable[[datetime], Event]) -> Row | None:
    """The row after the event, None where the server is no TiDB.

    Args:
        login: a user with SELECT and UPDATE on mysql.tidb.
        event_at: the event, from the database's time: the only clock that all holders share.

    Raises:
        CannotHold: the user may not, or there is no row, or it leaves no way.
        StepFailed: LoginFailed, DatabaseUnreachable, DatabaseLost, DumpFailed.
    """
    with open_session(login) as session:
        if not tidb.is_tidb(str(fetch(session, tidb.VERSION)[0][0])):
            return None
        for attempt in range(_ATTEMPTS):
            try:
                return _settle(session, event_at)
            except pymysql.Error as error:
                code = error_code(error)
                if code in tidb.DENIED:
                    raise CannotHold(
                        f"{error_words(error)}; GRANT SELECT, UPDATE ON mysql.tidb TO '{login.target.user}'"
                    ) from error
                if code not in tidb.CONFLICTS or attempt == _ATTEMPTS - 1:
                    raise
                fetch(session, "ROLLBACK")
                time.sleep(_PAUSE_SECONDS * 2**attempt)
    raise AssertionError


def _settle(session: Connection[Any], event_at: Callable[[datetime], Event]) -> Row:
    row, now = _read(session, tidb.LIFE_TIME)
    if ledger(row, now, event_at(now)) == row:
        # Nothing to write, so the right to is not asked for.
        return row
    fetch(session, "BEGIN")
    row, now = _read(session, tidb.LIFE_TIME_LOCKED)
    new = ledger(row, now, event_at(now))
    if new != row:
        with session.cursor() as cursor:
            cursor.execute(tidb.SET_LIFE_TIME, (new.value, new.comment))
    # Dying before this changes nothing, after it the ledger tells everybody what was there before.
    fetch(session, "COMMIT")
    return new


def _read(session: Connection[Any], statement: str) -> tuple[Row, datetime]:
    found = fetch(session, statement)
    if not found:
        raise CannotHold("mysql.tidb has no row tikv_gc_life_time: TiDB's garbage collector has not run yet")
    value, comment, seconds = found[0]
    return Row(str(value), None if comment is None else str(comment)), datetime.fromtimestamp(
        int(seconds), UTC
    )
