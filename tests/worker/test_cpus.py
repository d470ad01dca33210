"""The CPU limit as cgroups tell it."""

import os
from pathlib import Path

import pytest

from tidbbackup.worker.cpus import cpus

SEEN = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, SEEN),
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, SEEN),
        ({"cpu.max": "9999900000 100000\n"}, SEEN),
        ({"cpu.max": "nonsense"}, SEEN),
        ({"cpu/cpu.cfs_quota_us": "25000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.25),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, SEEN),
    ],
)
def test_the_limit(files: dict[str, str], expected: float, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpus(tmp_path) == expected


def test_this_machine_has_some() -> None:
    assert 0 < cpus() <= SEEN
