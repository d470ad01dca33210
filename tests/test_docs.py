"""The documentation says what the code does."""

from pathlib import Path
from types import ModuleType

import pytest

from tidbbackup.model import reasons, schedule_reasons

DOCS = Path(__file__).parents[1] / "docs"
FAILURES = (DOCS / "failures.md").read_text()


def words(of: ModuleType) -> list[str]:
    """The reasons that a module names."""
    return sorted(value for name, value in vars(of).items() if name.isupper() and isinstance(value, str))


@pytest.mark.parametrize("reason", words(reasons))
def test_every_reason_is_explained(reason: str) -> None:
    assert reason in FAILURES


@pytest.mark.parametrize("reason", words(schedule_reasons))
def test_every_reason_of_a_schedule_has_a_row(reason: str) -> None:
    _, _, schedules = FAILURES.partition("\n## Schedules")
    assert f"\n| {reason} |" in schedules
