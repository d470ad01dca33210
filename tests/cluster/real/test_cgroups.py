"""Which hierarchies count, and whose groups may go."""

from pathlib import Path

from .cgroups import hierarchies, is_abandoned

MIXED = """\
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""


def test_version_1_with_version_2_beside_it() -> None:
    names = [path.name for path in hierarchies(MIXED)]

    assert names == ["cpu", "memory", "unified"]


def test_version_2_alone() -> None:
    assert hierarchies("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n") == [Path("/sys/fs/cgroup")]


def test_none() -> None:
    assert hierarchies("proc /proc proc rw 0 0\n") == []


def test_only_groups_of_the_dead_are_abandoned() -> None:
    assert is_abandoned("tidbbackup-12-abc", lambda pid: pid != 12)
    assert not is_abandoned("tidbbackup-12-abc", lambda pid: pid == 12)
    assert not is_abandoned("tidbbackup-system-abc", lambda pid: False)
