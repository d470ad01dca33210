"""The documentation says what the code does."""

from pathlib import Path

import pytest

from tidbbackup.model import reasons

DOCS = Path(__file__).parents[1] / "docs"
REASONS = sorted(value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str))


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_explained(reason: str) -> None:
    assert reason in (DOCS / "failures.md").read_text()
