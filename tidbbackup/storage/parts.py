"""How large the parts of an upload are, and how many of them are sent at the same time. Pure.

A part is in memory until it is sent, so both follow from what memory may be used. Must not know any S3
client.
"""

from __future__ import annotations

from tidbbackup.model.providers import LARGEST_PART, MIB, ObjectTarget

MAX_PARTS = 10_000
"""Of one upload, as S3 has it."""
_USUAL_PART = 16 * MIB
_SENT_AT_ONCE = 4
_SENT_AT_ONCE_BYTES = 64 * MIB
"""Parts that are sent at the same time take no more memory than this together; one may be larger."""

# Nine tenths of the parts, for half as much again as was estimated: where sizes have to stay equal within an
# upload the reserve has to be there from the start.
_PLANNED_PARTS = MAX_PARTS * 9 // 10
_RESERVE = 1.5
_BEYOND_ESTIMATE = 2
"""An archive larger than estimated: the parts that are left can hold this many times its present size."""


def sent_at_once(size: int, wanted: int | None) -> int:
    """How many parts of this size are sent at the same time; `wanted`: how many the spec asks for."""
    return max(1, min(wanted or _SENT_AT_ONCE, _SENT_AT_ONCE_BYTES // max(1, size)))


class PartSizes:
    """The size of the next part of an upload. Bytes.

    Invariant: `size` never shrinks, and never grows where the provider wants equal parts.
    """

    def __init__(self, target: ObjectTarget, estimate: int) -> None:
        """`estimate`: about so large will the archive be."""
        self._estimate = estimate
        self._may_grow = target.row.unequal_parts
        self._parts = 0
        self._bytes = 0
        self.size = min(target.transfer.partBytes or _USUAL_PART, LARGEST_PART)
        self._hold(int(estimate * _RESERVE), _PLANNED_PARTS)

    def took(self, count: int) -> None:
        """One more part has been made, of so many bytes."""
        self._parts += 1
        self._bytes += count
        rest = int((self._estimate - self._bytes) * _RESERVE)
        if self._may_grow and self._parts < MAX_PARTS:
            self._hold(rest if rest > 0 else self._bytes * _BEYOND_ESTIMATE, MAX_PARTS - self._parts)

    def _hold(self, rest: int, parts: int) -> None:
        """Make parts large enough that this many hold the rest, as far as memory allows."""
        wanted = -(-rest // parts)
        if wanted > self.size:
            self.size = min(-(-wanted // MIB) * MIB, LARGEST_PART)
