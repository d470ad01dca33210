"""Skips, and why there are none in CI."""

import os
from typing import NoReturn

import pytest


def skip(reason: str) -> NoReturn:
    """Skip the test for a reason; where CI=true says that everything has to run, fail."""
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"{reason} (a skip is a failure where CI is set)", pytrace=False)
    pytest.skip(reason)
