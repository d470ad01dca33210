"""Process 1 of the house: `python init.py READY_FILE ADDRESS...`; see house.py for what a house is.

Makes the place fit for containerd and kubelet, then waits for orphans. When it is killed, the kernel kills
every process of its PID namespace, and the mounts and the network go with the last of them. Standard
library only: it is started by path, isolated from the package.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

# Where containerd, kubelet and CNI keep things whatever their configuration says: in here it is their own.
HIDDEN = ("/run", "/var/lib", "/var/log")


def prepare(addresses: Iterable[str]) -> None:
    """Own /proc, own state folders, loopback up with more addresses than one."""
    commands = [["mount", "-t", "proc", "proc", "/proc"]]
    commands += [["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder] for folder in HIDDEN]
    commands += [["ip", "link", "set", "lo", "up"]]
    commands += [["ip", "address", "add", f"{address}/32", "dev", "lo"] for address in addresses]
    for command in commands:
        subprocess.run(command, check=True)


def reap_forever() -> None:
    """Wait for every child, among them those whose parents died."""
    # A child of our own that never ends, or `wait` would return at once while there is nothing to wait for.
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "infinity"])  # noqa: S606 - no shell is wanted
    while True:
        os.wait()


def main() -> None:
    """Prepare, tell that it is done, reap."""
    prepare(sys.argv[2:])
    Path(sys.argv[1]).touch()
    reap_forever()


if __name__ == "__main__":
    main()
