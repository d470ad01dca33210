"""`make bench-restore`: a restore by the worker against the original's way, into MariaDB and into TiDB.

    python -m tests.bench.restore [--size-mb 820] [--rounds 3]

The original's way: download, unpack, myloader. Prints medians and ratios, writes .run/bench-restore.json.
"""

import asyncio
import json
import os
import sys

from attrs import frozen

from tests.bench import ways
from tests.bench.asked import MIB, asked, written
from tests.bench.data import DATABASE, fill, fill_tidb
from tests.bench.rounds import Rounds, Way, run
from tests.cluster.database import Database, mariadb
from tests.cluster.minio_server import minio_store
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import processes
from tests.cluster.tidb_server import tidb

WAYS: dict[str, Way] = {"reference": ways.load_as_original, "ours": ways.restore}
_LARGEST_IN_TIDB = 100_000_000
"""Its embedded store keeps all in memory."""
_FLAGS = ["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M", "--skip-log-bin"]


@frozen
class Compared:
    """Both ways into one server. Bytes."""

    rounds: Rounds
    dump_bytes: int


async def bench(size: int, rounds: int) -> tuple[Compared, Compared]:
    """Into MariaDB, then into TiDB."""
    async with processes() as owned, minio_store(owned) as store:
        await store.create_bucket(ways.BUCKET)
        async with mariadb(owned, flags=_FLAGS) as server:
            print(f"making {size / 1e6:.0f} MB of rows ...", flush=True)
            await fill(server, size)
            into_mariadb = await _compare(ways.Place(server, store, owned.folder / "pod"), rounds)
        async with tidb(owned) as other:
            await fill_tidb(other, min(size, _LARGEST_IN_TIDB))
            into_tidb = await _compare(ways.Place(other, store, owned.folder / "pod"), rounds)
    return into_mariadb, into_tidb


async def _compare(place: ways.Place, rounds: int) -> Compared:
    """Dump the server's database, then restore it there in both ways, in turns."""
    await ways.clear(place)
    await ways.ours(place)
    manifest = json.loads(await place.store.get(ways.BUCKET, "ours.manifest.json"))

    async def empty(at: ways.Place) -> None:
        await asyncio.to_thread(ways.empty, at)
        await at.database.sql(f"DROP DATABASE IF EXISTS {DATABASE}")

    servers = _pids(place.database, place.store)
    found = await run(place, WAYS, servers, rounds, fresh=empty)
    return Compared(found, sum(file["size"] for file in manifest["files"]))


def _pids(server: Database, store: ObjectStore) -> dict[str, int]:
    return {"server": server.child.pid, "minio": store.child.pid}


def figures(mariadb: Compared, tidb: Compared) -> dict[str, object]:
    """The figures, as they are written."""
    return {
        "reference_seconds": mariadb.rounds.seconds("reference"),
        "ours_seconds": mariadb.rounds.seconds("ours"),
        "ours_peak_rss_bytes": mariadb.rounds.rss("ours", ways.WORKER),
        "ours_peak_disk_bytes": mariadb.rounds.staging("ours"),
        "dump_bytes": mariadb.dump_bytes,
        "tidb_reference_seconds": tidb.rounds.seconds("reference"),
        "tidb_ours_seconds": tidb.rounds.seconds("ours"),
        "tidb_dump_bytes": tidb.dump_bytes,
        "cpus": os.cpu_count(),
        "load_average_at_end": os.getloadavg()[0],
        "runs": {"mariadb": mariadb.rounds.raw(), "tidb": tidb.rounds.raw()},
    }


def show(title: str, found: Compared) -> str:
    """The figures as people read them."""
    rounds = found.rounds
    return "\n".join(
        [
            f"{title}: dump {found.dump_bytes / 1e6:.0f} MB, {os.cpu_count()} CPUs, "
            f"load {os.getloadavg()[0]:.1f}",
            f"(a) download, unpack, myloader {rounds.seconds('reference'):7.2f} s",
            f"(b) ours                       {rounds.seconds('ours'):7.2f} s, peak RSS of the worker "
            f"{rounds.rss('ours', ways.WORKER) / MIB:.0f} MiB (bar: below 256), peak disk "
            f"{rounds.staging('ours') / found.dump_bytes:.1%} of the dump (bar: below 5%)",
            f"(a)/(b) = {rounds.ratio('reference', 'ours'):.2f} (bar: at least 1, goal 1.2)",
            rounds.cpu(),
        ]
    )


def main() -> int:
    """Run it; 0 whatever the figures are: they are to be read, not to be passed."""
    given = asked("tests.bench.restore", size_mb=820)
    into_mariadb, into_tidb = asyncio.run(bench(given.size, given.rounds))
    print(show("MariaDB", into_mariadb))
    print(show("TiDB", into_tidb))
    written("bench-restore.json", figures(into_mariadb, into_tidb))
    return 0


if __name__ == "__main__":
    sys.exit(main())
