"""`make bench`, the second half: the worker with each dumper against that dumper alone, from a TiDB.

    python -m tests.bench.tidb [--size-mb 250] [--rounds 3]

Prints medians and ratios, writes .run/bench-tidb.json.
"""

import asyncio
import os
import sys

from tests.bench import ways
from tests.bench.asked import MIB, asked, written
from tests.bench.data import fill_tidb
from tests.bench.rounds import Rounds, Way, run
from tests.cluster.minio_server import minio_store
from tests.cluster.processes import processes
from tests.cluster.tidb_server import tidb

DUMPERS: dict[str, tuple[Way, Way]] = {
    "mydumper": (ways.dump_alone, ways.ours),
    "dumpling": (ways.dumpling_alone, ways.ours_dumpling),
}
"""The dumper alone, and ours with it."""


async def bench(size: int, rounds: int) -> Rounds:
    """Make a TiDB with that many bytes, and run every way."""
    async with processes() as owned, tidb(owned) as server, minio_store(owned) as store:
        print(f"making {size / 1e6:.0f} MB of rows in TiDB ...", flush=True)
        await fill_tidb(server, size)
        await store.create_bucket(ways.BUCKET)
        place = ways.Place(server, store, owned.folder / "pod")
        turns = {name: way for name, (way, _) in DUMPERS.items()}
        turns |= {f"ours, {name}": way for name, (_, way) in DUMPERS.items()}
        return await run(place, turns, {"tidb-server": server.child.pid, "minio": store.child.pid}, rounds)


def show(found: Rounds) -> str:
    """The figures as people read them."""
    dump = found.staging("mydumper")
    lines = [f"TiDB: dump {dump / 1e6:.0f} MB, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"]
    for name in DUMPERS:
        ours = f"ours, {name}"
        lines.append(
            f"{name} alone {found.seconds(name):7.2f} s, {ours} {found.seconds(ours):7.2f} s, "
            f"ratio {found.ratio(ours, name):.2f} (bar: at most 1.3), "
            f"peak RSS of the worker {found.rss(ours, ways.WORKER) / MIB:.0f} MiB"
        )
    return "\n".join([*lines, found.cpu()])


def main() -> int:
    """Run it; 0 whatever the figures are: they are to be read, not to be passed."""
    given = asked("tests.bench.tidb", size_mb=250)
    found = asyncio.run(bench(min(given.size, 400_000_000), given.rounds))
    print(show(found))
    written("bench-tidb.json", {"dump_bytes": found.staging("mydumper"), "runs": found.raw()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
