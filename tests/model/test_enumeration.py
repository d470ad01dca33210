"""Many names in one message."""

import pytest

from tidbbackup.model.enumeration import some


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a, b"),
        (["a", "b", "c", "d"], "a, b and 2 more"),
    ],
)
def test_the_first_few_and_the_number_of_the_others(names: list[str], expected: str) -> None:
    assert some(names, 2) == expected


def test_between_them_stands_what_is_asked_for() -> None:
    assert some(["a", "b", "c"], 2, "; ") == "a; b and 1 more"
