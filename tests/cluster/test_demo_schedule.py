"""The demo's schedule is the specification's example, with another time and another retention."""

import pytest
import yaml

from tests.cluster.demo_schedule import every_minute
from tests.cluster.lab import EXAMPLES


def test_only_time_and_retention_differ() -> None:
    example = (EXAMPLES / "backup-schedule-s3.yaml").read_text()
    shown, given = yaml.safe_load(every_minute(example)), yaml.safe_load(example)

    spec = given["spec"]
    spec["schedule"], spec["maxBackups"] = "* * * * *", 1
    del spec["maxReservedTime"]
    assert shown == given


def test_another_example_is_refused() -> None:
    with pytest.raises(ValueError, match="not the one"):
        every_minute("schedule: '@daily'\n")
