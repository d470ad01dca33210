"""Whether overlay mounts work in a folder, which decides how images are kept there. Knows no image."""

import subprocess
import tempfile
from pathlib import Path

_TRY = """
cd "$1"
[ -z "$2" ] || { mount -t tmpfs tmpfs . && cd "$1"; } || exit
mkdir lower upper work merged
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged
"""


def overlay_works(folder: Path, *, in_memory: bool = False) -> bool:
    """Whether an overlay can be mounted over folders in `folder`: not inside most containers.

    With `in_memory` a tmpfs is mounted there first, where it works more often.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".overlay-") as name:
        # In a mount namespace that ends with the command: nothing is left to unmount.
        command = ["unshare", "--mount", "sh", "-c", _TRY, "sh", name, "yes" if in_memory else ""]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def storage_driver(folder: Path) -> str:
    """What buildah calls it."""
    return "overlay" if overlay_works(folder) else "vfs"
