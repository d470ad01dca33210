"""How resourceVersions compare."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.kube.versions import at_least, newer_of


@given(st.integers(1, 10**25), st.integers(1, 10**25))
def test_versions_compare_as_the_numbers_they_are(one: int, other: int) -> None:
    assert at_least(str(one), str(other)) == (one >= other)
    assert newer_of(str(one), str(other)) == str(max(one, other))


def test_nothing_seen_is_older_than_anything() -> None:
    assert not at_least("", "1")
    assert at_least("1", "")
    assert at_least("", "")
