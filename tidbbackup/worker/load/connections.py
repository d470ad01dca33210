"""The connections that carry out the statements of rows, each in a thread.

One INSERT of the archive is one transaction; MariaDB gets it as several smaller ones. Must not know where
the statements come from.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pymysql
from pymysql.connections import Connection

from tidbbackup.model import reasons
from tidbbackup.worker.database import tidb
from tidbbackup.worker.database.session import error_code, open_session
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.load.board import Board, Source, Stopped
from tidbbackup.worker.load.failures import explained, lost
from tidbbackup.worker.load.statements import in_parts
from tidbbackup.worker.load.target import Target
from tidbbackup.worker.load.thing import Thing

log = logging.getLogger(__name__)

_TRIES = 5
_WAIT_SECONDS = 7 * 86_400
"""For which the server lets a connection be idle, while rows are read that are not wanted."""


class Connections:
    """So many threads with a connection each, until the board is empty."""

    def __init__(self, count: int, target: Target, board: Board, moved: Callable[[int, int], None]) -> None:
        """`moved` is told bytes and rows of each statement, from any thread."""
        self._target, self._board, self._moved = target, board, moved
        self._threads = [
            threading.Thread(target=self._run, daemon=True, name=f"load-{n}") for n in range(count)
        ]
        self._lock = threading.Lock()
        self.rows: Counter[Thing] = Counter()
        """By table, how many the server has said it took."""

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all have ended. Raises what one of them has failed of."""
        for thread in self._threads:
            thread.join()
        if self._board.error is not None:
            raise self._board.error

    def _run(self) -> None:
        try:
            # Only now: of an archive that is mostly filtered out the first rows may come late, and servers
            # and networks close connections that are idle.
            if taken := self._board.take(None):
                with open_session(self._target.login) as session:
                    self._work(session, taken)
        except Stopped:
            pass
        except StepFailed as error:
            self._board.stop(lost(error) if error.reason == reasons.DATABASE_UNREACHABLE else error)
        except BaseException as error:
            self._board.stop(error)

    def _work(self, session: Connection[Any], first: tuple[Source, bytes]) -> None:
        mine: Source | None = None
        taken: tuple[Source, bytes] | None = first
        while taken:
            source, statement = taken
            try:
                if source is not mine:
                    self._turn_to(session, source, mine)
                    mine = source
                parts = list(in_parts(statement)) if self._target.is_mariadb else [statement]
                rows = _carry_out(session, parts)
            except pymysql.Error as error:
                raise explained(error, source.thing, self._target.login.where) from error
            with self._lock:
                self.rows[Thing("TABLE", source.database, source.table)] += rows
                self._moved(len(statement), rows)
            self._board.done(len(statement))
            taken = self._board.take(mine)

    def _turn_to(self, session: Connection[Any], source: Source, before: Source | None) -> None:
        if before is None:
            session.query(f"SET SESSION wait_timeout = {_WAIT_SECONDS}")
        if before is None or (before.utf8, before.zone) != (source.utf8, source.zone):
            session.query(self._target.settings(utf8=source.utf8, zone=source.zone, strict=True))
        if before is None or before.database != source.database:
            session.select_db(source.database)


def _carry_out(session: Connection[Any], statements: list[bytes]) -> int:
    """The rows that these brought, in one transaction; it is repeated where it conflicts with another one."""
    for attempt in range(_TRIES):
        try:
            if len(statements) == 1:
                return _rows(session, statements[0])
            session.begin()
            rows = sum(_rows(session, statement) for statement in statements)
            session.commit()
            return rows
        except pymysql.Error as error:
            if error_code(error) not in tidb.CONFLICTS or attempt == _TRIES - 1:
                raise
            log.info("once more: %s", error)
            session.rollback()
    raise AssertionError("the last try returns or raises")


def _rows(session: Connection[Any], statement: bytes) -> int:
    session.query(statement)
    return int(session.affected_rows())  # type: ignore[no-untyped-call]
