"""Units as users and Kubernetes write them: durations, quantities, times, sizes.

Must not know what is measured.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext

_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w)")
# In nanoseconds, so that no part is rounded before the sum.
_DURATION_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86_400 * 10**9,
    "w": 7 * 86_400 * 10**9,
}

QUANTITY_PATTERN = r"^[+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$"
_QUANTITY = re.compile(r"([+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")
QUANTITY_LIMIT = 2**63 - 1
"""The largest quantity; Kubernetes reads a larger one as this."""
_QUANTITY_UNITS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def parse_duration(text: str) -> timedelta:
    """A Go duration such as `1h30m`, and also `d` (24 h) and `w` (7 d).

    Raises:
        ValueError: not a duration, negative, or beyond what a timedelta holds.
    """
    if text == "0":
        return timedelta(0)
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration: write it like 90s, 30m, 3h, 7d or 1h30m")
    nanoseconds = sum(Decimal(number) * _DURATION_UNITS[unit] for number, unit in parts)
    try:
        return timedelta(microseconds=int(nanoseconds / 1000))
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long a duration") from error


def format_duration(span: timedelta) -> str:
    """A Go duration to the second, as kubectl users know it: `1h2m3s`."""
    seconds = max(int(span.total_seconds()), 0)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def parse_quantity(text: str) -> int:
    """A Kubernetes quantity such as `10Gi` in whole units (bytes for storage), rounded up and capped.

    Raises:
        ValueError: not a quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity: write it like 10Gi, 500Mi or 1.5Ti")
    number, unit = match.groups(default="")
    # Without traps: a number that Decimal cannot hold becomes infinite, and is capped too.
    with localcontext(Context(prec=len(text) + 40, traps=[])):
        factor = _QUANTITY_UNITS.get(unit)
        exact = Decimal(number + unit) if factor is None else Decimal(number) * factor
        if exact >= QUANTITY_LIMIT:
            return QUANTITY_LIMIT
        if exact <= 1:
            return int(exact > 0)
        return int(exact) + (exact != int(exact))


def format_size(size: int) -> str:
    """Bytes for people, in decimal units as in TiDB Operator: `1.2 GB`."""
    value, bigger = float(size), ["PB", "TB", "GB", "MB", "kB", "B"]
    unit = bigger.pop()
    while value >= 999.5 and bigger:
        value, unit = value / 1000, bigger.pop()
    return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC to the second, as the API server writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact_time(moment: datetime) -> str:
    """The time in object names: `20261123T030000Z`. Without colons: GNU tar takes them for remote hosts."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
