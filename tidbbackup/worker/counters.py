"""What a run has done so far: the one place where its steps count, read by everything that shows progress.

Must not know who reads it.
"""

from __future__ import annotations

from attrs import define

from tidbbackup.storage.multipart import UploadCounter


@define
class Counters(UploadCounter):
    """Totals of one run, in bytes unless the name says otherwise. All but `staged_bytes` only grow."""

    estimated_bytes: int = 0
    """What the dump will hold, as the server's statistics have it; 0: not known."""
    dumped_bytes: int = 0
    """Written by mydumper to the staging volume."""
    staged_bytes: int = 0
    """Of the dump, on the staging volume now."""
    packed_bytes: int = 0
    """Of the dump, read into the archive."""
    archive_bytes: int = 0
    """Of a restore: what is read of the archive, twice its size where it is read twice."""
    read_bytes: int = 0
    """Of these, read so far."""
    loaded_bytes: int = 0
    """Of statements that the server has carried out."""
    loaded_rows: int = 0
    held_seconds: float = 0.0
    """How long the dumper was suspended because the volume was full."""

    def see(self, dumped: int, packed: int, freed: int) -> None:
        """Take in the totals so far: written by mydumper, read into the archive, deleted from the volume."""
        self.dumped_bytes = max(self.dumped_bytes, dumped)
        self.packed_bytes = packed
        self.staged_bytes = max(0, dumped - freed)
