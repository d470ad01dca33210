"""mydumper's command line: nothing from a spec becomes an option, what makes a dump whole is always there."""

from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model import reasons
from tidbbackup.worker.dumpers.mydumper.options import (
    DumpPlan,
    Flags,
    arguments,
    flags,
    judged,
    tuned,
)
from tidbbackup.worker.failure import StepFailed

PLAN = DumpPlan(
    options=tuned({}),
    regex=r"\A(?!x)",
    outputdir=Path("/backup/dump"),
    defaults_file=Path("/run/x/mydumper.cnf"),
    tls=None,
    snapshot="",
    complete_insert=False,
    threads=4,
)


def test_defaults_for_mysql() -> None:
    assert arguments(PLAN) == [
        "--defaults-file=/run/x/mydumper.cnf",
        "--outputdir=/backup/dump",
        r"--regex=\A(?!x)",
        "--no-schemas",
        "--verbose=3",
        "--long-query-guard=3600",
        "--chunk-filesize=64",
        "--threads=4",
    ]


def test_defaults_for_tidb() -> None:
    tidb = attrs.evolve(PLAN, snapshot="470653739273289729", threads=1, complete_insert=True)
    argv = arguments(tidb)
    assert "--tidb-snapshot=470653739273289729', autocommit = '1" in argv
    assert "--threads=1" in argv
    assert "--complete-insert" in argv


def test_rows_of_remote_engines_are_left_out() -> None:
    plan = attrs.evolve(PLAN, remote_engines=("CONNECT", "FEDERATED"))
    assert "--ignore-engines=CONNECT,FEDERATED" in arguments(plan)


def test_the_tasks_options_replace_our_tuning_and_nothing_else() -> None:
    given = tuned(judged(("--rows=10000", "--threads=16", "--skip-tz-utc")))
    argv = arguments(attrs.evolve(PLAN, options=given))
    assert not {"--long-query-guard=3600", "--chunk-filesize=64"} & set(argv)
    assert {"--rows=10000", "--threads=16", "--skip-tz-utc", "--no-schemas", "--verbose=3"} <= set(argv)


def test_tls_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").touch()
    argv = arguments(attrs.evolve(PLAN, tls=tmp_path))
    assert "--ssl" in argv
    assert f"--ca={tmp_path}/ca.crt" in argv
    assert not any(argument.startswith(("--cert", "--key")) for argument in argv)


@pytest.mark.parametrize(
    "option",
    [
        "-h",
        "--",
        "rows=3",
        "--Rows=3",
        "--rows 3",
        "--rows=3\n--logfile=/x",
        "--rows=é",
        "--exec=sh\0",
        "--defaults-file=/etc/passwd",
        "--outputdir=/",
        "--logfile=/etc/x",
        "--host=evil",
        "--password=x",
        "--daemon",
        "--regex=.*",
        "--omit-from-file=/etc/passwd",
        "--tidb-snapshot=1",
        "--ssl",
        "--compress",
        "--build-empty-files",
        "--no-schemas",
        "--no-data",
        "--no-views",
        "--triggers",
        "--ignore-engines=CSV",
        "--tables-list=a.b",
    ],
)
def test_refused_options(option: str) -> None:
    with pytest.raises(StepFailed) as caught:
        judged((option,))
    assert caught.value.reason == reasons.INVALID_SPEC


@given(st.text(), st.text())
def test_every_argument_is_one_option_of_ours(regex: str, snapshot: str) -> None:
    argv = arguments(attrs.evolve(PLAN, regex=regex, snapshot=snapshot))
    assert all(argument.startswith("--") for argument in argv)
    assert argv[2] == f"--regex={regex}"
    assert [a for a in argv if a.startswith("--tidb")] == (
        [f"--tidb-snapshot={snapshot}', autocommit = '1"] if snapshot else []
    )


def test_what_options_mean_for_the_files() -> None:
    assert flags({}) == Flags()
    assert flags(judged(("--rows=5",))) == Flags(chunked=True)
    assert flags(judged(("--no-locks", "--verbose=2"))) == Flags(no_locks=True, verbose=False)


def test_files_are_cut_unless_the_task_says_otherwise() -> None:
    assert tuned(judged(("--threads=3",))) == {"verbose": "3", "threads": "3", "chunk-filesize": "64"}
    assert "chunk-filesize" not in tuned(judged(("--rows=1",)))
    uncut = tuned(judged(("--chunk-filesize=0", "--verbose=2")))
    assert (uncut["chunk-filesize"], uncut["verbose"]) == ("0", "2")
    sizes = {volume: tuned({}, volume << 20)["chunk-filesize"] for volume in (1, 64, 512, 1024, 100_000)}
    assert sizes == {1: "1", 64: "4", 512: "32", 1024: "64", 100_000: "64"}
    assert (flags(tuned({})).chunked, flags(uncut).chunked) == (True, False)


KNOWN = frozenset(argument.removeprefix("--").partition("=")[0] for argument in arguments(PLAN))


def test_mydumper_gets_no_option_that_it_does_not_know() -> None:
    assert arguments(attrs.evolve(PLAN, known=KNOWN)) == arguments(PLAN)
    older = KNOWN - {"chunk-filesize", "long-query-guard", "verbose", "threads"}
    assert arguments(attrs.evolve(PLAN, known=older)) == arguments(PLAN)[:4]
    with pytest.raises(StepFailed, match="does not know --regex") as caught:
        arguments(attrs.evolve(PLAN, known=KNOWN - {"regex"}))
    assert caught.value.reason == reasons.DUMP_FAILED
    asked = judged(("--order-by-primary",))
    with pytest.raises(StepFailed, match="does not know --order-by-primary: leave it out") as caught:
        arguments(attrs.evolve(PLAN, known=KNOWN, options=tuned(asked)), asked)
    assert caught.value.reason == reasons.INVALID_SPEC
