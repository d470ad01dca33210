"""`make bench-controller`: the controller with thousands of objects, on etcd and an API server alone.

    python -m tests.bench.controller        (sizes: see Sizes, each by an environment variable)

Load, controller and bare loop are processes of their own. Prints the figures with their bars and writes
.run/bench-controller.json. On two cores the API server takes most: compare figures of one run.
"""

import asyncio
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta

from tests.bench import crowd, seeds
from tests.bench.alone import PATIENCE, ROOT, Bench, Sizes, cpu_seconds, memory, until
from tests.bench.asked import MIB, written
from tests.bench.bare import GROUP
from tests.bench.crowd import JOBS, backup, create_all, p99, schedule, seeing
from tests.bench.first_run import first_run
from tests.cluster.control_plane import Place, control_plane_of
from tests.cluster.lab import Controller, apply_crds
from tests.cluster.processes import processes

_WORKERS = 4
_ROOM = timedelta(seconds=25)
"""Before a due minute, to make the schedules."""


async def bare_rate(bench: Bench, waiting: seeds.Run) -> None:
    """The writes for new Backups by a bare loop."""
    namespace, api = await bench.namespace("bare"), bench.plane.api
    names = (f"bare-{number:05}" for number in range(bench.sizes.new))
    await create_all(api, f"{GROUP}/{namespace}/backups", map(backup, names))
    given = {
        "url": bench.plane.url,
        "ca": str(bench.plane.ca),
        "token": bench.plane.token,
        "backup": waiting.backup,
        "job": waiting.job,
    }
    async with seeing(api, f"{GROUP}/{namespace}/backups"), seeing(api, f"{JOBS}/{namespace}/jobs"):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.bare", namespace, str(_WORKERS)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        told = json.loads((await process.communicate(json.dumps(given).encode()))[0])
    await bench.clear(namespace)
    bench.tell(bare_jobs_per_second=told["jobs"] / told["seconds"])


async def job_rate(bench: Bench) -> None:
    """New Backups that are there when the controller starts: from ready to the last Job, and to the last
    phase."""
    namespace, api, count = await bench.namespace("fresh"), bench.plane.api, bench.sizes.new
    names = (f"fresh-{number:05}" for number in range(count))
    await create_all(api, f"{GROUP}/{namespace}/backups", map(backup, names))
    async with (
        seeing(api, f"{GROUP}/{namespace}/backups") as backups,
        seeing(api, f"{JOBS}/{namespace}/jobs") as jobs,
        bench.controller() as found,
    ):
        ready, cpu = time.time(), cpu_seconds(found.child.pid)
        await until(lambda: len(jobs.first) == count, f"{count} Jobs")
        done = max(jobs.first.values()) - ready
        await until(lambda: backups.in_phase("Scheduled") == count, f"{count} Backups Scheduled")
        told = time.time() - ready
        used = cpu_seconds(found.child.pid) - cpu
    await bench.clear(namespace)
    bench.tell(
        jobs_per_second=count / done, scheduled_per_second=count / told, cpu_ms_per_backup=1000 * used / count
    )


async def paced(bench: Bench) -> None:
    """New Backups at a steady rate: from Backup to Job."""
    namespace, api, sizes = await bench.namespace("paced"), bench.plane.api, bench.sizes
    async with bench.controller(), seeing(api, f"{JOBS}/{namespace}/jobs") as jobs:
        there = await crowd.create_paced(api, namespace, sizes.rate, sizes.paced_seconds)
        await until(lambda: len(jobs.first) == len(there), f"{len(there)} Jobs")
    waits = [jobs.first[f"backup-{name}"] - at for name, at in there.items()]
    await bench.clear(namespace)
    bench.tell(create_p99_seconds=max(0.0, p99(waits)))


async def many(bench: Bench, finished: seeds.Run) -> None:
    """A start among thousands of finished Backups, and what it costs to do nothing."""
    namespace = await bench.namespace("done")
    await bench.etcd.put(finished.copies(namespace, bench.sizes.finished))
    began = time.monotonic()
    async with bench.controller() as found:
        bench.tell(ready_seconds=time.monotonic() - began)
        await _calm(found)
        bench.tell(start_cpu_seconds=cpu_seconds(found.child.pid))
        found.child.signal(signal.SIGUSR1)
        used = cpu_seconds(found.child.pid)
        await asyncio.sleep(bench.sizes.idle_seconds)
        used = cpu_seconds(found.child.pid) - used
        held = memory(found.child.pid)
        bench.tell(idle_cpu_fraction=used / bench.sizes.idle_seconds)
        bench.tell(rss_bytes=held["VmRSS"], peak_rss_bytes=held["VmHWM"])
    await bench.clear(namespace)


async def _calm(found: Controller) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            used = cpu_seconds(found.child.pid)
            await asyncio.sleep(2)
            if cpu_seconds(found.child.pid) - used < 0.1:
                return


async def lateness(bench: Bench, waiting: seeds.Run, beside: int) -> float:
    """Schedules that are due in one minute, beside so many Backups whose pods wait: how late, at p99."""
    namespace, api = await bench.namespace(f"due-{beside}"), bench.plane.api
    due = (datetime.now(UTC) + timedelta(minutes=1)).replace(second=0, microsecond=0)
    if due - datetime.now(UTC) < _ROOM or beside:
        due += timedelta(minutes=1)
    count = bench.sizes.schedules
    others = await bench.namespace(f"waiting-{beside}")
    async with bench.controller(), seeing(api, f"{GROUP}/{namespace}/backups") as seen:
        made = (schedule(f"due-{number:05}", due) for number in range(count))
        await create_all(api, f"{GROUP}/{namespace}/backupschedules", made)
        if beside:
            # The controller asks about each of them as soon as it sees it, and each minute after that.
            await asyncio.sleep(max(0.0, due.timestamp() - 61 - time.time()))
            await bench.etcd.put(waiting.copies(others, beside))
        await until(lambda: len(seen.first) >= count, f"{count} Backups of schedules")
    late = [at - due.timestamp() for at in seen.first.values()]
    for each in (namespace, others):
        await bench.clear(each)
    return p99(late)


async def run(sizes: Sizes) -> dict[str, object]:
    """Everything, one after the other."""
    quiet = ("--audit-log-path=",)
    async with (
        processes() as owned,
        control_plane_of(owned, Place(), apiserver_flags=quiet, controllers=False) as plane,
        seeds.connect(plane.etcd_url) as etcd,
    ):
        await apply_crds(plane)
        bench = Bench(plane, etcd, sizes, {"load_average_at_start": os.getloadavg()[0]})
        waiting, finished = await first_run(bench)
        await bare_rate(bench, waiting)
        await job_rate(bench)
        await paced(bench)
        await many(bench, finished)
        bench.tell(schedule_lateness_p99_seconds=await lateness(bench, waiting, 0))
        beside = await lateness(bench, waiting, sizes.waiting)
        bench.tell(schedule_lateness_beside_waiting_p99_seconds=beside)
        ticks = [tuple(map(float, line.split())) for line in (plane.folder / "lag").read_text().splitlines()]
        bench.tell(
            loop_lag_max_seconds=max((late for _, late, _ in ticks), default=0.0),
            loop_cpu_lag_max_seconds=max((used for _, _, used in ticks), default=0.0),
            load_average_at_end=os.getloadavg()[0],
        )
        return bench.figures


BARS = {
    "ready_seconds": 4.0,
    "rss_bytes": 130 * MIB,
    "create_p99_seconds": 0.15,
    "loop_lag_max_seconds": 0.25,
    "idle_cpu_fraction": 0.005,
    "schedule_lateness_p99_seconds": 3.0,
}
_RATIO = 0.75


def show(found: dict[str, object]) -> str:
    """The figures that have a bar, with it."""
    ratio = float(str(found["jobs_per_second"])) / float(str(found["bare_jobs_per_second"]))
    lines = [f"{name:32} {float(str(found[name])):15.3f}   bar: below {bar}" for name, bar in BARS.items()]
    return "\n".join([*lines, f"{'Jobs per second / bare':32} {ratio:15.2f}   bar: at least {_RATIO}"])


def main() -> int:
    """Run it; 0 whatever the figures are: they are to be read, not to be passed."""
    sizes = Sizes()
    print(sizes, flush=True)
    found = asyncio.run(run(sizes))
    print(show(found))
    written("bench-controller.json", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
