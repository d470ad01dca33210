"""Which files of mydumper's are whole: where tables are cut by size, the first piece loses its number if it
turns out to be the only one.

mydumper creates each file once and closes it once: a closed file is whole, though it may get another name.
"""

from __future__ import annotations

import re

from tidbbackup.worker.staging.closed_files import FileEvent

_FIRST = re.compile(r".*\.00001\.sql\Z", re.DOTALL)
_SECOND = re.compile(r"(?P<stem>.*)\.00002\.sql\Z", re.DOTALL)
_PLAIN = re.compile(r"(?P<stem>.*)\.sql\Z", re.DOTALL)


class Pieces:
    """Invariant: holds the closed first pieces whose last name is not known yet."""

    def __init__(self, *, cut_by_size: bool) -> None:
        self._cut_by_size = cut_by_size
        self._first: set[str] = set()

    def whole(self, event: FileEvent) -> tuple[str, ...]:
        """The files that are whole and keep their name, since this event."""
        if event.closed and not event.renamed:
            if not (self._cut_by_size and _FIRST.match(event.name)):
                return (event.name,)
            self._first.add(event.name)
            return ()
        found = (_PLAIN if event.renamed else _SECOND).match(event.name)
        first = f"{found['stem']}.00001.sql" if found else ""
        known = first in self._first
        self._first.discard(first)
        if event.renamed:
            return (event.name,)
        return (first,) if known else ()
