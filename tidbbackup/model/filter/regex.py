"""`/…/` in a table filter: a regular expression of Go's kind, searched in one name, translated.

Go matches characters and knows the ends of the name; we match bytes, and the name is a part of a longer text.
So the expression is parsed and translated; what has no exact translation is refused. Must not know rules.
"""

from __future__ import annotations

import re

from attrs import define

from tidbbackup.model.filter.text import (
    ANYTHING,
    any_character,
    character,
    class_text,
    read_class,
    set_class,
    weight,
)

# A name has at most 64 characters.
MAX_REPEATS = 64
_MAX_WEIGHT = 20_000
_MAX_DEPTH = 20

_BOUNDS = re.compile(r"\{(\d{1,6})(?:(,)(\d{0,6}))?\}")
# Also if it is escaped or in brackets, which only refuses more than necessary.
_ENDLESS = re.compile(r"[*+]|\{\d+,\d*\}")
_STARTS = ("^", "\\A")
_ENDS = ("$", "\\z")
_CONTROLS = {"t": "\t", "n": "\n", "f": "\f", "r": "\r", "v": "\v", "a": "\a"}


def translated(source: str) -> tuple[str, int]:
    """The expression that matches a whole name if the given one is found in it, and its weight.

    Raises:
        ValueError: it is no regular expression, or has no translation.
    """
    reader = _Reader(source)
    if reader.ahead("(?i)"):
        reader.at += len("(?i)")
    branches = [reader.branch()]
    while reader.taken("|"):
        branches.append(reader.branch())
    if reader.at < len(source):
        raise ValueError(f"`{source[reader.at]}` in the regular expression has no counterpart")
    text = branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
    return text, weight(text) + reader.copies


@define
class _Reader:
    """Reads the source once and writes the translation."""

    source: str
    at: int = 0
    depth: int = 0
    copies: int = 0
    """Weight beyond the text: PCRE copies repetitions with bounds."""

    def ahead(self, *texts: str) -> bool:
        """Whether one of these comes next."""
        return self.source.startswith(texts, self.at)

    def taken(self, *texts: str) -> bool:
        """Skip one of these if it comes next."""
        for text in texts:
            if self.ahead(text):
                self.at += len(text)
                return True
        return False

    def branch(self) -> str:
        """One top-level alternative: anchored at an end of the name only by `^` or `$`."""
        start = "" if self.taken(*_STARTS) else ANYTHING
        body, heavy = self.sequence()
        if heavy > _MAX_WEIGHT:
            raise ValueError("the regular expression repeats too much")
        self.copies += heavy
        return start + body + ("" if self.taken(*_ENDS) else ANYTHING)

    def sequence(self) -> tuple[str, int]:
        """Atoms up to the end of this alternative, and their weight: PCRE copies what is repeated."""
        out, heavy = "", 0
        while self.at < len(self.source) and not self.ahead("|", ")", *_ENDS):
            begun = self.at
            text, inside = self.group() if self.ahead("(") else (self.atom(), 0)
            group = self.source[begun : self.at] if inside else ""
            bound, times = self.quantifier()
            if _ENDLESS.search(group) and bound not in ("", "?", "??"):
                raise ValueError(f"`{group}{bound}` repeats a repetition, which can take very long")
            out += text + bound
            heavy += (inside or weight(text)) * times
        return out, heavy

    def atom(self) -> str:
        """One character or class."""
        sign = self.source[self.at]
        self.at += 1
        if sign == "[":
            negated = self.taken("^")
            found, self.at = read_class(self.source, self.at, negated=negated, words="dwsDWS")
            return class_text(found)
        if sign == ".":
            return any_character(line_feed=False)
        if sign == "\\":
            return self.escape()
        if sign in "^*+?{":
            raise ValueError(f"`{sign}` cannot stand here in the regular expression (escape it with \\)")
        return character(sign)

    def escape(self) -> str:
        """The meaning of a backslash and the next character."""
        sign = self.source[self.at : self.at + 1]
        self.at += 1
        if sign in ("b", "B"):
            return f"(?:\\{sign})"
        if found := set_class(sign):
            return class_text(found)
        if sign in _CONTROLS:
            return character(_CONTROLS[sign])
        if not sign or sign.isalnum() or not sign.isascii():
            raise ValueError(f"`\\{sign}` in the regular expression is not supported")
        return character(sign)

    def group(self) -> tuple[str, int]:
        """`(…)` and `(?:…)`, and its weight; captures are not used."""
        self.at += 1
        if not self.taken("?:") and self.ahead("?"):
            raise ValueError("of groups with `(?`, only (?:…) and one (?i) at the beginning are supported")
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ValueError("the regular expression has too many groups in groups")
        branches = [self.sequence()]
        while self.taken("|"):
            branches.append(self.sequence())
        if not self.taken(")"):
            raise ValueError("a group is not closed, or has ^ or $ inside, which may only be at the ends")
        self.depth -= 1
        texts, weights = zip(*branches, strict=True)
        return f"(?:{'|'.join(texts)})", sum(weights) + weight("(?:|)")

    def quantifier(self) -> tuple[str, int]:
        """`*`, `+`, `?`, `{n,m}`, lazy or not, and how often that repeats in PCRE's memory."""
        bound, times = "", 1
        if found := _BOUNDS.match(self.source, self.at):
            low, high = int(found[1]), int(found[3] or found[1])
            if high < low or max(low, high) > MAX_REPEATS:
                raise ValueError(f"`{found[0]}`: names have no more than {MAX_REPEATS} characters")
            bound, times = found[0], max(1, low, high)
            self.at = found.end()
        elif self.ahead("*", "+", "?"):
            bound = self.source[self.at]
            self.at += 1
        if bound and self.taken("?"):
            bound += "?"
        if bound and self.ahead("*", "+", "?", "{"):
            raise ValueError(f"`{bound}{self.source[self.at]}` repeats a repetition")
        return bound, times
