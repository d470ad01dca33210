"""For tests: a whole node, or an honest word about why there is none."""

import os

import pytest

from tests.cluster.real.prerequisites import missing


def require_whole_node() -> None:
    """Skip the test where no whole node can run; where CI=true says that it has to, fail."""
    reason = missing()
    if not reason:
        return
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"{reason} (a skip is a failure where CI is set)", pytrace=False)
    pytest.skip(reason)
