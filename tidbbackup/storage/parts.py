"""The plan of a multipart upload: how large its parts are and how many travel at once. Pure.

Must not know any S3 client.
"""

from __future__ import annotations

import attrs
from attrs import frozen

from tidbbackup.model.providers import MIB, ObjectTarget

USUAL_PART = 16 * MIB

# Nine tenths of the parts that S3 allows, for half as much again as was estimated: where sizes have to stay
# equal within an upload the reserve has to be there from the start.
_PLANNED = 0.9
_RESERVE = 1.5

MAX_IN_FLIGHT = 4
"""Parts that travel at once, unless the user says otherwise or there is no room for them."""


@frozen
class PartLimits:
    """What parts may be, by the provider's row and what the user asks for. Bytes."""

    usual: int = USUAL_PART
    most: int = 5 << 30
    count: int = 10_000
    unequal: bool = False
    """Parts of one upload may differ."""

    def at_most(self, size: int) -> PartLimits:
        """These, for a worker that has room for parts of this size and no larger ones."""
        return attrs.evolve(self, usual=min(self.usual, size), most=min(self.most, size))


def part_limits(target: ObjectTarget) -> PartLimits:
    """The limits for this target."""
    row, wanted = target.row, target.transfer
    return PartLimits(
        usual=min(max(wanted.partBytes or USUAL_PART, row.min_part), row.max_part),
        most=row.max_part,
        count=min(wanted.maxParts or row.max_parts, row.max_parts),
        unequal=row.unequal_parts,
    )


def part_size(estimate: int, limits: PartLimits = PartLimits()) -> int:
    """Bytes of every part but the last, for an archive of about `estimate` bytes: as usual, or in whole MiB
    larger where it would not fit."""
    wanted = int(estimate * _RESERVE / max(1, int(limits.count * _PLANNED))) + 1
    rounded = -(-wanted // MIB) * MIB
    return min(max(limits.usual, rounded if wanted > limits.usual else 0), limits.most)


def next_size(size: int, sent_parts: int, sent_bytes: int, estimate: int, limits: PartLimits) -> int:
    """Bytes of the next part, after so many of `size` bytes have been sent; never smaller than `size`.

    It grows where the estimate was wrong and the provider allows it: the parts that are left must hold half
    as much again as the rest of the estimate and, once that is passed, as much again as has been sent.
    """
    left = limits.count - sent_parts
    if not limits.unequal or left < 1:
        return size
    rest = int((estimate - sent_bytes) * _RESERVE) if sent_bytes < estimate else sent_bytes
    wanted = -(-rest // left)
    rounded = -(-wanted // MIB) * MIB
    return min(max(size, rounded if wanted > size else 0), limits.most)
