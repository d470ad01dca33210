"""How long an outage is waited for. Time is looptime's: nothing really sleeps."""

import asyncio
import math

import pytest
from attrs import define

from tidbbackup.model import reasons
from tidbbackup.storage.client import Patience
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.retries import with_retries

pytestmark = pytest.mark.looptime

USUAL = Patience()
DOWN = StorageError(reasons.STORAGE_UNREACHABLE, "down")


@define
class Storage:
    """Down until `up`, seconds from now; each call takes `takes`."""

    up: float = math.inf
    takes: float = 0
    error: StorageError = DOWN
    calls: int = 0

    async def call(self) -> str:
        self.calls += 1
        await asyncio.sleep(self.takes)
        if asyncio.get_running_loop().time() < self.up:
            raise self.error
        return "done"


async def ends_after(storage: Storage, patience: Patience = USUAL) -> float:
    began = asyncio.get_running_loop().time()
    with pytest.raises(StorageError):
        await with_retries(storage.call, "it", patience)
    return asyncio.get_running_loop().time() - began


async def test_what_is_lost_for_good_is_reported_after_a_minute() -> None:
    assert await ends_after(Storage()) == pytest.approx(60)


async def test_silence_is_reported_when_the_minute_is_over() -> None:
    """A storage that does not even refuse: each round takes as long as the client's time-outs."""
    assert await ends_after(Storage(takes=48)) == pytest.approx(48 + 1 + 48 + 2 + 48)


@pytest.mark.parametrize("outage", [0.5, 10, 30, 59])
async def test_an_outage_of_less_than_a_minute_costs_nothing_but_time(outage: float) -> None:
    storage = Storage(up=asyncio.get_running_loop().time() + outage)
    assert await with_retries(storage.call, "it", Patience()) == "done"


async def test_what_another_try_cannot_change_is_reported_at_once() -> None:
    denied = Storage(error=StorageError(reasons.ACCESS_DENIED, "no"))
    assert await ends_after(denied) == 0
    assert denied.calls == 1
