"""The values of rclone's flags, parsed as in rclone, within the limits of S3 and of the worker.

Each function raises ValueError with the cure and without the value. Must not know the flags.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tidbbackup.model.providers import ACLS, ENCRYPTIONS

Reader = Callable[[str], Any]

MIB = 1 << 20
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([BKMGTPEbkmgtpe])(?:i|iB|I)?)?")
_POWERS = {"B": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
# strconv.ParseBool
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def size(written: str) -> int:
    """A SizeSuffix in bytes: binary units; a number without a unit is KiB.

    Raises:
        ValueError: not a size.
    """
    found = _SIZE.fullmatch(written)
    if not found:
        raise ValueError("write a size such as 16M or 1G")
    return int(float(found[1]) * 1024 ** _POWERS[(found[2] or "K").upper()])


def part_size(written: str) -> int:
    """Bytes of a part, in S3's limits."""
    bytes_ = size(written)
    if not 5 * MIB <= bytes_ <= 5 << 30:
        raise ValueError("write a size from 5M to 5G (a bare number is KiB)")
    return bytes_


def rate(written: str) -> int | None:
    """Bytes per second of uploads; None: no limit. Of `up:down` the first counts."""
    upwards = written.partition(":")[0]
    if upwards in ("off", "0"):
        return None
    if any(mark in written for mark in ", ") or written.count(":") > 1:
        raise ValueError("write one rate such as 10M: timetables are not supported")
    try:
        per_second = size(upwards)
    except ValueError:
        per_second = 0
    if per_second < 1024:
        raise ValueError("write a rate such as 10M (MiB per second, a bare number is KiB), or off")
    return per_second


def concurrency(written: str) -> int:
    """How many parts at once."""
    if not re.fullmatch(r"[0-9]{1,2}", written) or not 1 <= int(written) <= 64:
        raise ValueError("write a number from 1 to 64")
    return int(written)


def boolean(written: str) -> bool:
    """As Go's ParseBool reads it."""
    if written in _TRUE:
        return True
    if written in _FALSE:
        return False
    raise ValueError("write true or false")


def acl(written: str) -> str:
    """A canned ACL; empty sends none."""
    if written and written not in ACLS:
        raise ValueError(f"write one of {', '.join(ACLS)}")
    return written


def encryption(written: str) -> str:
    """Server-side encryption; empty asks for none."""
    if written and written not in ENCRYPTIONS:
        raise ValueError(f"write one of {', '.join(ENCRYPTIONS)}")
    return written


def storage_class(written: str) -> str:
    """Name of a class; empty sends none."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]*", written):
        raise ValueError("write the name of a storage class")
    return written


def text(written: str) -> str:
    """Any text that a header can have."""
    if not written.isprintable() or not written.isascii():
        raise ValueError("write printable ASCII characters")
    return written


def path(written: str) -> str:
    """An absolute path without detours."""
    first, *names = written.split("/")
    if first or not names or not written.isprintable() or {"", ".", ".."} & set(names):
        raise ValueError("write the absolute path of a file, without . or ..")
    return written
