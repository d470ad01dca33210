"""What a file of a dump is, told from its name: files of mydumper 0.9 to 1.x and of dumpling. Pure.

Must not know what the files hold.
"""

from __future__ import annotations

import re
from enum import Enum

from attrs import frozen


class Kind(Enum):
    """What a file holds; the value is how people name it."""

    POLICY = "placement policy"
    DATABASE = "database"
    SEQUENCE = "sequence"
    TABLE = "table"
    ROWS = "rows"
    VIEW = "view"
    TRIGGERS = "triggers"
    PROGRAMS = "routines and events"
    NOTHING = "nothing to load"
    UNKNOWN = "unknown"


_ENDS = (
    ("-placement-policy-create.sql", Kind.POLICY),
    ("-schema-create.sql", Kind.DATABASE),
    ("-schema-sequence.sql", Kind.SEQUENCE),
    ("-schema-view.sql", Kind.VIEW),
    ("-schema-triggers.sql", Kind.TRIGGERS),
    ("-schema-post.sql", Kind.PROGRAMS),
    ("-schema.sql", Kind.TABLE),
    (".sql", Kind.ROWS),
)
_IGNORED = ("metadata", "metadata.partial")
_IGNORED_ENDS = ("-metadata", "-checksum")

# Of mydumper 0.x `.00001`, of 1.x `.00000` or `.00001.00000`, of dumpling 9 digits, or 13.
_NUMBERS = re.compile(r"(?:\.\d{5,}){1,2}\Z")
_DUMPLING = re.compile(r"\.(?:\d{9}|\d{13})\Z")


@frozen
class DumpFile:
    """One file, by its name."""

    name: str
    kind: Kind
    stem: str
    """Of a definition: database, or database and table, as the dumper writes them. Of rows: with number."""

    def tables(self) -> tuple[str, ...]:
        """Of rows: the stems that their table's definition may have, the likeliest first."""
        without = _NUMBERS.sub("", self.stem)
        once = re.sub(r"\.\d{5,}\Z", "", self.stem)
        return tuple(dict.fromkeys((self.stem, once, without)))

    @property
    def by_dumpling(self) -> bool:
        """Of rows: whether dumpling numbers its files so."""
        return _DUMPLING.search(self.stem) is not None


def dump_file(name: str) -> DumpFile:
    """What a file of this name is."""
    if name in _IGNORED or name.endswith(_IGNORED_ENDS):
        return DumpFile(name, Kind.NOTHING, name)
    for end, kind in _ENDS:
        if name.endswith(end):
            return DumpFile(name, kind, name.removesuffix(end))
    return DumpFile(name, Kind.UNKNOWN, name)


def definitions_come_first(names: tuple[str, ...]) -> bool:
    """Whether no definition stands behind rows in an archive of these files, in their order."""
    kinds = [dump_file(name).kind for name in names]
    if Kind.ROWS not in kinds:
        return True
    return not {*kinds[kinds.index(Kind.ROWS) :]} - {Kind.ROWS, Kind.NOTHING}
