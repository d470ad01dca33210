"""The control groups of one node, in every hierarchy the machine has (cgroup v1 or v2).

Kubelet wants its root group to be there. Knows no pod. What a crash leaves is an empty group, which the
next node's start removes.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "tidbbackup-"
# What kubelet insists on in version 2.
_CONTROLLERS = ("cpu", "cpuset", "hugetlb", "io", "memory", "pids")


def hierarchies(mounts: str) -> list[Path]:
    """The mount points of all hierarchies in the text of /proc/self/mountinfo.

    Several in version 1, one in version 2; where that is mounted beside version 1, runc uses it too.
    """
    found: dict[str, Path] = {}
    for fields in (line.split() for line in mounts.splitlines()):
        if fields[fields.index("-") + 1] in ("cgroup", "cgroup2"):
            # By device: a hierarchy that is mounted twice, say in a chroot, is still one.
            found.setdefault(fields[2], Path(fields[4]))
    return list(found.values())


def here() -> list[Path]:
    """This machine's hierarchies; empty when it has none."""
    return hierarchies(Path("/proc/self/mountinfo").read_text())


@contextmanager
def group(name: str) -> Iterator[str]:
    """A group of this name in every hierarchy, as kubelet's cgroupRoot; removed with all below at the end.

    Every process in it must be on its way to its end by then. Raises OSError.
    """
    roots = here()
    remove_abandoned(roots)
    name = f"{_PREFIX}{os.getpid()}-{name}"
    for root in roots:
        _make(root, root / name)
    try:
        yield f"/{name}"
    finally:
        remove([root / name for root in roots])


def _make(root: Path, folder: Path) -> None:
    folder.mkdir()
    for setting in ("cpuset.cpus", "cpuset.mems"):
        # Version 1 makes a cpuset empty, and nothing could run in it.
        if (root / setting).exists():
            (folder / setting).write_text((root / setting).read_text())
    for parent in (root, folder):
        if (parent / "cgroup.subtree_control").exists():
            offered = (parent / "cgroup.controllers").read_text().split()
            wanted = [f"+{each}" for each in _CONTROLLERS if each in offered]
            (parent / "cgroup.subtree_control").write_text(" ".join(wanted))


def remove(folders: Iterable[Path], patience: float = 10.0) -> None:
    """Remove groups with all below them, waiting up to `patience` seconds for their last processes."""
    deadline = time.monotonic() + patience
    for folder in folders:
        while folder.exists():
            for below, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(below)
            if time.monotonic() > deadline:
                break
            if folder.exists():
                time.sleep(0.05)


def remove_abandoned(roots: Iterable[Path]) -> None:
    """Remove the groups of owners that are no more; all their processes died with them."""
    for root in roots:
        for folder in root.glob(f"{_PREFIX}*-*"):
            if is_abandoned(folder.name, lambda pid: Path(f"/proc/{pid}").exists()):
                remove([folder], patience=0.0)


def is_abandoned(name: str, lives: Callable[[int], bool]) -> bool:
    """Whether the owner that a group's name tells is gone."""
    pid = name.removeprefix(_PREFIX).partition("-")[0]
    return pid.isdigit() and not lives(int(pid))
