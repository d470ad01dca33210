"""The simulated API server and the controllers of Kubernetes, for the contract suites.

No node takes its pods, and nothing goes wrong.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import msgspec
from attrs import define, field, frozen

from tests.cluster.api import JSON, ApiRefused
from tests.decide.builders import NOW
from tests.simulation.cluster import Cluster
from tests.simulation.network import Network, SimulatedClient
from tests.simulation.server import ApiServer, Refusal
from tests.simulation.store import encode
from tests.simulation.watching import Watches
from tests.simulation.weather import Weather
from tidbbackup.kube.client import Client
from tidbbackup.kube.connection import Connection, Credentials


@frozen
class SimulatedApi:
    """See tests.cluster.api.Api."""

    server: ApiServer

    async def get(self, path: str) -> JSON:
        """See Api."""
        return self._call("GET", path)

    async def create(self, path: str, body: JSON) -> JSON:
        """See Api."""
        return self._call("POST", path, body)

    async def patch(self, path: str, body: JSON) -> JSON:
        """See Api."""
        return self._call("PATCH", path, body)

    async def delete(self, path: str, body: JSON | None = None) -> JSON:
        """See Api."""
        return self._call("DELETE", path, body)

    async def is_ok(self, path: str) -> bool:
        """See Api."""
        try:
            self._call("GET", path)
        except ApiRefused:
            return False
        return True

    def _call(self, method: str, path: str, body: JSON | None = None) -> JSON:
        try:
            _, raw = self.server.answer(method, path, {}, encode(body) if body else b"")
        except Refusal as refusal:
            raise ApiRefused(method, path, refusal.status, refusal.message) from refusal
        found: JSON = msgspec.json.decode(raw)
        return found


@define
class SimulatedPlane:
    """In place of tests.cluster.control_plane.ControlPlane; to be made in the loop of its test."""

    server: ApiServer = field(init=False)
    api: SimulatedApi = field(init=False)
    client: Client = field(init=False)

    def __attrs_post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.server = ApiServer(lambda: NOW + timedelta(seconds=loop.time() - began))
        Cluster(self.server, random.Random(0))
        self.api = SimulatedApi(self.server)
        weather = Weather(random.Random(0))
        network = Network(self.server, Watches(self.server.objects, weather), weather, "a test")

        async def read() -> str:
            return ""

        self.client = SimulatedClient(network, Connection("http://simulated", None, Credentials(read, "")))
