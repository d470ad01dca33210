"""Kubernetes quantities, as far as resourceFieldRef needs them. Pure."""

import math
import re
from fractions import Fraction

_SUFFIXES = {
    "": Fraction(1),
    **{suffix: Fraction(1000) ** (index - 3) for index, suffix in enumerate(("n", "u", "m"))},
    **{suffix: Fraction(1000) ** (index + 1) for index, suffix in enumerate(("k", "M", "G", "T", "P", "E"))},
    **{
        f"{suffix}i": Fraction(1024) ** (index + 1)
        for index, suffix in enumerate(("K", "M", "G", "T", "P", "E"))
    },
}
_QUANTITY = re.compile(r"([+-]?[0-9]*\.?[0-9]+|[0-9]+\.)(?:[eE]([+-]?[0-9]+)|([A-Za-z]*))")


def parse_quantity(text: str) -> Fraction:
    """The exact value of a quantity such as `1.5Gi`, `250m` or `1e3`; ValueError names what is not one."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or (match[3] or "") not in _SUFFIXES:
        raise ValueError(f"{text!r} is no quantity")
    if match[2] is not None:
        return Fraction(match[1]) * Fraction(10) ** int(match[2])
    return Fraction(match[1]) * _SUFFIXES[match[3] or ""]


def in_units_of(amount: Fraction, divisor: Fraction) -> str:
    """How many divisors an amount is, rounded up, as the downward API writes it."""
    return str(math.ceil(amount / (divisor or 1)))
