"""Statements between the thread that reads the archive and the connections that carry them out.

Each connection works on a file of its own as long as there are enough: two that insert into one place of a
table wait for each other in the server. Bounded by bytes, not by number. Must not know a server.
"""

from __future__ import annotations

import threading
from collections import deque

from attrs import frozen

from tidbbackup.worker.load.files import DumpFile


class Stopped(Exception):
    """A connection has failed, or the restore is to end: nothing more is wanted."""


@frozen(eq=False)
class Source:
    """A file of rows whose statements are on the board."""

    file: DumpFile
    database: str
    table: str
    utf8: bool
    """Its text is UTF-8; else its strings are the bytes of their columns."""
    zone: str
    """The time zone of its values, as SET time_zone takes it."""

    @property
    def thing(self) -> str:
        """For people."""
        return f"rows of `{self.database}`.`{self.table}` ({self.file.name})"


class Board:
    """A bounded queue of statements, by file.

    Invariant: the statements that wait or are being carried out have at most `budget` bytes together, or
    it is only one.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._bytes = 0
        self._waiting: dict[Source, deque[bytes]] = {}
        """By file, in the order in which they came; never an empty one."""
        self._owned: set[Source] = set()
        """Files that a connection works on."""
        self._ended = False
        self._full = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, source: Source, statement: bytes) -> None:
        """Add a statement, waiting for room.

        Raises:
            Stopped: nobody takes statements any more.
        """
        with self._changed:
            while self._bytes and self._bytes + len(statement) > self._budget and self._error is None:
                self._full = True
                self._changed.notify_all()
                self._changed.wait()
            self._full = False
            self._check()
            self._bytes += len(statement)
            self._waiting.setdefault(source, deque()).append(statement)
            self._changed.notify_all()

    def take(self, mine: Source | None) -> tuple[Source, bytes] | None:
        """The next statement for a connection that has worked on `mine`; None: there are no more.

        Raises:
            Stopped: a connection has failed.
        """
        with self._changed:
            while True:
                self._check()
                if source := self._choose(mine):
                    return source, self._pop(source, mine)
                if self._ended and not self._waiting:
                    return None
                self._changed.wait()

    def done(self, size: int) -> None:
        """A statement of this size has been carried out."""
        with self._changed:
            self._bytes -= size
            self._changed.notify_all()

    def end(self) -> None:
        """There are no more statements."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def stop(self, error: BaseException) -> None:
        """Make everybody end; the first error counts."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    @property
    def error(self) -> BaseException | None:
        """Why it was stopped."""
        return self._error

    def _check(self) -> None:
        if self._error is not None:
            raise Stopped

    def _choose(self, mine: Source | None) -> Source | None:
        if mine in self._waiting:
            return mine
        for source in self._waiting:
            if source not in self._owned:
                return source
        # One that another connection works on: only if reading on brings no other.
        if self._full or self._ended:
            return max(self._waiting, key=lambda source: len(self._waiting[source]), default=None)
        return None

    def _pop(self, source: Source, mine: Source | None) -> bytes:
        if source is not mine:
            self._owned.discard(mine)
            self._owned.add(source)
        statements = self._waiting[source]
        statement = statements.popleft()
        if not statements:
            del self._waiting[source]
        return statement
