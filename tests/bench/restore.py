"""`make bench-restore`: a restore by the worker against the original's way, side by side.

    python -m tests.bench.restore [--size-mb 820] [--rounds 3]

The original's way: download, unpack, myloader. Everything is started for it and stopped after it. Prints
medians and ratios, writes .run/bench-restore.json.
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
from tests.bench.data import DATABASE, fill
from tests.bench.measure import Measured, measured
from tests.cluster.database import Database, mariadb
from tests.cluster.minio_server import minio_store
from tests.cluster.processes import processes
from tests.cluster.tidb_server import tidb

RESULT = Path(__file__).parents[2] / ".run" / "bench-restore.json"
MIB = 1 << 20
_WORKER = "tidbbackup"
_TIDB_SHARE = 8
"""TiDB gets a database of this share: its embedded store keeps all in memory."""

Way = Callable[[ways.Place], Awaitable[None]]
WAYS: dict[str, Way] = {"reference": ways.load_as_original, "ours": ways.restore}
_FLAGS = ["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M", "--skip-log-bin"]


async def bench(size: int, rounds: int) -> dict[str, object]:
    """Dump once, then restore both ways `rounds` times, in turns; the medians."""
    async with (
        processes() as owned,
        minio_store(owned) as store,
        mariadb(owned, name="target", flags=_FLAGS) as target,
    ):
        await store.create_bucket(ways.BUCKET)
        place = ways.Place(target, store, owned.folder / "pod")
        dump_bytes = await _dump(owned, place, size)
        found = await _compare(place, target, rounds)
        runs = {"mariadb": found}
        await ways.clear(place)
        async with tidb(owned) as server:
            place = ways.Place(server, store, owned.folder / "pod")
            await _dump(owned, place, size // _TIDB_SHARE)
            await server.sql("SET GLOBAL tidb_enable_gogc_tuner = OFF")
            runs["tidb"] = await _compare(place, server, 1)
    return summary(runs, dump_bytes)


async def _dump(owned: object, place: ways.Place, size: int) -> int:
    """Make the archive that is restored; the size of the dump."""
    async with mariadb(owned, name="source", flags=_FLAGS) as source:  # type: ignore[arg-type]
        print(f"making {size / 1e6:.0f} MB of rows ...", flush=True)
        await fill(source, size)
        from_there = ways.Place(source, place.store, place.folder)
        await ways.clear(from_there)
        await ways.ours(from_there)
        manifest = json.loads(await place.store.get(ways.BUCKET, "ours.manifest.json"))
        return sum(file["size"] for file in manifest["files"])


async def _compare(place: ways.Place, server: Database, rounds: int) -> dict[str, list[Measured]]:
    runs: dict[str, list[Measured]] = {name: [] for name in WAYS}
    servers = {"server": server.child.pid, "minio": place.store.child.pid}
    for turn in range(rounds):
        for name, way in WAYS.items():
            ways.empty(place)
            await server.sql(f"DROP DATABASE IF EXISTS {DATABASE}")
            with measured(place.staging, servers) as found:
                await way(place)
            runs[name].append(found)
            print(f"round {turn + 1}, {name}: {found.seconds:.2f} s", flush=True)
    return runs


def summary(runs: dict[str, dict[str, list[Measured]]], dump_bytes: int) -> dict[str, object]:
    """The figures, as they are written."""
    middle = {
        (kind, name): statistics.median(run.seconds for run in found)
        for kind, both in runs.items()
        for name, found in both.items()
    }
    ours = runs["mariadb"]["ours"]
    return {
        "reference_seconds": middle["mariadb", "reference"],
        "ours_seconds": middle["mariadb", "ours"],
        "ours_peak_rss_bytes": max(run.peak_rss[_WORKER] for run in ours),
        "ours_peak_disk_bytes": max(run.peak_folder for run in ours),
        "dump_bytes": dump_bytes,
        "tidb_reference_seconds": middle["tidb", "reference"],
        "tidb_ours_seconds": middle["tidb", "ours"],
        "cpus": os.cpu_count(),
        "load_average_at_end": os.getloadavg()[0],
        "runs": {
            kind: {name: [asdict(run) for run in found] for name, found in both.items()}
            for kind, both in runs.items()
        },
    }


def show(found: dict[str, object]) -> str:
    """The figures as people read them."""
    number = {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
    dump = number["dump_bytes"]
    return "\n".join(
        [
            f"dump {dump / 1e6:.0f} MB, {found['cpus']} CPUs, load {number['load_average_at_end']:.1f}",
            f"(a) download, unpack, myloader {number['reference_seconds']:7.2f} s",
            f"(b) ours                       {number['ours_seconds']:7.2f} s, peak RSS of the worker "
            f"{number['ours_peak_rss_bytes'] / MIB:.0f} MiB (bar: 256), peak disk "
            f"{number['ours_peak_disk_bytes'] / dump:.1%} of the dump (bar: 5%)",
            f"(a)/(b) = {number['reference_seconds'] / number['ours_seconds']:.2f} (bar: 1, goal 1.2)",
            f"TiDB, an eighth of it: (a) {number['tidb_reference_seconds']:.2f} s, (b) "
            f"{number['tidb_ours_seconds']:.2f} s, (a)/(b) = "
            f"{number['tidb_reference_seconds'] / number['tidb_ours_seconds']:.2f}",
        ]
    )


def main() -> int:
    """Run it; 0 whatever the figures are: they are to be read, not to be passed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.restore", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--size-mb", type=int, default=int(os.environ.get("BENCH_MB", "820")))
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", "3")))
    given = parser.parse_args()
    found = asyncio.run(bench(given.size_mb * 1_000_000, given.rounds))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1))
    print(show(found))
    print(f"written to {RESULT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
