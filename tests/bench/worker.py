"""`make bench`: the worker against mydumper alone and against the original's way, side by side.

    python -m tests.bench.worker [--size-mb 820] [--rounds 3]

Everything is started for it and stopped after it. Prints medians and ratios, writes .run/bench-worker.json.
"""

import asyncio
import os
import sys

from tests.bench import ways
from tests.bench.asked import MIB, asked, written
from tests.bench.data import fill
from tests.bench.rounds import Rounds, Way, run
from tests.cluster.database import mariadb
from tests.cluster.minio_server import minio_store
from tests.cluster.processes import processes

WAYS: dict[str, Way] = {
    "mydumper": ways.dump_alone,
    "reference": ways.original,
    "ours": ways.ours,
    "zstd": ways.ours_zstd,
}


async def bench(size: int, rounds: int) -> Rounds:
    """Make a MariaDB with that many bytes, and run every way."""
    async with (
        processes() as owned,
        mariadb(owned, flags=["--innodb-buffer-pool-size=1G", "--skip-log-bin"]) as server,
        minio_store(owned) as store,
    ):
        print(f"making {size / 1e6:.0f} MB of rows ...", flush=True)
        await fill(server, size)
        await store.create_bucket(ways.BUCKET)
        place = ways.Place(server, store, owned.folder / "pod")
        return await run(place, WAYS, {"mariadbd": server.child.pid, "minio": store.child.pid}, rounds)


def summary(found: Rounds) -> dict[str, object]:
    """The figures, as they are written."""
    return {
        "mydumper_seconds": found.seconds("mydumper"),
        "reference_seconds": found.seconds("reference"),
        "ours_seconds": found.seconds("ours"),
        "zstd_seconds": found.seconds("zstd"),
        "ours_peak_rss_bytes": found.rss("ours", ways.WORKER),
        "zstd_peak_rss_bytes": found.rss("zstd", ways.WORKER),
        "ours_peak_staging_bytes": found.staging("ours"),
        "zstd_peak_staging_bytes": found.staging("zstd"),
        "reference_peak_staging_bytes": found.staging("reference"),
        "dump_bytes": found.staging("mydumper"),
        "archive_bytes": found.sizes["ours.tgz"],
        "zstd_archive_bytes": found.sizes["ours.tar.zst"],
        "reference_archive_bytes": found.sizes["original.tgz"],
        "cpus": os.cpu_count(),
        "load_average_at_end": os.getloadavg()[0],
        "runs": found.raw(),
    }


def show(found: Rounds) -> str:
    """The figures as people read them."""
    dump, sizes = found.staging("mydumper"), found.sizes

    def staged(name: str, key: str) -> str:
        peak = found.staging(name) / dump
        return (
            f"{found.seconds(name):7.2f} s, archive {sizes[key] / 1e6:.0f} MB, staging {peak:.0%} of the dump"
        )

    def memory(name: str) -> str:
        return f"RSS of the worker {found.rss(name, ways.WORKER) / MIB:.0f} MiB (bar: below 160)"

    lines = [
        f"dump {dump / 1e6:.0f} MB, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}",
        f"(a) mydumper alone   {found.seconds('mydumper'):7.2f} s",
        f"(b) original's way   {staged('reference', 'original.tgz')}",
        f"(c) ours, gzip       {staged('ours', 'ours.tgz')}, {memory('ours')}",
        f"(d) ours, zstd       {staged('zstd', 'ours.tar.zst')}, {memory('zstd')}",
    ]
    lines += [
        f"(b)/(c) = {found.ratio('reference', 'ours'):.2f} (bar: at least 3.8)    "
        f"(c)/(a) = {found.ratio('ours', 'mydumper'):.2f} (bar: at most 2.8)    "
        f"(b)/(d) = {found.ratio('reference', 'zstd'):.2f} (bar: at least 4.5)",
        found.cpu(),
    ]
    return "\n".join(lines)


def main() -> int:
    """Run it; 0 whatever the figures are: they are to be read, not to be passed."""
    given = asked("tests.bench.worker", size_mb=820)
    found = asyncio.run(bench(given.size, given.rounds))
    print(show(found))
    written("bench-worker.json", summary(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
