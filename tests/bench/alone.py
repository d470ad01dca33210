"""etcd and API server alone, controllers beside them, and what these use: for `make bench-controller`.

No Job gets a pod, so nothing happens but what the controller does.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import define, frozen
from yarl import URL

from tests.bench import seeds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.lab import Controller, start_controller

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0
"""Seconds that anything may take."""


def _asked(name: str, usual: int) -> int:
    return int(os.environ.get(f"BENCH_{name}", usual))


@frozen
class Sizes:
    """How many of each; BENCH_FINISHED=100 and the like make it small."""

    finished: int = _asked("FINISHED", 10_000)
    new: int = _asked("NEW", 1_000)
    rate: int = _asked("RATE", 50)
    paced_seconds: int = _asked("PACED_SECONDS", 20)
    schedules: int = _asked("SCHEDULES", 1_000)
    waiting: int = _asked("WAITING", 4_000)
    idle_seconds: int = _asked("IDLE_SECONDS", 30)


@define
class Bench:
    """A cluster without controllers, and what was found so far."""

    plane: ControlPlane
    etcd: seeds.Etcd
    sizes: Sizes
    figures: dict[str, object]

    async def namespace(self, name: str) -> str:
        """A new one."""
        await self.plane.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    async def clear(self, namespace: str) -> None:
        """Remove all of ours from a namespace, while no controller runs."""
        for kind in ("pingcap.com/backups", "pingcap.com/backupschedules", "jobs", "events"):
            await self.etcd.clear(f"/registry/{kind}/{namespace}/")

    @asynccontextmanager
    async def controller(self) -> AsyncIterator[Controller]:
        """A controller, ready; stopped at the end."""
        plane, place = self.plane, URL(self.plane.url)
        account = plane.folder / "account"
        account.mkdir(exist_ok=True)
        (account / "token").write_text(plane.token)
        (account / "ca.crt").write_bytes(plane.ca.read_bytes())
        server = f"KUBERNETES_SERVICE_HOST={place.host}", f"KUBERNETES_SERVICE_PORT={place.port}"
        run = (sys.executable, "-m", "tests.bench.lag", str(plane.folder / "lag"), str(account))
        found = await start_controller(plane, program=("env", "-C", str(ROOT), *server, *run))
        try:
            yield found
        finally:
            await found.stop()

    def tell(self, **figures: object) -> None:
        """Keep figures, and show them."""
        self.figures |= figures
        for name, value in figures.items():
            shown = f"{value:.3f}" if isinstance(value, float) else value
            print(f"  {name} = {shown}", flush=True)


async def until(holds: Callable[[], bool], what: str) -> None:
    """Look until it is so. Raises TimeoutError."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110  there is nobody to tell
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"{what} not within {PATIENCE:g} s") from None


def cpu_seconds(pid: int) -> float:
    """Of all threads of a process so far."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(path.read_text().split()[0]) for path in files) / 1e9


def memory(pid: int) -> dict[str, int]:
    """Its status of the kernel in bytes: VmRSS, VmHWM and the like."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1] == "kB"}
