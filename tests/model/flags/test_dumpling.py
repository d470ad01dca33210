"""dumpling's options in mydumper's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.flags.dumpling import Translated, translated
from tidbbackup.model.flags.mydumper import Flag, wrong_with


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        (("--threads=16", "--rows=10000"), [Flag("--threads", "16"), Flag("--rows", "10000")]),
        (("--threads", "8"), [Flag("--threads", "8")]),
        (("-t", "8", "-r=5"), [Flag("--threads", "8"), Flag("--rows", "5")]),
        (("-t8", "-s1000"), [Flag("--threads", "8"), Flag("--statement-size", "1000")]),
        (("-F", "256MiB"), [Flag("--chunk-filesize", "256")]),
        (("--filesize=1G",), [Flag("--chunk-filesize", "1024")]),
        (("--filesize=67108864",), [Flag("--chunk-filesize", "64")]),
        (("--filesize=10KiB",), [Flag("--chunk-filesize", "1")]),
        (("--filesize=0", "--rows=0"), []),
        (("--filesize=64M", "--rows=5"), [Flag("--rows", "5")]),
        (("--complete-insert",), [Flag("--complete-insert")]),
        (("--complete-insert=false",), []),
        (("--filetype=sql",), []),
    ],
)
def test_what_they_mean(options: tuple[str, ...], flags: list[Flag]) -> None:
    assert list(translated(options).flags) == flags


def test_what_has_no_effect() -> None:
    assert translated(
        ("--loglevel=debug", "--consistency", "snapshot", "-W", "--params", "a=b")
    ) == Translated(idle=("--loglevel", "--consistency", "--no-views", "--params"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--filter=a.*",), "spec.tableFilter"),
        (("-f", "a.*"), "spec.tableFilter"),
        (("--filetype=csv",), "the dump is SQL"),
        (("--password=x",), "come from spec.from"),
        (("--unheard-of=1",), "leave it out"),
        (("-z",), "-z is not supported"),
        (("--threads",), "needs a value"),
        (("--threads=two",), "a whole number"),
        (("--filesize=big",), "such as 256MiB"),
        (("16",), "item 1 is not of the form"),
        (("--no-data",), "not be whole"),
    ],
)
def test_what_is_refused(options: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        translated(options)


@given(st.lists(st.one_of(st.text(max_size=8), st.sampled_from(["--rows", "-t", "9", "-F1G"])), max_size=5))
def test_what_comes_out_mydumper_is_allowed(options: list[str]) -> None:
    try:
        flags = translated(tuple(options)).flags
    except ValueError:
        return
    assert [wrong_with(flag) for flag in flags if flag.name != "--threads"] == [
        "" for flag in flags if flag.name != "--threads"
    ]
