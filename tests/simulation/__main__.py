"""Plays seeds again, and shows what happened: see the package."""

from __future__ import annotations

import sys

from tests.simulation.simulation import simulate


def main(argv: list[str]) -> int:
    """`SEED`, or `FIRST LAST` for several; returns how many failed."""
    first, last = int(argv[0]), int(argv[-1])
    failed = 0
    for seed in range(first, last + 1):
        try:
            outcome = simulate(seed)
        except BaseException:
            print(f"seed {seed}:")
            raise
        failed += bool(outcome.broken)
        if first == last:
            print("\n".join(outcome.trace))
        if outcome.broken or first == last:
            print(f"seed {seed}: {outcome.broken or 'good'} ({outcome.seconds:.0f} s, {outcome.digest})")
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
