"""The servers of the tests as fixtures, each started by the first test that asks for it and kept to the end.

Event loops: what is shared by the session lives in the session's loop, so whoever uses it has to run there
too. Every async test marked `integration` is therefore moved to the session loop below; unit tests keep a
loop of their own, which looptime needs. A fixture of an integration test that awaits must be made with
`@pytest_asyncio.fixture(loop_scope="session")`, whatever its `scope`: else it runs in another loop.
"""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator

import botocore.session
import pytest
import pytest_asyncio
from hypothesis import settings
from xdist.remote import Producer

from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore, moto_store, rclone_store
from tests.cluster.processes import Processes, processes
from tests.shared_out import ByFile

# How long an example takes says how busy the machine is, not whether a rule holds.
settings.register_profile("tidbbackup", deadline=None)
settings.load_profile("tidbbackup")

# Each S3 client reads the description of S3's API again, a quarter of a second of work. Here it is read once.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


def pytest_sessionstart() -> None:
    """Keep looptime's plugin from making an event loop for every sync test, which nobody would close.

    It asks for the current loop; once "none" has been set, the answer is an error, which it expects.
    """
    asyncio.set_event_loop(None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """How the tests are shared out where several processes run them (`make test`)."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the async integration tests in the loop that their servers live in."""
    for item in items:
        if item.get_closest_marker("integration") is None or not isinstance(item, pytest.Function):
            continue
        # A test may ask for another loop itself: its own marker is nearer and stays.
        asked = item.get_closest_marker("asyncio")
        if inspect.iscoroutinefunction(item.obj) and not (asked and asked.kwargs):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster() -> AsyncIterator[ControlPlane]:
    """A control plane without nodes. Tests share it: use a namespace of your own."""
    async with control_plane() as plane:
        yield plane


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers() -> AsyncIterator[Processes]:
    """The processes and the run folder that the database and the object stores share."""
    async with processes() as owned:
        yield owned


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database(servers: Processes) -> AsyncIterator[Database]:
    """A MariaDB server, empty at first. Tests share it: use databases of your own."""
    async with mariadb(servers) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def object_store(servers: Processes) -> AsyncIterator[ObjectStore]:
    """An S3 server that keeps objects on disk. Tests share it: use a bucket of your own."""
    async with rclone_store(servers) as store:
        yield store


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def header_store(servers: Processes) -> AsyncIterator[ObjectStore]:
    """An S3 server that shows ACL, storage class and encryption as they were sent."""
    async with moto_store(servers) as store:
        yield store
