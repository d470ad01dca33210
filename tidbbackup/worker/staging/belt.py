"""Files on their way from the dumper into the archive: which are being written, which wait, in which order.

Keeps name and size of every file, since the file itself is gone once it is packed. Must not know the archive.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from pathlib import Path

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.staging import volume
from tidbbackup.worker.staging.closed_files import FileEvent

_EMPTY_BYTES = 64
"""A data file with a row is larger. mydumper deletes what it wrote of an empty table."""

Whole = Callable[[FileEvent], Iterable[str]]
"""Names of the files that are whole since this event, and keep that name."""


class Belt:
    """What has been written into one folder, handed out file by file.

    Invariant: `sizes` holds every file that has been or will be handed out, once each.
    """

    def __init__(self, folder: Path, whole: Whole) -> None:
        """`whole`: the dumper's rule; a file counts as being written until this names it."""
        self._folder = folder
        self._whole = whole
        self._waiting: deque[Path] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self.sizes: dict[str, int] = {}
        """Name to bytes."""
        self.closed_bytes = 0
        """The sum of them."""
        self.writing: set[str] = set()
        """Files that are not whole yet."""
        self.blind = False
        """Whether inotify no longer reports all files, so that only the folder itself shows them."""
        self.was_full = False
        """Whether the volume has been seen full: a buffered last write may have been lost silently."""

    async def follow(self, events: AsyncGenerator[FileEvent, None]) -> None:
        """Take in what is closed, as it is closed."""
        async for event in events:
            if not event.closed:
                self.writing.add(event.name)
            for name in self._whole(event):
                self.writing.discard(name)
                self._take(name)
        self.go_blind()

    def go_blind(self) -> None:
        """From now on inotify does not report the files that are written."""
        self.blind = True
        self.writing.clear()

    def take_rest(self) -> None:
        """Take in, in order of their names, all files that are in the folder; the dumper has ended."""
        self.blind = False
        self.writing.clear()
        for name, size in sorted(volume.sizes(self._folder).items()):
            if name not in self.sizes:
                self._add(self._folder / name, size)

    def put(self, path: Path, size: int) -> None:
        """Take in a whole file that the worker itself has written, in any folder."""
        self._add(path, size)

    def end(self) -> None:
        """No more files: who takes from the belt comes to an end."""
        self._ended = True
        self._news.set()

    def written_bytes(self) -> int:
        """All that the dumper has written so far. Without inotify each file is looked at."""
        if not self.blind:
            return self.closed_bytes + sum(self.writing_sizes().values())
        found = volume.sizes(self._folder).items()
        return self.closed_bytes + sum(size for name, size in found if name not in self.sizes)

    def writing_sizes(self) -> dict[str, int]:
        """The files that are being written, name to bytes so far."""
        found = {}
        for name in tuple(self.writing):
            try:
                found[name] = os.stat(self._folder / name, follow_symlinks=False).st_size
            except FileNotFoundError:
                # Of an empty table, or renamed: not to be asked for at every look.
                self.writing.discard(name)
        return found

    async def files(self) -> AsyncIterator[Path]:
        """Every file once; waits for more until `end`."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._ended:
                return
            self._news.clear()
            await self._news.wait()

    def _take(self, name: str) -> None:
        """A file that has been closed. Metadata and what may be deleted again wait for the dumper's end."""
        self.was_full = self.was_full or volume.is_full(self._folder)
        try:
            found = os.stat(self._folder / name, follow_symlinks=False)
        except FileNotFoundError:
            if name in self.sizes:
                raise _written_twice(name) from None
            return
        if ".sql" in name and stat.S_ISREG(found.st_mode) and found.st_size > _EMPTY_BYTES:
            self._add(self._folder / name, found.st_size)

    def _add(self, path: Path, size: int) -> None:
        if path.name in self.sizes:
            raise _written_twice(path.name)
        self.sizes[path.name] = size
        self.closed_bytes += size
        self._waiting.append(path)
        self._news.set()


def _written_twice(name: str) -> StepFailed:
    return StepFailed(
        reasons.DUMP_INCOMPLETE,
        f"the dumper wrote {name} once more after it had closed that file",
    )
