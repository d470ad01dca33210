"""Two controllers and one Lease, on a real API server: who works, and who writes nothing."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio
from attrs import frozen

from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.lab import Controller, apply_crds, start_controller
from tests.integration.account import LEASE, account_kubeconfig, apply_rights, deeds
from tests.integration.bare import API, a_backup, eventually, phase_of

pytestmark = pytest.mark.integration

NAMESPACE = "default"
_numbers = itertools.count()

SHORT_AND_DEAF = (
    *(sys.executable, "-c"),
    # Its lease task hangs once it leads: it neither renews nor ends. The fence alone is left.
    "import asyncio\n"
    "from tidbbackup.kube import lease\n"
    "lease.RENEW = 5.0\n"
    "whole = lease.Election._round\n"
    "async def once(election):\n"
    "    while election._fence.opened.is_set():\n"
    "        await asyncio.sleep(3600)\n"
    "    return await whole(election)\n"
    "lease.Election._round = once\n"
    "from tidbbackup.cli import main\n"
    "main()",
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plane() -> AsyncIterator[ControlPlane]:
    """One with our CRDs and the shipped rights, and no node."""
    async with control_plane() as started:
        await apply_crds(started)
        await apply_rights(started)
        yield started


@frozen
class Two:
    """The leader has an account of its own: the audit log tells its writes from the other's."""

    plane: ControlPlane
    leader: Controller
    other: Controller

    async def new_backup(self) -> str:
        """A Backup that somebody has to begin; its name."""
        name = f"bk-{next(_numbers)}"
        await self.plane.api.create(f"{API}/{NAMESPACE}/backups", a_backup(name, NAMESPACE))
        return name

    async def begun(self, name: str, seconds: float = 20) -> None:
        """Wait until the Job of that Backup is created."""

        async def is_so() -> bool:
            return await phase_of(self.plane, NAMESPACE, name) == "Scheduled"

        await eventually(is_so, seconds)

    async def other_leads(self, seconds: float) -> float:
        """Wait until it does; how many seconds that took."""
        began = time.monotonic()

        async def is_so() -> bool:
            return await leads(self.other)

        await eventually(is_so, seconds)
        return time.monotonic() - began

    def writes(self) -> list[str]:
        """What the leader's account has written, but its Lease."""
        return [
            f"{deed.right.verb} {deed.right.resource} {deed.name}"
            for deed in deeds(self.plane)
            if deed.right.verb not in ("get", "list", "watch") and deed.right.resource != "leases"
        ]


async def leads(controller: Controller) -> bool:
    """By its metric."""
    return 'leader_election_master_status{name="tidbbackup-controller"} 1.0' in await controller.metrics()


async def has_objects(controller: Controller) -> bool:
    """Whether its metrics show a Backup."""
    return "tidbbackup_backups{" in await controller.metrics()


async def start_leader(plane: ControlPlane, name: str, *program: str) -> Controller:
    """A controller with the account, once it leads: at once, because nobody holds the Lease."""
    flags = [*LEASE, "--kubeconfig", str(await account_kubeconfig(plane))]
    started = await start_controller(plane, flags, name, *([program] if program else []))

    async def is_so() -> bool:
        return await leads(started)

    await eventually(is_so, 5)
    return started


@pytest_asyncio.fixture(loop_scope="session")
async def two(plane: ControlPlane) -> AsyncIterator[Two]:
    """One that leads and one that stands by."""
    number = next(_numbers)
    leader = await start_leader(plane, f"leader-{number}")
    other = await start_controller(plane, LEASE, f"other-{number}")
    yield Two(plane, leader, other)
    for each in (leader, other):
        await each.stop()


async def test_the_one_that_stands_by_is_ready_and_works_on_nothing(two: Two) -> None:
    await two.begun(await two.new_backup())

    assert await two.other.ready()
    assert not await leads(two.other)
    # A page is shown for a second.
    await eventually(partial(has_objects, two.leader))
    stood_by = await two.other.metrics()
    assert "tidbbackup_backups{" not in stood_by
    assert "controller_runtime_reconcile_total{" not in stood_by


async def test_after_a_clean_stop_the_other_leads_within_3_s(two: Two) -> None:
    assert await two.leader.stop() == 0
    assert await two.other_leads(20) < 3
    await two.begun(await two.new_backup())


async def test_after_a_kill_the_other_leads_within_20_s_and_knows_what_was_left(two: Two) -> None:
    two.leader.child.signal(signal.SIGKILL)
    name = await two.new_backup()
    assert await two.other_leads(30) < 20
    await two.begun(name)


async def test_a_leader_that_was_frozen_begins_no_write_after_it_wakes(two: Two) -> None:
    await two.begun(await two.new_backup())
    two.leader.child.signal(signal.SIGSTOP)
    frozen_at = time.monotonic()
    assert await two.other_leads(30) < 20
    await asyncio.sleep(max(0.0, frozen_at + 20 - time.monotonic()))
    # Nobody else begins these while it wakes.
    two.other.child.signal(signal.SIGSTOP)
    names = [await two.new_backup() for _ in range(3)]
    before = two.writes()
    two.leader.child.signal(signal.SIGCONT)
    async with asyncio.timeout(8):
        code = await two.leader.child.process.wait()
    two.other.child.signal(signal.SIGCONT)

    assert code == 1
    assert "Lease tidbbackup-system/tidbbackup-controller was not renewed in time" in two.leader.log()
    assert any(verb.startswith("create jobs") for verb in before), "it wrote while it led"
    assert two.writes() == before
    for name in names:
        await two.begun(name)


async def test_one_that_has_not_renewed_tries_to_write_and_sends_nothing(plane: ControlPlane) -> None:
    """Even if nothing ends it: the fence is asked before each request."""
    deaf = await start_leader(plane, "deaf", *SHORT_AND_DEAF)
    pair = Two(plane, deaf, deaf)
    await asyncio.sleep(5)
    before = pair.writes()
    await pair.new_backup()

    async def tried() -> bool:
        return "not sent: this process does not hold the Lease" in deaf.log()

    await eventually(tried)
    assert pair.writes() == before
    await deaf.stop()
