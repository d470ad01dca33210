"""A table filter told directly, name by name and character by character, and random ones with names to try.

Shares nothing with the product: globs are matched by recursion over characters, `/…/` by Python's own re.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

SYSTEM = (
    *("mysql", "sys", "information_schema", "performance_schema"),
    *("INFORMATION_SCHEMA", "PERFORMANCE_SCHEMA", "METRICS_SCHEMA", "INSPECTION_SCHEMA"),
)
# Letters in both cases, of one, two and three bytes, and what is special to filters, SQL or expressions.
_LETTERS = "abAB_1éÉ漢"
_SPECIAL = "*?[]!^-\\\"`/@# $(){}+|,:%'"


@frozen
class Half:
    """A pattern: what stands in the rule, and what it means."""

    text: str
    tokens: tuple[Any, ...] = ()
    """A character, ANY, STAR or (negated, characters)."""
    regex: str | None = None
    plain: bool = False

    def matches(self, name: str) -> bool:
        """Whether it means this name."""
        if self.regex is not None:
            return re.search(self.regex, name, re.IGNORECASE) is not None
        return _glob(self.tokens, name)

    @property
    def name(self) -> str:
        """The name where it is one."""
        return "".join(str(token) for token in self.tokens) if self.plain else ""


ANY, STAR = object(), object()


def _glob(tokens: tuple[Any, ...], name: str) -> bool:
    if not tokens:
        return not name
    head, rest = tokens[0], tokens[1:]
    if head is STAR:
        return any(_glob(rest, name[cut:]) for cut in range(len(name) + 1))
    if not name or not _glob(rest, name[1:]):
        return False
    if head is ANY:
        return True
    if isinstance(head, tuple):
        negated, members = head
        return bool(negated != any(_same(member, name[0]) for member in members))
    return _same(str(head), name[0])


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


@frozen
class Line:
    """A rule."""

    takes: bool
    database: Half
    table: Half

    @property
    def text(self) -> str:
        """As users write it."""
        return f"{'' if self.takes else '!'}{self.database.text}.{self.table.text}"

    def speaks_of(self, database: str) -> bool:
        """Whether its database is meant."""
        named = self.database.name.upper() in {name.upper() for name in SYSTEM}
        if self.takes and database in SYSTEM and not named:
            return False
        return self.database.matches(database)


def takes(lines: tuple[Line, ...], database: str, table: str) -> bool:
    """Whether the table is in the dump."""
    verdict = False
    for line in lines:
        if line.speaks_of(database) and line.table.matches(table):
            verdict = line.takes
    return verdict


def takes_database(lines: tuple[Line, ...], database: str) -> bool:
    """Whether the database itself is."""
    verdict = False
    for line in lines:
        if line.speaks_of(database) and (line.takes or set(line.table.tokens) == {STAR}):
            verdict = line.takes
    return verdict


def _escaped(sign: str) -> str:
    return sign if sign.isalnum() or sign in "_$" else f"\\{sign}"


def _globs() -> st.SearchStrategy[Half]:
    sign = st.sampled_from(_LETTERS + _SPECIAL).map(lambda s: (_escaped(s), s))
    members = st.lists(st.sampled_from(_LETTERS + "-^]\\"), min_size=1, max_size=3, unique=True)
    classes = st.tuples(st.booleans(), members).map(
        lambda found: (
            "[" + "!" * found[0] + "".join(_escaped(s) for s in found[1]) + "]",
            (found[0], tuple(found[1])),
        )
    )
    ranges = st.booleans().map(lambda negated: ("[!a-b]" if negated else "[a-b]", (negated, ("a", "b"))))
    wild = st.sampled_from([("*", STAR), ("*", STAR), ("?", ANY)])
    part = st.one_of(sign, wild, sign, classes, ranges)
    # `#`, `!`, `@`, quotes and slashes begin other things: they are escaped, like all that is special.
    return st.lists(part, min_size=1, max_size=6).map(
        lambda parts: Half(
            "".join(text for text, _ in parts),
            tuple(token for _, token in parts),
            plain=all(isinstance(token, str) for _, token in parts),
        )
    )


def _quoted() -> st.SearchStrategy[Half]:
    def half(mark: str, name: str) -> Half:
        return Half(mark + name.replace(mark, mark * 2) + mark, tuple(name), plain=True)

    names = st.text(alphabet=_LETTERS + _SPECIAL, min_size=1, max_size=5)
    return st.builds(half, st.sampled_from('"`'), names)


def _regexes() -> st.SearchStrategy[Half]:
    atom = st.sampled_from(
        ["a", "b", "A", "é", "漢", ".", r"\d", r"\w", r"\D", "[ab]", "[^a]", r"[\d_]", r"\.", r"\/", r"\b"]
    )
    bound = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "*?"])
    piece = st.builds(lambda a, b: a + ("" if a == r"\b" else b), atom, bound)
    body = st.lists(piece, min_size=1, max_size=3).map("".join)
    once = st.lists(atom, min_size=1, max_size=3).map("".join)
    group = st.one_of(
        st.builds(lambda x, y, b: f"({x}|{y}){b}", once, once, bound),
        st.builds(lambda x, y, b: f"({x}|{y}){b}", body, body, st.sampled_from(["", "?"])),
    )
    inside = st.lists(st.one_of(body, group), min_size=1, max_size=2).map("".join)
    branch = st.builds(
        lambda a, x, b: a + x + b, st.sampled_from(["", "^"]), inside, st.sampled_from(["", "$"])
    )
    return st.lists(branch, min_size=1, max_size=2).map(
        # Go's `\d` and `\w` are ASCII, its letters are not; `$` is the very end.
        lambda found: Half(f"/{'|'.join(found)}/", regex=_pythons("|".join(found)))
    )


def _pythons(regex: str) -> str:
    word = "0-9A-Za-z_"
    edge = f"(?:(?<=[{word}])(?![{word}])|(?<![{word}])(?=[{word}]))"
    pythons = regex.replace("$", r"\Z").replace(r"[\d_]", "[0-9_]")
    return (
        pythons.replace(r"\b", edge)
        .replace(r"\d", "[0-9]")
        .replace(r"\w", f"[{word}]")
        .replace(r"\D", "[^0-9]")
    )


def lines() -> st.SearchStrategy[tuple[Line, ...]]:
    """Filters that take something."""
    system = st.sampled_from(SYSTEM).map(lambda name: Half(name, tuple(name), plain=True))
    everything = st.just(Half("*", (STAR,)))
    half = st.one_of(_globs(), _quoted(), _regexes(), everything)
    line = st.builds(Line, st.booleans(), st.one_of(half, half, system), half)
    return (
        st.lists(line, min_size=1, max_size=6)
        .map(tuple)
        .filter(lambda found: any(rule.takes for rule in found))
        # White space around a rule is none of it: a blank at its end can be quoted, not escaped.
        .filter(lambda found: not any(rule.text.endswith(" ") for rule in found))
    )


def names(filters: tuple[Line, ...]) -> st.SearchStrategy[tuple[str, str]]:
    """A database and a table without dots, often ones that a rule means or nearly means."""
    hints = [half for rule in filters for half in (rule.database, rule.table)]
    return st.tuples(
        st.one_of(
            _name(hints), st.sampled_from(["mysql", "SYS", "metrics_schema", "METRICS_SCHEMA"]), _name(hints)
        ),
        _name(hints),
    )


def _name(hints: list[Half]) -> st.SearchStrategy[str]:
    free = st.text(alphabet=_LETTERS + _SPECIAL, min_size=1, max_size=6)
    return st.one_of(free, st.sampled_from(hints).flatmap(_meant)).map(lambda name: name.replace(".", "_"))


def _meant(half: Half) -> st.SearchStrategy[str]:
    if half.regex is not None:
        letters = st.text(alphabet="abA1é漢_/", min_size=1, max_size=5)
        return st.one_of(letters, letters)
    signs: list[st.SearchStrategy[str]] = []
    for token in half.tokens:
        if token is STAR:
            signs.append(st.text(alphabet=_LETTERS, max_size=2))
        elif token is ANY:
            signs.append(st.sampled_from(_LETTERS))
        elif isinstance(token, tuple):
            signs.append(st.sampled_from([*token[1], "a", "漢"]))
        else:
            signs.append(st.sampled_from([str(token), str(token).swapcase()]))
    return st.tuples(*signs).map("".join).filter(bool)
