"""The marker of what needs a whole node."""

import pytest

from tests.cluster.real.required import E2E


def pytest_configure(config: pytest.Config) -> None:
    """Known here too, whatever part of the tests is run."""
    config.addinivalue_line("markers", E2E)
