"""One installation for all end-to-end tests; each takes a site of its own."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.ceph_server import ceph
from tests.cluster.certificates import write_certificates
from tests.cluster.processes import Processes
from tests.cluster.real.required import require_whole_node
from tests.e2e.installation import Installation, Site, installation, port_of


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def installed() -> AsyncIterator[Installation]:
    """The product, installed on a whole node."""
    require_whole_node()
    async with installation() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def site(installed: Installation, request: pytest.FixtureRequest) -> Site:
    """A namespace and a bucket named after the test."""
    return await installed.site(name_after(request))


@pytest_asyncio.fixture(loop_scope="session")
async def site_on_ceph(
    installed: Installation, servers: Processes, request: pytest.FixtureRequest
) -> AsyncIterator[Site]:
    """The same, with the bucket in a real Ceph."""
    certificates = write_certificates(servers.folder / "ceph-certificates", ["127.0.0.1"])
    async with ceph(servers, certificates) as gateway:
        await installed.node.doors.open_outwards(port_of(gateway.http))
        yield await installed.site(name_after(request), gateway.http)


def name_after(request: pytest.FixtureRequest) -> str:
    """The test's name as a namespace and a bucket may be called."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).removeprefix("test-")
    return words[:50].strip("-")
