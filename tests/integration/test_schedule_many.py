"""Two hundred schedules that are due in the same minute."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.integration.scene import Scene
from tests.integration.schedule_scene import (
    NOBODY_HAS,
    Schedules,
    asked_at,
    daily_at,
    minute_ahead,
    name_at,
    sleep_until,
)

pytestmark = pytest.mark.integration

MANY = 200


async def test_each_has_its_one_backup_within_half_a_minute(scene: Scene) -> None:
    made = Schedules(scene)
    names = [f"s{number}" for number in range(MANY)]
    at = await minute_ahead()
    template = {**NOBODY_HAS, "pendingDeadlineSeconds": 86_400}
    await asyncio.gather(*(made.create(name, daily_at(at), template) for name in names))
    await sleep_until(at)
    found = await made.until_made(MANY)

    assert {each["metadata"]["name"] for each in found} == {name_at(name, at) for name in names}
    assert len(found) == MANY
    asked = asked_at(scene)
    late = sorted(asked[name_at(name, at)] - at for name in names)
    assert timedelta() <= late[0]
    # Some 5 s where the machine has nothing else to do.
    assert late[-1] < timedelta(seconds=30), late[-1]
    for name in names:
        await made.until(lambda status: status.get("lastBackupTime") is not None, name)
    assert len(await made.backups()) == MANY
