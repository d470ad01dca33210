"""Flags of mydumper, as users write them; what may be a key is never repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.flags.mydumper import Flag, read_mydumper_flags

CANARY = "AKIACANARY"


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        (("--threads=16", "--skip-tz-utc"), (Flag("--threads", "16"), Flag("--skip-tz-utc"))),
        (("--set-names=a=b",), (Flag("--set-names", "a=b"),)),
    ],
)
def test_mydumper_flags(options: tuple[str, ...], flags: tuple[Flag, ...]) -> None:
    assert read_mydumper_flags(options) == flags


@pytest.mark.parametrize(
    "option", ["", "-t", "--", "---", "threads", f"--password {CANARY}", CANARY, f"-p{CANARY}"]
)
def test_no_mydumper_flags(option: str) -> None:
    with pytest.raises(ValueError, match="item 2 is not of the form --name") as raised:
        read_mydumper_flags(("--threads=1", option))
    assert CANARY not in str(raised.value)


@given(st.lists(st.text(max_size=10), max_size=5).map(tuple))
def test_any_list_is_flags_or_a_value_error(options: tuple[str, ...]) -> None:
    try:
        assert all(flag.name.startswith("-") for flag in read_mydumper_flags(options))
    except ValueError as error:
        assert str(error)  # noqa: PT017  either outcome is right
