"""One half of a table filter's rule, the pattern for a database or a table, as an expression over bytes.

The expression is ASCII, has no capturing group, and means the same to PCRE without UTF-8 and to Python's re,
both ignoring case: mydumper searches with PCRE, the worker predicts its selection with re. Written after the
rules of TiDB's table-filter package. Must not know what a rule does.
"""

from __future__ import annotations

import re
from itertools import pairwise

from attrs import frozen

from tidbbackup.model.filter.regex import translated
from tidbbackup.model.filter.text import (
    ANYTHING,
    Class,
    any_character,
    character,
    class_text,
    read_class,
    weight,
)

_QUOTED = {'"': re.compile(r'"((?:""|[^"])+)"'), "`": re.compile(r"`((?:``|[^`])+)`")}
_REGEX = re.compile(r"/((?:\\.|[^/])+)/")
_PLAIN = re.compile(r"[0-9A-Za-z$_\u0080-\U0010ffff]")


@frozen
class Pattern:
    """One half of a rule, as an expression."""

    text: str
    """Matches exactly the names of this half, if it has to match a whole name."""
    name: str | None = None
    """The one name that it matches; None: it is a wildcard or a regular expression."""
    copies: int = 0
    """Its memory in PCRE beyond its text, see text.weight."""

    @property
    def everything(self) -> bool:
        """Whether it is `*`."""
        return self.text == ANYTHING


def read_pattern(line: str) -> tuple[Pattern, str]:
    """The pattern at the beginning of a line, and what follows it.

    Raises:
        ValueError: it is no pattern; the message can follow the rule.
    """
    if line[:1] == "/":
        found = _REGEX.match(line)
        if not found:
            raise ValueError("the regular expression has no end: write /…/, and \\/ for a slash in it")
        text, heavy = translated(found[1])
        return Pattern(text, None, heavy - weight(text)), line[found.end() :]
    if quoted := _QUOTED.get(line[:1]):
        found = quoted.match(line)
        if not found:
            raise ValueError("the quoted name has no end")
        name = found[1].replace(line[0] * 2, line[0])
        return Pattern("".join(map(character, name)), name), line[found.end() :]
    return _wildcard(line)


def _wildcard(line: str) -> tuple[Pattern, str]:
    """A name with wildcards, up to a dot. Tokens are characters, classes, None for `?`, `...` for `*`."""
    tokens: list[str | Class | None] = []
    stars: list[int] = []
    at = 0
    while at < len(line) and line[at] != ".":
        sign = line[at]
        at += 1
        if sign == "*":
            stars.append(len(tokens))
        elif sign == "?":
            tokens.append(None)
        elif sign == "[":
            negated = line[at : at + 1] == "!"
            found, at = read_class(line, at + negated, negated=negated, words="")
            tokens.append(found)
        elif sign == "\\":
            escaped = line[at : at + 1]
            if not escaped or (escaped.isascii() and escaped.isalnum()):
                raise ValueError("a backslash has to stand before a special character")
            tokens.append(escaped)
            at += 1
        elif _PLAIN.match(sign):
            tokens.append(sign)
        else:
            raise ValueError(f"`{sign}` has to be escaped with a backslash, or the name quoted")
    if at == 0:
        raise ValueError("a pattern is missing: write database.table")
    if not stars and all(isinstance(token, str) for token in tokens):
        name = "".join(token for token in tokens if isinstance(token, str))
        return Pattern("".join(map(character, name)), name), line[at:]
    return Pattern(_glob(tokens, stars)), line[at:]


def _glob(tokens: list[str | Class | None], stars: list[int]) -> str:
    """Between two stars the leftmost match is enough: atomic, so that no name takes long."""
    texts = [_token(token) for token in tokens]
    if not stars:
        return "".join(texts)
    edges = sorted(set(stars))
    out = "".join(texts[: edges[0]])
    for start, end in pairwise(edges):
        out += f"(?>(?s:.*?){''.join(texts[start:end])})"
    return out + ANYTHING + "".join(texts[edges[-1] :])


def _token(token: str | Class | None) -> str:
    if token is None:
        return any_character()
    return character(token) if isinstance(token, str) else class_text(token)
