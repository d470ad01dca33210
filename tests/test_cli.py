"""The command line: verbs, help, and usage errors that say what is wrong: also what arguments.py promises."""

import subprocess
import sys

import pytest

from tidbbackup import __version__
from tidbbackup.cli import main

VERBS = (
    *("controller", "worker", "status", "run-now", "check", "explain", "render"),
    *("run", "verify", "restore", "list", "adopt"),
)


def exit_of(*argv: str) -> int:
    """The exit code where argparse ends it all."""
    with pytest.raises(SystemExit) as raised:
        main(argv)
    assert isinstance(raised.value.code, int)
    return raised.value.code


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of("--help") == 0
    out = capsys.readouterr().out
    assert [verb for verb in VERBS if verb not in out] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(verb, "--help") == 0
    assert "usage: tidbbackup" in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of("--version") == 0
    assert capsys.readouterr().out == f"tidbbackup {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "VERB"),
        (["restore"], "the following arguments are required: url, --to"),
        (["restore", "s3://b/k.tgz", "--to", "db", "--overwrite", "all"], "invalid choice: 'all'"),
        (["list"], "the following arguments are required: url"),
        (["adopt", "s3://b"], "the following arguments are required: -n/--namespace"),
        (["no-such-verb"], "invalid choice: 'no-such-verb'"),
        (["check"], "file"),
        (["explain"], "file"),
        (["explain", "f", "--at", "tomorrow"], "tomorrow is not a time such as 2026-11-23T03:00:00Z"),
        (["explain", "f", "--at", "2026-11-23T03:00:00"], "with its zone"),
        (["explain", "f", "--at", "9999-12-31T23:59:59Z"], "9999-12-31T23:59:59Z is not a time"),
        (["worker", "mine"], "invalid choice: 'mine'"),
        (["controller", "--metrics-port", "70000"], "70000 is not a port from 0 to 65535"),
        (["controller", "--metrics-port", "-1"], "-1 is not a port from 0 to 65535"),
        (["controller", "--metrics-port", "http"], "http is not a port from 0 to 65535"),
        (["controller", "--workers", "0"], "0 is not a positive number"),
        (["controller", "--max-running-per-server", "-1"], "-1 is not a number from 0 on"),
        (["controller", "--max-running-per-namespace", "two"], "two is not a number from 0 on"),
        (["controller", "--workers", "many"], "many is not a positive number"),
        (["controller", "--log-level", "loud"], "invalid choice: 'loud'"),
    ],
)
def test_usage(argv: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(*argv) == 2
    assert why in capsys.readouterr().err


_ASKED_TO_END = """
import os, signal, sys
# What the kernel does for PID 1 of a pod: a signal that nobody has asked for is dropped.
signal.signal(signal.SIGTERM, signal.SIG_IGN)

class Asked:
    def find_spec(self, name, *_):
        if name.startswith(sys.argv[1]):
            print(*{"asyncio", "botocore"} & set(sys.modules), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

from tidbbackup.cli import main
sys.meta_path.insert(0, Asked())
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("first", "argv"),
    [
        ("tidbbackup.worker", ["worker", "dump"]),
        ("asyncio", ["controller"]),
        ("tidbbackup.", ["run", "-f", "none.yaml"]),
        ("tidbbackup.", ["verify", "s3://b/k.tgz"]),
        ("tidbbackup.", ["check", "none.yaml"]),
        ("tidbbackup.", ["explain", "none.yaml"]),
        ("tidbbackup.", ["render", "none.yaml"]),
    ],
)
def test_a_verb_that_is_asked_to_end_while_it_starts_does_so(first: str, argv: list[str]) -> None:
    """On a busy node imports take seconds; a dump that begins after them would be killed, not ended."""
    ended = subprocess.run(
        [sys.executable, "-c", _ASKED_TO_END, first, *argv], capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (143, b"\n")
