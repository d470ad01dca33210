"""The places in which each scenario runs."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.control_plane import ControlPlane
from tests.decide.contract.in_memory import InMemory
from tests.decide.contract.on_api_server import OnApiServer, api_server
from tests.decide.contract.subject import Server
from tests.simulation.plane import SimulatedPlane
from tidbbackup.kube.client import Client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def product_client(cluster: ControlPlane) -> AsyncIterator[Client]:
    """The product's client for the shared cluster, which knows our CRDs from then on."""
    async with api_server(cluster) as client:
        yield client


@pytest_asyncio.fixture
async def simulated() -> SimulatedPlane:
    """The API server of tests/simulation, in the loop of the test."""
    return SimulatedPlane()


@pytest.fixture(
    params=[
        "world",
        pytest.param("simulation", marks=pytest.mark.looptime),
        pytest.param("api-server", marks=pytest.mark.integration),
    ]
)
def server(request: pytest.FixtureRequest) -> Server:
    """Where the scenario runs."""
    if request.param == "world":
        return InMemory()
    # Asked for by name, so that the world needs no cluster.
    if request.param == "simulation":
        plane: SimulatedPlane = request.getfixturevalue("simulated")
        return OnApiServer(plane, plane.client)
    client = request.getfixturevalue("product_client")
    return OnApiServer(request.getfixturevalue("cluster"), client)
