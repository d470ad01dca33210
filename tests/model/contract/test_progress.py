"""The rule for the percent, and a report as it goes from worker to controller."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.contract.progress import MAX_BYTES, Report, decode_report, encode_report, percent

SIZES = st.integers(0, 2**50)


@pytest.mark.parametrize(
    ("dumped", "packed", "estimated", "dumping", "wanted"),
    [
        (0, 0, 0, True, None),
        (700, 0, 0, True, None),
        (0, 0, 100, True, 0),
        (50, 0, 100, True, 25),
        (50, 50, 100, True, 50),
        # More than was expected: what is there is all that is known.
        (300, 0, 100, True, 50),
        (300, 300, 100, True, 99),
        # The dump is whole: its size counts, not what was expected.
        (50, 0, 100, False, 50),
        (50, 25, 100, False, 75),
        (50, 50, 0, False, 99),
        (0, 0, 0, False, 0),
        # The archive holds more than it should: files that grew after they were counted.
        (50, 60, 100, False, 99),
    ],
)
def test_the_rule(dumped: int, packed: int, estimated: int, dumping: bool, wanted: int | None) -> None:
    assert percent(dumped, packed, estimated, dumping=dumping) == wanted


@given(st.lists(st.tuples(SIZES, SIZES, SIZES, st.booleans()), min_size=2))
def test_it_never_goes_back_and_never_says_that_all_is_done(
    moments: list[tuple[int, int, int, bool]],
) -> None:
    before = None
    for dumped, packed, estimated, dumping in moments:
        now = percent(dumped, packed, estimated, dumping=dumping, before=before)
        assert now is None or 0 <= now <= 99
        assert (before or 0) <= (now or 0)
        assert before is None or now is not None
        before = now


def test_a_report_comes_as_it_was_sent() -> None:
    report = Report("dump", 5, 9, 3, 27)

    assert decode_report(encode_report(report)) == report
    assert len(encode_report(Report("manifest", *(2**63 - 1,) * 3, 99))) < MAX_BYTES


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        {"step": "DROP TABLE"},
        {"step": "x" * 33},
        {"step": "dump", "dumpedBytes": -1},
        {"step": "dump", "uploadedBytes": 2**63},
        {"step": "dump", "estimatedBytes": 1.5},
        {"step": "dump", "percent": 100},
        {"step": "dump", "percent": -1},
        {"step": "dump", "padding": "x" * MAX_BYTES},
    ],
)
def test_nonsense_is_refused(said: bytes | dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whatever msgspec says of it
        decode_report(said if isinstance(said, bytes) else msgspec.json.encode(said))
