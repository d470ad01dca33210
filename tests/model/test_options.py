"""Flags of rclone and mydumper, as users write them; what may be a key is never repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.options import Flag, read_mydumper_flags, read_rclone_flags

CANARY = "AKIACANARY"


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ((), ()),
        (("--ignore-checksum",), (Flag("--ignore-checksum"),)),
        (("--stats=1s",), (Flag("--stats", "1s"),)),
        (("--stats", "1s", "-v"), (Flag("--stats", "1s"), Flag("-v"))),
        (("--checkers", "-1"), (Flag("--checkers", "-1"),)),
        (("--s3-acl", "private"), (Flag("--s3-acl", "private"),)),
        (("--x=a=b",), (Flag("--x", "a=b"),)),
    ],
)
def test_rclone_flags(options: tuple[str, ...], flags: tuple[Flag, ...]) -> None:
    assert read_rclone_flags(options) == flags


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("private",), "item 1 is no flag"),
        (("--stats=1s", "1s"), "item 2 is no flag"),
        (("--s3-acl", "a", "b"), "item 3 is no flag"),
        (("--stats",), "--stats needs a value"),
        (("",), "item 1 is no flag"),
    ],
)
def test_no_rclone_flags(options: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_rclone_flags(options)


@pytest.mark.parametrize(
    "options",
    [
        ("--s3-secret-access-key", CANARY),
        (f"--s3-secret-access-key={CANARY}",),
        (f"--s3-secret-access-key {CANARY}",),
        (CANARY,),
        ("--ignore-checksum", "-v", "x", CANARY),
    ],
)
def test_a_value_stands_in_no_name_and_no_error(options: tuple[str, ...]) -> None:
    try:
        told = " ".join(flag.name for flag in read_rclone_flags(options))
    except ValueError as error:
        told = str(error)
    assert CANARY not in told


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
    for read in (read_rclone_flags, read_mydumper_flags):
        try:
            assert all(flag.name.startswith("-") for flag in read(options))
        except ValueError as error:
            assert str(error)  # noqa: PT017  either outcome is right
