"""What an archive defines: databases, tables, views, programs, read from its files in any order. Pure.

File names only lead to the names: the statements have them. Definitions are kept compressed, so that a
hundred thousand tables fit into memory. Must not know a server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from attrs import define, evolve, field, frozen
from isal import isal_zlib

from tidbbackup.model import reasons
from tidbbackup.model.filter.table_filter import TableFilter
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.load.files import DumpFile, Kind
from tidbbackup.worker.load.statements import created, renamed, split, verb
from tidbbackup.worker.load.thing import Thing

LARGEST = 16 << 20
"""Of a file of definitions, bytes: routines and events of a database share one."""
_LEVEL = 1
_NAMED = 5
_RELATIONS = {Kind.TABLE: ("TABLE", "SEQUENCE"), Kind.VIEW: ("VIEW",), Kind.SEQUENCE: ("SEQUENCE",)}


@frozen(eq=False)
class Definition:
    """One file of definitions."""

    file: DumpFile
    _packed: bytes = field(repr=False)
    _suffix: bytes = b""

    def statements(self) -> Iterator[bytes]:
        """Those of the file, in order."""
        found = split([isal_zlib.decompress(self._packed)], LARGEST)
        return (renamed(each, self._suffix) for each in found) if self._suffix else found

    def under(self, suffix: str) -> Definition:
        """The same for databases whose names end with `suffix`."""
        return evolve(self, suffix=suffix.encode())


@frozen
class Item:
    """Something to be created."""

    thing: Thing
    definition: Definition


@frozen
class Content:
    """What of an archive is to be restored."""

    policies: tuple[Definition, ...]
    databases: tuple[tuple[str, Definition | None], ...]
    sequences: tuple[Item, ...]
    tables: tuple[Item, ...]
    views: tuple[Item, ...]
    triggers: tuple[tuple[str, Definition], ...]
    """With their database."""
    programs: tuple[tuple[str, Definition, tuple[Thing, ...]], ...]
    """Routines and events, with their database."""
    _stems: dict[str, Thing | None]
    """Table by the stem of its definition; None: it is not to be restored."""
    left_out: int = 0
    """How many files of views, triggers, routines and events are left out."""

    def under(self, suffix: str) -> Content:
        """The tables and sequences of it, in databases whose names end with `suffix`.

        Views and programs are left out: their texts name databases in ways that only the server can read.
        """

        def thing(found: Thing) -> Thing:
            return evolve(found, database=found.database + suffix)

        def items(found: tuple[Item, ...]) -> tuple[Item, ...]:
            return tuple(Item(thing(each.thing), each.definition.under(suffix)) for each in found)

        return Content(
            self.policies,
            tuple((name + suffix, made and made.under(suffix)) for name, made in self.databases),
            items(self.sequences),
            items(self.tables),
            views=(),
            triggers=(),
            programs=(),
            stems={stem: each and thing(each) for stem, each in self._stems.items()},
            left_out=len(self.views) + len(self.triggers) + len(self.programs),
        )

    def things(self) -> Iterator[Thing]:
        """All objects that will be created in databases, but triggers."""
        for items in (self.sequences, self.tables, self.views):
            yield from (item.thing for item in items)
        for _, _, things in self.programs:
            yield from things

    def table_of(self, rows: DumpFile) -> Thing | None:
        """The table that a file of rows belongs to; None: it is not to be restored.

        Raises:
            StepFailed: ArchiveUnreadable, the archive does not define it.
        """
        for stem in rows.tables():
            if stem in self._stems:
                return self._stems[stem]
        raise unreadable(f"{rows.name} has rows of a table that the archive does not define")


@define
class Catalogue:
    """The definitions of an archive as they are found."""

    definitions: list[Definition] = field(factory=list)

    def add(self, file: DumpFile, pieces: Iterable[bytes]) -> None:
        """Take in a file.

        Raises:
            StepFailed: ArchiveUnreadable.
        """
        text = bytearray()
        for piece in pieces:
            text += piece
            if len(text) > LARGEST:
                raise unreadable(f"{file.name} is larger than any {file.kind.value}")
        self.definitions.append(Definition(file, isal_zlib.compress(bytes(text), _LEVEL)))

    def content(self, wanted: TableFilter | None) -> Content:
        """What of it the filter takes; None takes all.

        Raises:
            StepFailed: NothingToRestore, or ArchiveUnreadable.
        """
        return _Resolved(self.definitions, wanted).content()


class _Resolved:
    """The definitions with the names that their statements tell."""

    def __init__(self, definitions: list[Definition], wanted: TableFilter | None) -> None:
        self._wanted = wanted
        self._by_kind: dict[Kind, list[Definition]] = {kind: [] for kind in Kind}
        for definition in definitions:
            self._by_kind[definition.file.kind].append(definition)
        self._databases = {
            d.file.stem: (self._created(d, ("DATABASE", "SCHEMA")).name, d)
            for d in self._by_kind[Kind.DATABASE]
        }
        views = {definition.file.stem for definition in self._by_kind[Kind.VIEW]}
        # A view has a table in its place too, for loaders that create views in any order.
        self._by_kind[Kind.TABLE] = [d for d in self._by_kind[Kind.TABLE] if d.file.stem not in views]
        self._items = {kind: [self._item(d) for d in self._by_kind[kind]] for kind in _RELATIONS}
        things = [item.thing for found in self._items.values() for item in found]
        self._in_part = {thing.database for thing in things if not self._takes(thing)}

    def content(self) -> Content:
        items = {kind: [i for i in found if self._takes(i.thing)] for kind, found in self._items.items()}
        chosen = {item.thing.database for found in items.values() for item in found}
        if self._wanted is None:
            chosen |= {name for name, _ in self._databases.values()}
        self._check_taken(bool(chosen))
        tables = [item for item in items[Kind.TABLE] if item.thing.kind == "TABLE"]
        sequences = [item for item in items[Kind.TABLE] if item.thing.kind == "SEQUENCE"]
        stems = {
            item.definition.file.stem: item.thing if self._takes(item.thing) else None
            for item in self._items[Kind.TABLE]
        }
        known = dict(self._databases.values())
        return Content(
            tuple(self._by_kind[Kind.POLICY]),
            tuple((name, known.get(name)) for name in sorted(chosen)),
            tuple(items[Kind.SEQUENCE] + sequences),
            tuple(tables),
            tuple(items[Kind.VIEW]),
            tuple(self._triggers(stems)),
            tuple(self._programs(chosen)),
            stems,
        )

    def _takes(self, thing: Thing) -> bool:
        return self._wanted is None or self._wanted.takes(thing.database, thing.name)

    def _check_taken(self, anything: bool) -> None:
        """See that each table that the filter names is there. Raises StepFailed."""
        there = {(i.thing.database, i.thing.name) for found in self._items.values() for i in found}
        rules = self._wanted.rules if self._wanted else ()
        missing = [
            f"`{rule.database.name}`.`{rule.table.name}`"
            for rule in rules
            if rule.takes and rule.database.name and rule.table.name
            if not any(rule.matches_database(d, ()) and rule.matches_table(t) for d, t in there)
        ]
        if missing or not anything:
            words = ", ".join(missing[:_NAMED])
            words = words or ("anything that the filter takes" if self._wanted else "any definition")
            held = ", ".join(sorted({f"`{database}`" for database, _ in there})[:_NAMED])
            raise StepFailed(
                reasons.NOTHING_TO_RESTORE,
                f"the archive does not hold {words}, it holds tables of {held or 'no database'}"
                + (": correct the filter" if self._wanted else ": load it by hand"),
            )

    def _item(self, definition: Definition) -> Item:
        kinds = _RELATIONS[definition.file.kind]
        found = self._created(definition, kinds)
        database = found.database or self._database_of(definition.file.stem, found.name)
        return Item(Thing(found.kind, database, found.name), definition)

    def _created(self, definition: Definition, kinds: tuple[str, ...]) -> Thing:
        for statement in definition.statements():
            found = created(statement) if verb(statement) == "CREATE" else None
            if found and found.kind in kinds:
                sequence = found.kind == "TABLE" and statement.rstrip().endswith(b"SEQUENCE=1")
                return Thing("SEQUENCE" if sequence else found.kind, found.database, found.name)
        raise unreadable(f"{definition.file.name} creates no {' or '.join(kinds).lower()}")

    def _database_of(self, stem: str, name: str = "") -> str:
        """The database in a stem `database.object`; either may have dots."""
        dots = [at for at, sign in enumerate(stem) if sign == "."]
        known = [(stem[:at], stem[at + 1 :]) for at in dots if stem[:at] in self._databases]
        named = [pair for pair in known if name in (pair[1], unquote(pair[1]))]
        for found, _ in (*named, *reversed(known)):
            return self._databases[found][0]
        first = stem.split(".")[0]
        return self._databases[first][0] if first in self._databases else unquote(first)

    def _triggers(self, stems: dict[str, Thing | None]) -> Iterator[tuple[str, Definition]]:
        for definition in self._by_kind[Kind.TRIGGERS]:
            stem = definition.file.stem
            if stem in self._databases:
                # Of mydumper 1.x: all of a database.
                database = self._databases[stem][0]
                if self._whole(database):
                    yield database, definition
            elif table := stems.get(stem):
                yield table.database, definition

    def _programs(self, chosen: set[str]) -> Iterator[tuple[str, Definition, tuple[Thing, ...]]]:
        for definition in self._by_kind[Kind.PROGRAMS]:
            database = self._database_of(definition.file.stem)
            if database in chosen and self._whole(database):
                found = [created(s) for s in definition.statements() if verb(s) in ("CREATE", "SET")]
                yield database, definition, tuple(Thing(f.kind, database, f.name) for f in found if f)

    def _whole(self, database: str) -> bool:
        """Whether all tables of it are restored: only then are routines and events."""
        return database not in self._in_part


def unreadable(what: str) -> StepFailed:
    """The failure of an archive that a restore cannot load."""
    return StepFailed(reasons.ARCHIVE_UNREADABLE, f"{what}: load this archive by hand")
