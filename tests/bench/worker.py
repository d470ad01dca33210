"""`make bench`: the worker against mydumper alone and against the original's way, side by side.

    python -m tests.bench.worker [--size-mb 800] [--rounds 3]

Everything is started for it and stopped after it. Prints medians and ratios, writes .run/bench-worker.json.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from attrs import asdict

from tests.bench import ways
from tests.bench.data import fill
from tests.bench.measure import Measured, measured
from tests.cluster.database import mariadb
from tests.cluster.minio_server import minio_store
from tests.cluster.processes import processes

RESULT = Path(__file__).parents[2] / ".run" / "bench-worker.json"
MIB = 1 << 20
_WORKER = "tidbbackup"

Way = Callable[[ways.Place], Awaitable[None]]
WAYS: dict[str, Way] = {"mydumper": ways.dump_alone, "reference": ways.original, "ours": ways.ours}


async def bench(size: int, rounds: int) -> dict[str, object]:
    """Run every way `rounds` times, in turns; the medians."""
    async with (
        processes() as owned,
        mariadb(owned, flags=["--innodb-buffer-pool-size=1G", "--skip-log-bin"]) as server,
        minio_store(owned) as store,
    ):
        print(f"making {size / 1e6:.0f} MB of rows ...", flush=True)
        await fill(server, size)
        await store.create_bucket(ways.BUCKET)
        place = ways.Place(server, store, owned.folder / "pod")
        servers = {"mariadbd": server.child.pid, "minio": store.child.pid}
        runs: dict[str, list[Measured]] = {name: [] for name in WAYS}
        sizes = {}
        for turn in range(rounds):
            for name, way in WAYS.items():
                await ways.clear(place)
                with measured(place.staging, servers) as found:
                    await way(place)
                runs[name].append(found)
                print(f"round {turn + 1}, {name}: {found.seconds:.2f} s", flush=True)
                if name == "mydumper":
                    sizes["dump"] = found.peak_folder
                sizes |= await store.objects(ways.BUCKET)
        await ways.clear(place)
    return summary(runs, sizes)


def summary(runs: dict[str, list[Measured]], sizes: dict[str, int]) -> dict[str, object]:
    """The figures, as they are written."""
    seconds = {name: statistics.median(run.seconds for run in found) for name, found in runs.items()}
    peak = max(run.peak_rss[_WORKER] for run in runs["ours"])
    return {
        "mydumper_seconds": seconds["mydumper"],
        "reference_seconds": seconds["reference"],
        "ours_seconds": seconds["ours"],
        "ours_peak_rss_bytes": peak,
        "ours_peak_staging_bytes": max(run.peak_folder for run in runs["ours"]),
        "reference_peak_staging_bytes": max(run.peak_folder for run in runs["reference"]),
        "dump_bytes": sizes["dump"],
        "archive_bytes": sizes["ours.tgz"],
        "reference_archive_bytes": sizes["original.tgz"],
        "cpus": os.cpu_count(),
        "load_average_at_end": os.getloadavg()[0],
        "runs": {name: [asdict(run) for run in found] for name, found in runs.items()},
    }


def show(found: dict[str, object], runs: dict[str, list[dict[str, object]]]) -> str:
    """The figures as people read them."""
    number = {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
    dump = number["dump_bytes"]
    lines = [
        f"dump {dump / 1e6:.0f} MB, archive {number['archive_bytes'] / 1e6:.0f} MB "
        f"(original's way {number['reference_archive_bytes'] / 1e6:.0f} MB), {found['cpus']} CPUs, "
        f"load {number['load_average_at_end']:.1f}",
        f"(a) mydumper alone   {number['mydumper_seconds']:7.2f} s",
        f"(b) original's way   {number['reference_seconds']:7.2f} s, "
        f"peak staging {number['reference_peak_staging_bytes'] / dump:.0%} of the dump",
        f"(c) ours             {number['ours_seconds']:7.2f} s, "
        f"peak staging {number['ours_peak_staging_bytes'] / dump:.0%} of the dump, "
        f"peak RSS of the worker {number['ours_peak_rss_bytes'] / MIB:.0f} MiB",
        f"(b)/(c) = {number['reference_seconds'] / number['ours_seconds']:.2f} (bar: at least 3, goal 4)    "
        f"(c)/(a) = {number['ours_seconds'] / number['mydumper_seconds']:.2f} (bar: at most 3.3)",
        "CPU seconds of the median run, by program:",
    ]
    for name, all_runs in runs.items():
        middle = sorted(all_runs, key=lambda run: float(str(run["seconds"])))[len(all_runs) // 2]
        used = middle["cpu_seconds"]
        assert isinstance(used, dict)
        parts = ", ".join(
            f"{program} {value:.1f}" for program, value in sorted(used.items()) if value >= 0.05
        )
        lines.append(f"  {name:<10} {sum(used.values()):5.1f}: {parts}")
    return "\n".join(lines)


def main() -> int:
    """Run it; 0 whatever the figures are: they are to be read, not to be passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.worker", description=__doc__.splitlines()[0])
    parser.add_argument("--size-mb", type=int, default=int(os.environ.get("BENCH_MB", "820")))
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", "3")))
    given = parser.parse_args()
    found = asyncio.run(bench(given.size_mb * 1_000_000, given.rounds))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1))
    runs = found["runs"]
    assert isinstance(runs, dict)
    print(show(found, runs))
    print(f"written to {RESULT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
