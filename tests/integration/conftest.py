"""The whole product at work, shared by the session; each test has a namespace and a bucket of its own."""

import hashlib
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.lab import Lab
from tests.cluster.up import complete_lab
from tests.integration.faults import before_store, within
from tests.integration.hold_proxy import PART, HoldProxy
from tests.integration.scene import Scene, make_scene


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lab() -> AsyncIterator[Lab]:
    """Everything that `make up` starts."""
    async with complete_lab() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(lab: Lab, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """A scene that the tests of one module share, each with Backups of names of its own."""
    module = request.module.__name__.rpartition(".")[2].removeprefix("test_")
    found = await make_scene(lab, module.replace("_", "-"))
    yield found
    await found.check_invariants()
    await found.leave()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def storage_lost(lab: Lab) -> AsyncIterator[tuple[Scene, HoldProxy]]:
    """A backup whose storage is lost halfway. It tries again for a minute: an early test starts
    it by asking for it, a late one looks at its end."""
    found = await make_scene(lab, "storage-lost")
    async with before_store(lab, PART) as proxy:
        await found.apply(found.backup(s3={"endpoint": proxy.url}))
        await within(proxy.reached)
        proxy.cut()
        yield found, proxy
        # Where no test has come to look at its end.
        proxy.release()
        if await found.get():
            await found.delete()
            await found.until_gone()
    await found.check_invariants()
    await found.leave()


@pytest_asyncio.fixture(loop_scope="session")
async def scene(lab: Lab, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """A namespace and a bucket named after the test; the invariants are checked when it is over."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).removeprefix("test-")
    unique = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
    found = await make_scene(lab, f"{words[:40].strip('-')}-{unique}")
    yield found
    await found.check_invariants()
    await found.leave()
