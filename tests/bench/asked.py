"""What the command line of a benchmark asks for, and where its figures go."""

import argparse
import json
import os
from pathlib import Path

from attrs import frozen

_RUN = Path(__file__).parents[2] / ".run"
MIB = 1 << 20


@frozen
class Asked:
    """Bytes of rows, and how often every way is to run."""

    size: int
    rounds: int


def asked(module: str, size_mb: int) -> Asked:
    """By its options, else by BENCH_MB and BENCH_ROUNDS."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--size-mb", type=int, default=int(os.environ.get("BENCH_MB", size_mb)))
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", "3")))
    given = parser.parse_args()
    return Asked(given.size_mb * 1_000_000, given.rounds)


def written(name: str, figures: dict[str, object]) -> None:
    """Write them into .run, and say so."""
    _RUN.mkdir(exist_ok=True)
    (_RUN / name).write_text(json.dumps(figures, indent=1))
    print(f"written to {_RUN / name}")
