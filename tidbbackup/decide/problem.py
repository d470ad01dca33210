"""One thing that is wrong with a spec, and the judgements that several parts of it share.

Must not know which parts there are.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address
from typing import Any

from attrs import frozen

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_VALUE_SHOWN = 80


@frozen
class Problem:
    """One thing that is wrong: where, what stands there, and what to do."""

    path: str
    value: Any
    cure: str

    def __str__(self) -> str:
        shown = repr(self.value)
        shown = shown if len(shown) <= _VALUE_SHOWN else shown[: _VALUE_SHOWN - 1] + "…"
        return f"{self.path}: {shown}: {self.cure}" if self.value is not None else f"{self.path}: {self.cure}"


def object_name(path: str, name: str, *, needed: bool = False) -> Iterator[Problem]:
    """Whether this can be the name of a Secret or its like; empty is fine unless it is needed."""
    if not name and needed:
        yield Problem(path, None, "is missing: name an object in this namespace")
    elif name and not _OBJECT_NAME.fullmatch(name):
        yield Problem(
            path, name, "write the name of an object in this namespace (lower case, digits, - and .)"
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean aws?` for a word that is nearly one of the known ones; otherwise nothing."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(word.lower(), by_lower, 1, 0.75)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""


def is_host(text: str) -> bool:
    """Whether this is a host name or an IP address, and nothing else."""
    if ":" not in text:
        return _HOST_NAME.fullmatch(text) is not None
    with contextlib.suppress(ValueError):
        return not IPv6Address(text).scope_id
    return False


def has_control(text: str) -> bool:
    """Whether a control character is in the text."""
    return any(ord(letter) < 32 or ord(letter) == 127 for letter in text)
