"""Many names in one message: the first few, and how many more there are.

Must not know what they name.
"""

from __future__ import annotations

from collections.abc import Sequence


def some(names: Sequence[str], most: int = 5, between: str = ", ") -> str:
    """At most so many of the names, and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + more
