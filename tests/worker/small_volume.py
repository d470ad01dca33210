"""A staging volume that is really as small as it says."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.skips import skip


@contextlib.contextmanager
def small_volume(folder: Path, size: int) -> Iterator[None]:
    """A tmpfs of so many bytes that everybody may write to, where this user may mount one."""
    folder.mkdir()
    options = f"size={size},mode=0777"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        skip(f"cannot mount a small volume here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
        assert not os.path.ismount(folder)
