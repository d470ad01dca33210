"""The interface of a dumper: what the worker asks of it, whichever program it is.

Must not know any of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from attrs import frozen

from tidbbackup.model.contract.result import Notice
from tidbbackup.worker.database.catalog import Database, Survey
from tidbbackup.worker.database.session import Login
from tidbbackup.worker.dumpers.position import Position
from tidbbackup.worker.dumpers.process import DumperProcess
from tidbbackup.worker.dumpers.selection import Selection
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.staging.closed_files import FileEvent


@frozen
class Clearance:
    """The dump may begin."""

    databases: tuple[Database, ...]
    """What it takes."""
    notices: tuple[Notice, ...] = ()


@frozen
class Order:
    """One dump as it is ordered."""

    found: Survey
    """The server; on TiDB with the TSO to read at."""
    selection: Selection
    """The rule by which the databases were chosen."""
    databases: tuple[Database, ...]
    """Of their tables the rows are dumped, and nothing else: definitions are the worker's."""
    login: Login
    folder: Path
    """Empty; the dumper writes its files here and no others."""


class Dumper(Protocol):
    """One program with the task's options, before anything is known of the server."""

    async def prepare(self, found: Survey, chosen: Selection, login: Login) -> Dump:
        """Judge what the server holds, and settle the command line.

        Raises:
            StepFailed: what it cannot dump whole; DumpFailed, the program is not there; InvalidSpec, it does
                not know an option of the task.
        """


class Dump(Protocol):
    """One dump."""

    @property
    def name(self) -> str:
        """The program's name, for messages."""

    @property
    def cutting_option(self) -> str:
        """Its option that cuts tables into smaller files."""

    @property
    def order(self) -> Order:
        """What it dumps."""

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the user should know although the dump may begin."""

    @property
    def version(self) -> str:
        """Name and version of the program."""

    @property
    def process(self) -> DumperProcess:
        """How far it is, and the means to suspend and end it."""

    @property
    def position(self) -> Position:
        """What its files have told, once all have been checked."""

    def stem(self, database: str, table: str = "") -> str:
        """How the names of all files of a database, or of a table or view in it, begin."""

    async def run(
        self, gone: Collection[tuple[str, str]], lock_pauses: tuple[float, ...]
    ) -> StepFailed | None:
        """Run it to its end; why it failed. A cancelled run leaves no process.

        Args:
            gone: (database, table) of what was ordered and turned out not to be there.
            lock_pauses: seconds before a lock that it did not get in time is asked for again, once for each.

        Raises:
            StepFailed: it could not be begun.
        """

    def whole(self, event: FileEvent) -> Iterable[str]:
        """Names of the files that, as this event shows, are whole and keep their name."""

    async def check(self, path: Path) -> None:
        """Look at a whole file before it is packed.

        Raises:
            StepFailed: DumpIncomplete.
        """

    def missing(self, databases: tuple[Database, ...], sizes: Mapping[str, int]) -> list[str]:
        """Tables whose rows are not in the files, as people name them; asked when it has ended well.

        Args:
            databases: what the dump should hold.
            sizes: all files that were written, name to bytes.

        Raises:
            StepFailed: UnsupportedName.
        """
