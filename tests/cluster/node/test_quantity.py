"""Quantities."""

from fractions import Fraction

import pytest

from .quantity import in_units_of, parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", Fraction(0)),
        ("250m", Fraction(1, 4)),
        ("1.5", Fraction(3, 2)),
        ("1Ki", Fraction(1024)),
        ("1.5Gi", Fraction(3 * 2**29)),
        ("2M", Fraction(2_000_000)),
        ("1e3", Fraction(1000)),
        ("1E", Fraction(10**18)),
        ("5n", Fraction(5, 10**9)),
    ],
)
def test_parse_quantity(text: str, amount: Fraction) -> None:
    """Every family of suffixes, exactly."""
    assert parse_quantity(text) == amount


@pytest.mark.parametrize("text", ["", "Gi", "10Gx", "1 Gi", "--1"])
def test_no_quantity(text: str) -> None:
    """What is no quantity is named."""
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("amount", "divisor", "text"), [("1500m", "1", "2"), ("1500m", "1m", "1500"), ("1Gi", "1Mi", "1024")]
)
def test_in_units_of(amount: str, divisor: str, text: str) -> None:
    """Rounded up, as the downward API does."""
    assert in_units_of(parse_quantity(amount), parse_quantity(divisor)) == text


def test_divisor_zero_means_one() -> None:
    """The API writes an absent divisor as 0."""
    assert in_units_of(Fraction(7), Fraction(0)) == "7"
