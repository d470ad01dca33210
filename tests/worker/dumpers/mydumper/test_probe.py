"""What a mydumper says of itself."""

import os
from pathlib import Path

import pytest

from tidbbackup.worker.dumpers.mydumper.probe import known_options, probe
from tidbbackup.worker.failure import StepFailed

HELP = """Usage:
  mydumper [OPTION?] multi-threaded MySQL dumping

Application Options:
  -B, --database              Database to dump
  -r, --rows                  Try to split, turns off --chunk-filesize
  --skip-tz-utc               
  --ssl                       Connect using SSL
"""  # noqa: W291  as it is


def test_the_options_in_its_help() -> None:
    assert known_options(HELP) == {"database", "rows", "skip-tz-utc", "ssl"}
    assert known_options("no help") == frozenset()


async def test_one_that_is_not_there() -> None:
    with pytest.raises(StepFailed, match="no program `mydumper`"):
        await probe("/nowhere")


@pytest.mark.integration
async def test_the_real_one() -> None:
    found = await probe(os.environ["PATH"])
    assert found.version.startswith("mydumper ")
    assert {
        "defaults-file",
        "outputdir",
        "regex",
        "tidb-snapshot",
        "ssl",
        "ca",
        "chunk-filesize",
    } <= found.options
    assert "order-by-primary" not in found.options


async def test_one_that_says_nothing(tmp_path: Path) -> None:
    program = tmp_path / "mydumper"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    found = await probe(str(tmp_path))
    assert (found.version, found.options) == ("mydumper", frozenset())
