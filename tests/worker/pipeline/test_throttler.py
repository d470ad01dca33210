"""mydumper is suspended and released by its signals alone, and what is too large for the volume is named."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define, field

from tidbbackup.model import reasons
from tidbbackup.worker.counters import Counters
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.pipeline.throttler import Throttler

pytestmark = pytest.mark.looptime

MIB = 1 << 20
BUDGET = 100 * MIB


@define
class Mydumper:
    """Writes down what is done to it."""

    signals: list[str] = field(factory=list)

    def holds_no_lock(self) -> bool:
        return True

    def suspend(self) -> None:
        self.signals.append("suspend")

    def resume(self) -> None:
        self.signals.append("resume")


@define
class Volume:
    """The belt and the archive at once, with what the test puts on the volume."""

    closed_bytes: int = 0
    freed_bytes: int = 0
    growing_bytes: int = 0
    sending_bytes: int = 0
    writing: dict[str, int] = field(factory=dict)

    def writing_sizes(self) -> dict[str, int]:
        return self.writing


@define
class Scene:
    """A throttler at work."""

    mydumper: Mydumper = field(factory=Mydumper)
    volume: Volume = field(factory=Volume)
    counters: Counters = field(factory=Counters)

    def keep(self) -> asyncio.Task[None]:
        """Begins."""
        order = SimpleNamespace(found=SimpleNamespace(is_tidb=False))
        dump = SimpleNamespace(
            order=order, process=self.mydumper, name="mydumper", cutting_option="--chunk-filesize"
        )
        parts: list[Any] = [self.counters, dump, self.volume, self.volume, BUDGET]
        return asyncio.create_task(Throttler(*parts).keep())


async def test_it_is_held_while_too_much_waits_and_released_after_that() -> None:
    scene = Scene(volume=Volume(closed_bytes=BUDGET + MIB))
    keeping = scene.keep()
    await asyncio.sleep(10)
    assert scene.mydumper.signals == ["suspend"]

    scene.volume.freed_bytes = BUDGET
    await asyncio.sleep(1)
    assert scene.mydumper.signals == ["suspend", "resume"]
    assert scene.counters.held_seconds == pytest.approx(10, abs=1)
    keeping.cancel()


async def test_it_is_not_touched_while_there_is_room() -> None:
    scene = Scene(volume=Volume(closed_bytes=MIB, writing={"a.sql": MIB}))
    keeping = scene.keep()
    await asyncio.sleep(60)
    assert scene.mydumper.signals == []
    keeping.cancel()


async def test_files_that_fill_the_volume_before_they_are_closed_are_named() -> None:
    """The largest three, and what helps."""
    sizes = {f"shop.t{number}.sql": number * 30 * MIB for number in range(1, 6)}
    scene = Scene(volume=Volume(writing=sizes))
    with pytest.raises(StepFailed) as failed:
        await scene.keep()

    assert failed.value.reason == reasons.STAGING_TOO_SMALL
    text = str(failed.value)
    assert "shop.t5.sql (" in text
    assert "shop.t3.sql (" in text
    assert "shop.t2.sql" not in text
    assert " and 2 more; raise spec.storageSize" in text
