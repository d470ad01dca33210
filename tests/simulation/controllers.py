"""Controllers in the simulation: the product's own parts, started, stopped, killed, with clocks that jump."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import define, field

from tests.simulation.network import Network, SimulatedClient
from tidbbackup.controller import _run_parts, assemble
from tidbbackup.kube.connection import Connection, Credentials
from tidbbackup.kube.fence import Fence
from tidbbackup.kube.lease import DEADLINES, Election
from tidbbackup.kube.transport import Retries
from tidbbackup.observability import Metrics
from tidbbackup.settings import Settings

LEASE = ("ns", "controller")


@define(eq=False)
class Controller:
    """One process. Its wall clock is `ahead` of the API server's; `suspended` are seconds, of all times."""

    name: str
    network: Network
    clock: Callable[[], datetime]
    elects: bool
    ahead: timedelta = timedelta()
    suspended: float = 0.0
    stop: asyncio.Event = field(factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins its work: all that `tidbbackup controller` does, but signals and HTTP."""
        self.task = asyncio.create_task(self._run(), name=self.name)

    async def _run(self) -> None:
        connection = Connection("http://simulated", None, Credentials(_no_token, ""))
        metrics, fence = Metrics(), Fence(self.boot_seconds)
        settings = Settings(lease=LEASE, leader_elect=self.elects)
        client = SimulatedClient(self.network, connection, metrics.request, may_write=fence.check)
        election = None
        if self.elects:
            own = SimulatedClient(self.network, connection, metrics.request, DEADLINES, Retries(limit=0))
            election = Election(own, LEASE, fence, me=self.name, clock=self.boot_seconds)
        parts = assemble(client, settings, metrics, fence, election, self.now)
        await _run_parts(parts, settings, self.stop)

    def now(self) -> datetime:
        """Its wall clock."""
        return self.clock() + self.ahead

    def boot_seconds(self) -> float:
        """Its clock that counts suspension."""
        return asyncio.get_running_loop().time() + self.suspended

    def kill(self) -> None:
        """SIGKILL: whatever it still does reaches nobody."""
        self.network.die()
        if self.task is not None:
            self.task.cancel()


async def _no_token() -> str:
    return ""
