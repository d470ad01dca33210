"""What another process of the same user can read of the worker."""

import os
import subprocess
import sys

import pytest

_NOBODY = 65532
_PROGRAM = """
import ctypes, os, resource, subprocess, sys
from tidbbackup.worker.privacy import keep_private
if os.getuid() == 0:
    os.setgid({uid}); os.setuid({uid})
    # Changing the user has hidden it already.
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
if sys.argv[1] == "hidden":
    keep_private()
look = ["cat", f"/proc/{{os.getpid()}}/environ"]
child = subprocess.run(look, env={{"PATH": "/bin:/usr/bin"}}, capture_output=True)
print(b"canary" in child.stdout, "Permission denied" in child.stderr.decode())
print(os.listdir("/proc/self/fd") != [], resource.getrlimit(resource.RLIMIT_CORE)[1] == 0)
limits = subprocess.run(["cat", "/proc/self/limits"], capture_output=True, text=True).stdout
print([line.split()[4:6] for line in limits.splitlines() if "core" in line])
"""


@pytest.mark.parametrize("how", ["hidden", "open"])
def test_the_environment_is_not_mydumpers_to_read(how: str) -> None:
    """As uid 65532 where the tests are root; else as who they are."""
    program = _PROGRAM.format(uid=_NOBODY)
    done = subprocess.run(
        [sys.executable, "-c", program, how],
        env={"PATH": os.environ["PATH"], "DB_PASSWORD": "canary"},
        capture_output=True,
        text=True,
        check=True,
    )
    seen, own, limits = done.stdout.splitlines()
    if how == "open":
        assert seen == "True False"
        return
    assert seen == "False True"
    assert own == "True True"
    assert limits == "[['0', '0']]"
