"""Where a skip is one, and where it is a failure."""

import pytest

from tests.skips import skip


@pytest.mark.parametrize(
    ("value", "outcome"),
    [("true", pytest.fail.Exception), ("1", pytest.fail.Exception), ("", pytest.skip.Exception)],
)
def test_ci_has_no_skips(value: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", value)
    with pytest.raises(outcome, match="no root here"):
        skip("no root here")
