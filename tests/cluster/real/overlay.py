"""Whether overlay mounts work in a folder, which decides how images are kept there. Knows no image."""

import subprocess
import tempfile
from pathlib import Path


def overlay_works(folder: Path) -> bool:
    """Whether an overlay can be mounted over folders in `folder`: not inside most containers."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".overlay-") as name:
        lower, upper, work, merged = (Path(name) / each for each in ("lower", "upper", "work", "merged"))
        for each in (lower, upper, work, merged):
            each.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        # In a mount namespace that ends with the command: nothing is left to unmount.
        command = ["unshare", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", str(merged)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def storage_driver(folder: Path) -> str:
    """What buildah calls it."""
    return "overlay" if overlay_works(folder) else "vfs"


def snapshotter(folder: Path) -> str:
    """What containerd calls it."""
    return "overlayfs" if overlay_works(folder) else "native"
