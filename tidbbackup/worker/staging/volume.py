"""The staging volume: an empty folder for the dump, what is in it, how full it is.

Must not know what the files mean.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed

FOLDER = "dump"
DEFINITIONS = "definitions"
_NEARLY_NOTHING = 64 << 10
_MIB = 1 << 20


def prepare(volume: Path, name: str = FOLDER) -> Path:
    """Create the folder for the dump, or the one for definitions, empty.

    Raises:
        StepFailed: StagingNotWritable.
    """
    folder = volume / name
    try:
        # What an earlier run of this pod left is of no use: its upload was never completed.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StepFailed(
            reasons.STAGING_NOT_WRITABLE,
            f"staging volume {volume}: {error.strerror}; it must be writable for user {os.getuid()}, "
            "choose another spec.storageClassName",
        ) from error
    return folder


def write(path: Path, content: bytes) -> None:
    """Write one file.

    Raises:
        StepFailed: StagingFull, StagingNotWritable.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = reasons.STAGING_FULL if full else reasons.STAGING_NOT_WRITABLE
        raise StepFailed(reason, f"writing `{path.name}`: {error.strerror}") from error


def sizes(folder: Path) -> dict[str, int]:
    """File name to bytes; of files that are deleted meanwhile, as the packer does, not all."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found[entry.name] = entry.stat(follow_symlinks=False).st_size
    return found


def is_full(folder: Path) -> bool:
    """Whether so little room is left that a buffered last write may have been lost without an error."""
    room = os.statvfs(folder)
    return room.f_blocks > 0 and room.f_bavail * room.f_frsize < _NEARLY_NOTHING


def free_bytes(folder: Path) -> int:
    """What the file system has left for us, which may be much more than the volume's size."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def full(volume: Path, asked_bytes: int) -> StepFailed:
    """The failure, with the size of the volume, what is on it, and the cure."""
    room = os.statvfs(volume)
    total = asked_bytes or room.f_blocks * room.f_frsize
    folder = volume / FOLDER
    dump = sum(sizes(folder).values()) if folder.is_dir() else 0
    return StepFailed(
        reasons.STAGING_FULL,
        f"the staging volume of {readable(total)} is full after {readable(dump)} of dump; "
        "raise spec.storageSize above the size of the data",
    )


def readable(count: int) -> str:
    """Bytes as people read them."""
    return f"{count // _MIB} MiB" if count >= _MIB else f"{count // 1024} KiB"


def end(path: Path, count: int) -> bytes:
    """The last bytes of a file, fewer where it has no more."""
    with path.open("rb", buffering=0) as file:
        file.seek(max(0, path.stat().st_size - count))
        return file.read(count) or b""


def ends_spoilt(path: Path, judge: Callable[[bytes], bool | None], piece: int = 4 << 20) -> bool:
    """Hand ever more of a file's end to `judge` until it decides, and tell what it said."""
    size = path.stat().st_size
    length = min(piece, size)
    with path.open("rb") as file:
        while True:
            file.seek(size - length)
            verdict = judge(file.read(length))
            if verdict is not None or length == size:
                return bool(verdict)
            length = min(length * 4, size)
