"""What inotify reports of the folder that the dumper writes into: files that appear, files that are closed.

Must not know which of them are whole, nor what is done with them.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from asyncinotify import Inotify, Mask
from attrs import frozen

log = logging.getLogger(__name__)


@frozen
class FileEvent:
    """One file has been opened to be written, closed after that, or renamed to this name."""

    name: str
    closed: bool
    renamed: bool = False


@contextlib.contextmanager
def watch(folder: Path) -> Iterator[AsyncGenerator[FileEvent, None] | None]:
    """Watch a folder for as long as the block lasts; None where the kernel refuses (its limits are shared by
    all of a node's users).

    The events end early when the kernel has dropped some: then only the folder itself shows what is there.
    """
    try:
        inotify = Inotify()
    except OSError as error:
        log.warning("no inotify (%s): files are packed when the dumper has ended", error.strerror)
        yield None
        return
    with inotify:
        try:
            inotify.add_watch(folder, Mask.CREATE | Mask.CLOSE_WRITE | Mask.MOVED_TO | Mask.ONLYDIR)
        except OSError as error:
            log.warning("inotify refuses (%s): files are packed when the dumper has ended", error.strerror)
            yield None
            return
        yield _events(inotify)


async def _events(inotify: Inotify) -> AsyncGenerator[FileEvent, None]:
    async for event in inotify:
        if event.mask & Mask.Q_OVERFLOW:
            log.warning("inotify has dropped events: the other files are packed when the dumper has ended")
            return
        if event.name is not None and not event.mask & Mask.ISDIR:
            renamed = bool(event.mask & Mask.MOVED_TO)
            yield FileEvent(str(event.name), renamed or bool(event.mask & Mask.CLOSE_WRITE), renamed)
