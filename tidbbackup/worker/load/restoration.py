"""One restore: reads the archive once or twice, checks the target, creates, loads, compares.

Nothing is written before the target has been checked. Blocking; the archive's bytes come through a Reader.
Must not know where they come from.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

from attrs import frozen

from tidbbackup.model import reasons
from tidbbackup.model.filter.table_filter import TableFilter
from tidbbackup.worker.archive.manifest import Manifest
from tidbbackup.worker.archive.unpack import BROKEN, Metered, Reader, broken_words, members
from tidbbackup.worker.counters import Counters
from tidbbackup.worker.database.session import open_session
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.load.board import Board, Source, Stopped
from tidbbackup.worker.load.catalogue import Catalogue, Content, unreadable
from tidbbackup.worker.load.clashes import make_room, refuse_databases
from tidbbackup.worker.load.comparison import Mismatch, expected_rows, whole_tables, with_own_rows
from tidbbackup.worker.load.connections import Connections
from tidbbackup.worker.load.definitions import Definitions
from tidbbackup.worker.load.failures import left_out, may_be_damage
from tidbbackup.worker.load.files import DumpFile, Kind, definitions_come_first, dump_file
from tidbbackup.worker.load.statements import (
    TooLong,
    leaves_database_open,
    renamed,
    sets_next_value,
    sets_utc,
    split,
    verb,
)
from tidbbackup.worker.load.target import (
    UTC,
    Target,
    accounts,
    count_rows,
    drop,
    drop_empty,
    new_ones,
    things_in,
)
from tidbbackup.worker.load.thing import Thing

_BUDGET = 64 << 20
"""Bytes of statements in memory."""
_COUNT_SECONDS = 6 * 3600
"""For the rows of one table."""

T = TypeVar("T")


@frozen
class Wanted:
    """What is to be restored, and how."""

    manifest: Manifest | None
    """None: the archive has none, as those of TiDB Operator."""
    filter: TableFilter | None = None
    overwrite: bool = False
    threads: int = 4
    suffix: str = ""
    """Of the databases: they must not be there."""
    drop: bool = False
    """What this restore has created is dropped at its end."""


class Restoration:
    """The restore of one archive into one server."""

    def __init__(self, target: Target, wanted: Wanted, counters: Counters) -> None:
        self._target, self._wanted, self._counters = target, wanted, counters
        self._catalogue = Catalogue()
        self._content: Content | None = None
        self._board = Board(_BUDGET)
        self._connections = Connections(wanted.threads, target, self._board, self._moved)
        self._read_before = 0
        self._stopped = threading.Event()
        self._creating = threading.Lock()
        self._created: list[Thing] = []
        self._new_databases: list[str] = []
        self.definers: set[tuple[str, str]] = set()
        """Accounts that views and programs of the archive run as and that the server does not have."""
        self.definers_known = True
        manifest = wanted.manifest
        self._in_one_pass = manifest is not None and definitions_come_first(
            tuple(file.name for file in manifest.files)
        )
        self._dumpling = manifest is not None and "dumpling" in manifest.dumper.lower()

    @property
    def passes(self) -> int:
        """How often the archive has to be read: definitions come before rows."""
        return 1 if self._in_one_pass else 2

    @property
    def tables(self) -> int:
        """How many are restored."""
        return len(self._content.tables) if self._content else 0

    @property
    def databases(self) -> tuple[str, ...]:
        """That are restored."""
        return tuple(name for name, _ in self._content.databases) if self._content else ()

    @property
    def rows(self) -> int:
        """That the server has taken."""
        tables = self._content.tables if self._content else ()
        return sum(self._connections.rows[item.thing] for item in tables)

    def whole(self) -> str:
        """Which tables have all their rows, for people; "" where that is not known, or nothing is loaded."""
        manifest = self._wanted.manifest
        if self._content is None or manifest is None or not manifest.tables:
            return ""
        return whole_tables(self._expected(self._content), self._connections.rows)

    @property
    def left_out(self) -> int:
        """How many files of views and programs are not loaded, because of the suffix."""
        return self._content.left_out if self._content else 0

    def stop(self) -> None:
        """Make all threads end soon, wherever they are."""
        self._stopped.set()
        self._board.stop(Stopped())

    def collect(self, source: Reader) -> None:
        """The first pass: definitions alone. All of the archive is checked.

        Raises:
            StepFailed: ArchiveBroken, ArchiveUnreadable.
        """
        metered = Metered(source, self._read)
        try:
            for file, member in self._files(metered):
                if file.kind not in (Kind.ROWS, Kind.NOTHING):
                    self._catalogue.add(file, member)
        except StepFailed:
            # Whatever cannot be read: first of all it is damaged, if it is.
            self._check_digest(metered)
            raise
        self._check_digest(metered)
        self._read_before = metered.bytes

    def load(self, source: Reader) -> None:
        """The last pass: creates what is defined, and loads all rows.

        Raises:
            StepFailed: the target is not as it has to be, a statement has failed, the archive is broken.
        """
        metered = Metered(source, self._read)
        try:
            self._load_files(metered)
        except StepFailed as error:
            # A first pass has checked the same version of the object.
            if self._in_one_pass and may_be_damage(error):
                self._check_digest(metered)
            raise
        self._check_digest(metered)

    def _load_files(self, metered: Metered) -> None:
        if not self._in_one_pass:
            self._begin()
        try:
            for file, member in self._files(metered):
                if file.kind is Kind.ROWS:
                    self._begin()
                    self._load(file, member)
                elif file.kind is not Kind.NOTHING and self._in_one_pass:
                    self._catalogue.add(file, member)
            self._begin()
            self._board.end()
            self._connections.join()
        except Stopped:
            self._connections.join()
            raise
        except BaseException as error:
            self._board.stop(error)
            raise

    def finish(self) -> list[Mismatch]:
        """The comparison of the rows, then views and programs: an event may change rows once it is there.

        Raises:
            StepFailed: a statement has failed.
        """
        content = self._content
        assert content is not None
        with open_session(self._target.login, _COUNT_SECONDS) as session:
            expected = self._expected(content)
            counted = [(thing, count_rows(session, thing)) for thing in with_own_rows(content)]
            definitions = Definitions(session, self._target)
            definitions.made = self._created
            definitions.after_rows(content, cached=not self._wanted.drop)
            if definitions.definers:
                known = accounts(session)
                self.definers_known = known is not None
                self.definers = definitions.definers - (known or frozenset()) if known is not None else set()
        return [Mismatch(t, expected[t], count) for t, count in counted if count != expected[t]]

    def drop(self) -> list[str]:
        """Drop what this restore has created and nothing else; the databases that stay all the same, as SQL.

        Raises:
            StepFailed: the server could not be asked.
        """
        self.stop()
        with self._creating:
            if self._content is not None:
                # They end without a word: why is known already.
                with contextlib.suppress(Exception):
                    self._connections.join()
            if not self._created and not self._new_databases:
                return []
            with open_session(self._target.login, _COUNT_SECONDS) as session:
                session.query(self._target.settings(utf8=True, zone=UTC, strict=True))
                drop(session, reversed(self._created))
                return drop_empty(session, self._target, self._new_databases)

    def _expected(self, content: Content) -> dict[Thing, int]:
        return expected_rows(content, self._wanted.manifest, self._wanted.suffix, self._connections.rows)

    def _begin(self) -> None:
        """Check the target, create databases and tables, start the connections; once."""
        if self._content is not None:
            return
        content = self._catalogue.content(self._wanted.filter)
        if self._wanted.suffix:
            content = content.under(self._wanted.suffix)
        names = [name for name, _ in content.databases]
        with self._creating, open_session(self._target.login) as session:
            if self._stopped.is_set():
                raise Stopped
            new = new_ones(session, self._target, names)
            if self._wanted.suffix:
                old = [name for name in names if name not in new]
                refuse_databases(self._target, self._wanted.suffix, old)
            there = list(things_in(session, names))
            make_room(self._target, content, there, overwrite=self._wanted.overwrite)
            # Dying from here on: what is created stays. The next restore is TargetNotEmpty and names it.
            self._new_databases = new
            definitions = Definitions(session, self._target)
            definitions.made = self._created
            definitions.before_rows(content)
            self._content = content
            self._connections.start()

    def _files(self, metered: Metered) -> Iterator[tuple[DumpFile, Iterator[bytes]]]:
        for member in _readable(members(metered)):
            name = member.info.name.rpartition("/")[2]
            if not member.info.isreg() or not name:
                if not member.info.isdir():
                    raise unreadable(f"{member.info.name} is no file")
                continue
            file = dump_file(name)
            if file.kind is Kind.UNKNOWN:
                raise unreadable(f"{name} is no file of SQL statements")
            yield file, _readable(member.pieces())

    def _load(self, file: DumpFile, pieces: Iterator[bytes]) -> None:
        assert self._content is not None
        table = self._content.table_of(file)
        if table is None:
            return
        utf8 = self._dumpling or (self._wanted.manifest is None and file.by_dumpling)
        # dumpling does not say in which zone its values are: those of our dumps are in UTC.
        zone = UTC if self._dumpling else self._target.zone
        source: Source | None = None
        for statement in self._statements(file, table, pieces):
            said = verb(statement)
            if self._wanted.suffix and said in ("INSERT", "REPLACE") and not leaves_database_open(statement):
                raise unreadable(f"{file.name} names its database in its rows, which databaseSuffix forbids")
            if self._wanted.suffix and sets_next_value(statement):
                statement = renamed(statement, self._wanted.suffix.encode())
            if said in ("INSERT", "REPLACE") or sets_next_value(statement):
                source = source or Source(file, table.database, table.name, utf8, zone)
                self._board.put(source, statement)
            elif said == "SET":
                zone = UTC if sets_utc(statement) else zone
            else:
                raise left_out(statement, file.name)

    def _statements(self, file: DumpFile, table: Thing, pieces: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from split(pieces, self._target.longest)
        except TooLong as error:
            raise StepFailed(
                reasons.LOAD_FAILED,
                f"rows of {table.sql} ({file.name}): a statement is {error} long, and max_allowed_packet of "
                f"{self._target.login.where} is {self._target.longest}: raise it",
            ) from error

    def _check_digest(self, metered: Metered) -> None:
        manifest = self._wanted.manifest
        if manifest is None:
            return
        metered.drain()
        if (metered.bytes, metered.sha256.hexdigest()) != (manifest.size, manifest.sha256):
            raise broken(
                f"its {metered.bytes} bytes have sha256 {metered.sha256.hexdigest()}, its manifest says "
                f"{manifest.size} bytes and {manifest.sha256}"
            )

    def _read(self, done: int) -> None:
        if self._stopped.is_set():
            raise Stopped
        self._counters.read_bytes = self._read_before + done

    def _moved(self, size: int, rows: int) -> None:
        self._counters.loaded_bytes += size
        self._counters.loaded_rows += rows


def broken(what: str) -> StepFailed:
    """The failure of an archive that is not what was stored."""
    return StepFailed(
        reasons.ARCHIVE_BROKEN,
        f"the archive is damaged: {what}; what has been loaded of it cannot be trusted: restore another one "
        "with overwrite: Tables",
    )


def _readable(found: Iterator[T]) -> Iterator[T]:
    """The same; what cannot be read is ArchiveBroken."""
    while True:
        try:
            one = next(found)
        except StopIteration:
            return
        except BROKEN as error:
            raise broken(f"it cannot be unpacked: {broken_words(error)}") from error
        yield one
