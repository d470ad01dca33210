"""dumpling's options as they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.flags.dumpling import DumplingOptions, read_dumpling_options

Options = DumplingOptions


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ((), Options()),
        (("--threads=16", "--rows=10000"), Options(threads=16, rows=10_000)),
        (("--threads", "8"), Options(threads=8)),
        (("-t", "8", "-r=5"), Options(threads=8, rows=5)),
        (("-t8", "-s1000"), Options(threads=8, statement_size=1000)),
        (("-F", "256MiB"), Options(file_size=256 << 20)),
        (("--filesize=1G",), Options(file_size=1 << 30)),
        (("--filesize=67108864",), Options(file_size=64 << 20)),
        (("--filesize=0.5KiB",), Options(file_size=512)),
        (("--filesize=0", "--rows=0"), Options(file_size=0)),
        (("--complete-insert",), Options(complete_insert=True)),
        (("--complete-insert=false",), Options()),
        (("--filetype=sql",), Options(idle=("--filetype",))),
        (
            ("--params", "tidb_replica_read=follower,A=b c", "--params=A=2"),
            Options(variables=(("tidb_replica_read", "follower"), ("a", "2"))),
        ),
        (("--tidb-mem-quota-query=1024",), Options(variables=(("tidb_mem_quota_query", "1024"),))),
    ],
)
def test_what_they_mean(options: tuple[str, ...], read: DumplingOptions) -> None:
    assert read_dumpling_options(options) == read


def test_what_has_no_effect() -> None:
    options = ("--loglevel=debug", "--consistency", "snapshot", "-W")
    assert read_dumpling_options(options) == Options(idle=("--loglevel", "--consistency", "--no-views"))


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
        (("--params=a",), "takes name=value"),
        (("--params=a='b'",), "without quotes"),
        (("--params=a b=1",), "takes name=value"),
        (("--params=a=\\",), "without quotes and backslashes"),
        (("--params=TIDB_SNAPSHOT=1",), "is the worker's own"),
        (("--params=character_set_results=gbk",), "is the worker's own"),
    ],
)
def test_what_is_refused(options: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_dumpling_options(options)


@given(
    st.lists(
        st.one_of(st.text(max_size=8), st.sampled_from(["--rows", "-t", "9", "-F1G", "--params", "a=b"])),
        max_size=5,
    )
)
def test_whatever_stands_there_is_read_or_refused(options: list[str]) -> None:
    try:
        found = read_dumpling_options(tuple(options))
    except ValueError:
        return
    assert min(found.threads, found.rows, found.statement_size, found.file_size or 0) >= 0
