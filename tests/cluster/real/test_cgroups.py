"""Which hierarchies count, and whose groups may go."""

from pathlib import Path

from .cgroups import hierarchies, is_abandoned

MIXED = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:10 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:11 - cgroup2 cgroup2 rw
"""
CHROOT = """\
44 43 0:28 / /srv/chroot/sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
45 44 0:29 / /srv/chroot/sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
"""


def test_version_1_with_version_2_beside_it() -> None:
    names = [path.name for path in hierarchies(MIXED)]

    assert names == ["cpu", "memory", "unified"]


def test_version_2_alone() -> None:
    assert hierarchies("31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n") == [Path("/sys/fs/cgroup")]


def test_none() -> None:
    assert hierarchies("24 23 0:4 / /proc rw,relatime - proc proc rw\n") == []


def test_the_same_mounted_twice_is_one() -> None:
    """As somebody's chroot has it, with the machine's /sys in it."""
    assert hierarchies(MIXED + CHROOT) == hierarchies(MIXED)


def test_only_groups_of_the_dead_are_abandoned() -> None:
    assert is_abandoned("tidbbackup-12-abc", lambda pid: pid != 12)
    assert not is_abandoned("tidbbackup-12-abc", lambda pid: pid == 12)
    assert not is_abandoned("tidbbackup-system-abc", lambda pid: False)
