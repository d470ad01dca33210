"""Durations, quantities, sizes and times, as Go and Kubernetes read and write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.units import (
    QUANTITY_LIMIT,
    compact_time,
    format_duration,
    format_size,
    format_time,
    parse_duration,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("5s", 5),
        ("30s", 30),
        ("1478s", 1478),
        ("5.0s", 5),
        ("5.6s", 5.6),
        ("5.s", 5),
        (".5s", 0.5),
        ("10ms", 0.01),
        ("12us", 12e-6),
        ("12µs", 12e-6),
        ("12μs", 12e-6),
        ("100ns", 0),
        ("3h30m", 12_600),
        ("10.5s4m", 250.5),
        ("1h2m3s4ms5us6ns", 3723.004005),
        ("39h9m14.425s", 140_954.425),
        ("0.1h", 360),
        ("3h", 10_800),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1w1d1h", 694_800),
        ("1.5d", 129_600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "-1h",
        "+-1h",
        "h",
        ".",
        ".s",
        "1h 30m",
        " 1h",
        "1h\n",
        "1y",
        "1H",
        "1e3s",
        "٣h",
        "0x1h",
        "1hh",
    ],
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write it like"):
        parse_duration(text)


def test_a_duration_beyond_all_bounds_is_an_error_of_its_own() -> None:
    with pytest.raises(ValueError, match="too long a duration"):
        parse_duration("9" * 60 + "h")


@given(st.integers(0, 10**9))
def test_what_is_written_is_read_back(seconds: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        assert parse_duration(text) >= timedelta(0)
    except ValueError as error:
        assert "duration" in str(error)  # noqa: PT017  either outcome is right


def test_a_span_that_went_backwards_is_nothing() -> None:
    assert format_duration(timedelta(seconds=-5)) == "0s"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1", 1),
        ("10Gi", 10 * 2**30),
        ("+10Gi", 10 * 2**30),
        ("1.5Ti", 3 * 2**39),
        (".5Gi", 2**29),
        ("1.", 1),
        ("500M", 500 * 10**6),
        ("1k", 1000),
        ("1Ki", 1024),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("0.5Ei", 2**59),
        ("1Pi", 2**50),
        ("1e3", 1000),
        ("1E3", 1000),
        ("12e-1", 2),
        ("1m", 1),
        ("1500m", 2),
        ("1u", 1),
        ("1n", 1),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_quantities(text: str, size: int) -> None:
    assert parse_quantity(text) == size


@pytest.mark.parametrize("text", ["1e19", "1e400", "1e999999999", "9" * 60, "100Ei"])
def test_a_quantity_is_capped_as_kubernetes_caps_it(text: str) -> None:
    assert parse_quantity(text) == QUANTITY_LIMIT


def test_a_vanishing_quantity_rounds_up() -> None:
    assert parse_quantity("1e-999999999") == 1


@pytest.mark.parametrize(
    "text",
    ["", "10Gx", "Gi", "10 Gi", "10gi", "-1Gi", "1K", "1e", "1e3Ki", "10Gi\n", "٣Gi", "0x10", ".", "1E+i"],
)
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity: write it like 10Gi"):
        parse_quantity(text)


@given(st.integers(0, 2**22), st.sampled_from(["", "k", "M", "G", "Ki", "Mi", "Gi", "Ti"]))
def test_whole_quantities_are_exact(number: int, unit: str) -> None:
    powers = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    assert parse_quantity(f"{number}{unit}") == number * powers[unit]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (9_950, "10 kB"),
        (82_854_982, "83 MB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_200_000_000, "1.2 GB"),
        (5 * 10**12, "5.0 TB"),
        (10**19, "10000 PB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert format_size(size) == text


def test_times_are_in_utc_whatever_the_zone() -> None:
    moment = datetime(2026, 11, 23, 4, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))

    assert format_time(moment) == "2026-11-23T03:00:00Z"
    assert compact_time(moment) == "20261123T030000Z"
    assert format_time(moment.astimezone(UTC)) == format_time(moment)
