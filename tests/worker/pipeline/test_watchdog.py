"""The watchdog, on a virtual clock."""

import asyncio

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.pipeline.watchdog import watch_progress

pytestmark = pytest.mark.looptime


async def test_only_silence_ends_a_run() -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()

    def moved_until_three_hours() -> int:
        return int(min(loop.time() - start, 3 * 3600) // 1700)

    with pytest.raises(StepFailed, match="for 1800 s: where it waits") as caught:
        await watch_progress(moved_until_three_hours, 1800, lambda: "where it waits")
    assert caught.value.reason == reasons.STALLED
    assert 6 * 1700 + 1800 <= loop.time() - start <= 6 * 1700 + 1820
