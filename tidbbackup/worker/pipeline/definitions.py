"""The definitions of a dump: read and handed on before any row, read again where no snapshot holds them.

Must not know what becomes of the files, nor how they look.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Sequence

from attrs import define, field

from tidbbackup.model import reasons
from tidbbackup.model.enumeration import some
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.catalog import Database, without
from tidbbackup.worker.database.survey import current_databases
from tidbbackup.worker.definitions.reading import File, Item, items, read, read_values
from tidbbackup.worker.dumpers.dumper import Dump
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.run import Run
from tidbbackup.worker.staging import volume
from tidbbackup.worker.staging.belt import Belt

log = logging.getLogger(__name__)

_AT_ONCE = 500
"""How many definitions are read in one session: their files are kept in memory until they are written."""
# Counts on with each row.
_COUNTER = re.compile(rb" AUTO_INCREMENT=\d+")


@define
class Definitions:
    """The definitions of one dump."""

    run: Run
    dump: Dump
    belt: Belt
    databases: tuple[Database, ...] = field(init=False)
    """What is to be dumped, without what turned out not to be there."""
    gone: set[tuple[str, str]] = field(factory=set, init=False)
    """(database, table) of what the catalog shows and nobody can open: on TiDB it was just being created or
    dropped at the snapshot."""
    _seen: dict[str, bytes] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.databases = self.dump.order.databases

    async def write(self) -> None:
        """Read all of them and hand their files on.

        Raises:
            StepFailed: GrantsMissing, DumpIncomplete, DatabaseLost, SnapshotLost, StagingFull.
        """
        wanted = items(self.databases)
        for start in range(0, len(wanted), _AT_ONCE):
            for item, files in await self._read(wanted[start : start + _AT_ONCE]):
                if not files and item.name:
                    self.gone.add((item.database.name, item.name))
                if not self.dump.order.found.is_tidb:
                    self._seen |= {file.name: _digest(file) for file in files}
                await self._put(files)
        self.databases = without(self.databases, self.gone)
        log.info("wrote %d files of definitions", len(self.belt.sizes))

    async def read_again(self) -> None:
        """See that what no snapshot holds has stayed as it was, and bring along what has come with the rows.

        Raises:
            StepFailed: DumpIncomplete, a definition is another one by now.
        """
        order = self.dump.order
        if order.found.is_tidb:
            return
        present = order.selection.apply(await aside(current_databases, order.login, ""))
        wanted = items(present)
        changed: list[str] = []
        for start in range(0, len(wanted), _AT_ONCE):
            for item, files in await self._read(wanted[start : start + _AT_ONCE]):
                known = [file for file in files if file.name in self._seen]
                changed += [file.name for file in known if self._seen[file.name] != _digest(file)]
                if not known and item.kind == "TABLE" and self._has_rows(item):
                    await self._put(files)
        if changed:
            raise StepFailed(
                reasons.DUMP_INCOMPLETE,
                f"{some(changed)}: the definition was changed while the dump was made; make a new Backup",
            )
        sequences = [item for item in wanted if item.kind == "SEQUENCE"]
        for start in range(0, len(sequences), _AT_ONCE):
            batch = sequences[start : start + _AT_ONCE]
            await self._put(await aside(read_values, order.login, order.found, batch, self.dump.stem))

    async def _read(self, wanted: Sequence[Item]) -> list[tuple[Item, list[File]]]:
        order = self.dump.order
        return await aside(read, order.login, order.found, wanted, self.dump.stem)

    async def _put(self, files: Sequence[File]) -> None:
        for file in files:
            path = self.run.env.staging / volume.DEFINITIONS / file.name
            await asyncio.to_thread(volume.write, path, file.content)
            self.belt.put(path, len(file.content))

    def _has_rows(self, item: Item) -> bool:
        stem = self.dump.stem(item.database.name, item.name)
        return any(name.startswith(f"{stem}.") for name in self.belt.sizes)


def _digest(file: File) -> bytes:
    return hashlib.blake2b(_COUNTER.sub(b"", file.content), digest_size=16).digest()
