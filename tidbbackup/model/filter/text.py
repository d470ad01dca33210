"""Characters and classes of characters as regular expressions over UTF-8 bytes, in ASCII.

If bytes are matched, "ignoring case" applies to ASCII only, so other letters are written in both cases.
"""

from __future__ import annotations

from attrs import frozen

ANYTHING = "(?s:.*)"
END = "(?!(?s:.))"
"""The end of the text: Python has no `\\z`, and `\\Z` means something else in PCRE."""

# All UTF-8 beyond ASCII: a first byte and its continuation bytes.
_BEYOND_ASCII = r"[\xC0-\xFF][\x80-\xBF]*"


@frozen
class Class:
    """`[…]`: characters and, of ASCII, ranges of them."""

    characters: tuple[str, ...]
    ranges: tuple[tuple[str, str], ...] = ()
    negated: bool = False


def character(sign: str) -> str:
    """One character, in either case; a quantifier can follow it."""
    if sign.isascii():
        return sign if sign.isalnum() or sign == "_" else _byte(ord(sign))
    forms = sorted({form for form in (sign, sign.lower(), sign.upper()) if form.lower() == sign.lower()})
    return "(?:" + "|".join(_bytes(form) for form in forms if len(form) == 1 and not form.isascii()) + ")"


def any_character(*, line_feed: bool = True) -> str:
    """Any one character."""
    below = r"[\x00-\x7F]" if line_feed else r"[\x00-\x09\x0B-\x7F]"
    return f"(?:{below}|{_BEYOND_ASCII})"


def class_text(found: Class) -> str:
    """A class of characters."""
    low = "".join(_byte(ord(sign)) for sign in found.characters if sign.isascii())
    low += "".join(f"{_byte(ord(first))}-{_byte(ord(last))}" for first, last in found.ranges)
    high = [character(sign) for sign in found.characters if not sign.isascii()]
    if found.negated:
        beyond = (f"(?!{'|'.join(high)})" if high else "") + _BEYOND_ASCII
        return f"(?:[^{low}\\x80-\\xFF]|{beyond})"
    return "(?:" + "|".join(([f"[{low}]"] if low else []) + high) + ")"


_SETS = {
    "d": (("0", "9"),),
    "w": (("0", "9"), ("A", "Z"), ("a", "z"), ("_", "_")),
    "s": (("\t", "\n"), ("\f", "\r"), (" ", " ")),
}


def set_class(letter: str) -> Class | None:
    """`\\d`, `\\w`, `\\s` and their opposites, all of ASCII as in Go; None: the letter means no set."""
    ranges = _SETS.get(letter.lower())
    return None if ranges is None else Class((), ranges, negated=letter.isupper())


def read_class(text: str, at: int, *, negated: bool, words: str) -> tuple[Class, int]:
    """The class whose content begins at `at`, and the position after its `]`.

    Args:
        text: the expression.
        at: the position after `[` and its negation.
        negated: whether the class is negated.
        words: letters that mean a set of characters after a backslash.

    Raises:
        ValueError: it has no end, is empty, or has something that we do not translate.
    """
    members: list[str] = []
    ranges: list[tuple[str, str]] = []
    waiting = False
    """Whether a `-` is between the last member and the next one."""
    while at < len(text) and text[at] != "]":
        sign, escaped = text[at], text[at] == "\\"
        at += 1 + escaped
        if escaped:
            sign = text[at - 1 : at]
            if sign and sign in words:
                ranges += _set_in_class(sign, waiting=waiting)
                continue
            if not sign or (sign.isascii() and sign.isalnum()):
                raise ValueError(f"`\\{sign}` in brackets means nothing here")
        elif sign == "[" and words:
            raise ValueError("write \\[ for a bracket in brackets")
        if sign == "-" and not escaped and members and not waiting and text[at : at + 1] not in ("]", ""):
            waiting = True
        elif waiting:
            ranges.append(_range(members.pop(), sign))
            waiting = False
        else:
            members.append(sign)
    if at >= len(text) or not (members or ranges):
        raise ValueError("brackets are not closed, or empty")
    return Class(tuple(members), tuple(ranges), negated), at + 1


def _set_in_class(letter: str, *, waiting: bool) -> tuple[tuple[str, str], ...]:
    found = set_class(letter)
    if found is None or found.negated or waiting:
        raise ValueError(f"`\\{letter}` cannot stand here in brackets")
    return found.ranges


def _range(first: str, last: str) -> tuple[str, str]:
    if not (first.isascii() and last.isascii()):
        raise ValueError(f"the range {first}-{last} goes beyond ASCII: write its letters one by one")
    if first > last:
        raise ValueError(f"the range {first}-{last} is empty")
    return first, last


def _bytes(text: str) -> str:
    return "".join(_byte(value) for value in text.encode())


def _byte(value: int) -> str:
    return f"\\x{value:02X}"


def weight(text: str) -> int:
    """About how many bytes PCRE compiles an expression to; its limit is 65,535."""
    return 2 * (len(text) - 3 * text.count("\\x")) + 32 * text.count("[") + 4 * text.count("(")
