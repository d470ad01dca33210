"""The part that is growing, in memory. Must not know what is in it."""

from __future__ import annotations

from collections import deque

from tidbbackup.storage.body import Body


class PartBuffer:
    """Bytes that wait to become parts; they come out in the order in which they went in."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self.size = 0
        """Bytes that are there."""

    def add(self, data: bytes) -> None:
        """Append bytes."""
        self._pieces.append(data)
        self.size += len(data)

    def take(self, part_bytes: int) -> Body:
        """One part, or less if less is there."""
        taken: list[bytes] = []
        room = part_bytes
        while self._pieces and room:
            piece = self._pieces.popleft()
            if len(piece) > room:
                self._pieces.appendleft(piece[room:])
                piece = piece[:room]
            taken.append(piece)
            room -= len(piece)
        self.size -= part_bytes - room
        return Body(taken)
