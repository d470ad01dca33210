"""Whether a whole node can run on this machine, and what is missing. Starts nothing.

`python -m tests.cluster.real.prerequisites` ends with 1, and says why, where no set-up could make it one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.cluster import binaries, cache
from tests.cluster.real import cgroups
from tests.cluster.real.init import HIDDEN

PROGRAMS = ("containerd", "ctr", "runc", "ip", "nsenter", "unshare", "buildah", "mmdebstrap")
_CNI_PROGRAM = Path("/usr/lib/cni/bridge")


def missing() -> str:
    """Why no whole node can run here, with the cure; empty when one can."""
    return impossible() or _absent()


def impossible() -> str:
    """The same, but for what `make test-e2e` installs."""
    if os.geteuid() != 0:
        return "a whole node needs root: run `make test-e2e` as root"
    return _missing_rights() or _hidden()


def _absent() -> str:
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    absent += [] if _CNI_PROGRAM.exists() else ["CNI's bridge"]
    return f"a whole node needs {', '.join(absent)}: `make test-e2e` installs them" if absent else ""


def _missing_rights() -> str:
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        return f"a whole node needs namespaces of its own, which are not allowed here: {tried.stderr.strip()}"
    roots = cgroups.here()
    if not roots or not all(os.access(root, os.W_OK) for root in roots):
        return "a whole node needs cgroups it may write to, and there are none here"
    return ""


def _hidden() -> str:
    """What the node's own state folders would hide from it."""
    for path in (cache.folder(), binaries.MODULE, Path(tempfile.gettempdir())):
        if any(path.resolve().is_relative_to(hidden) for hidden in HIDDEN):
            return f"a whole node hides {', '.join(HIDDEN)} from itself, and it needs {path}"
    return ""


def main() -> int:
    """Say why no whole node can ever run here."""
    reason = impossible()
    if reason:
        print(f"no end-to-end tests here: {reason}", file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
