"""A schedule that is asked for a run at once, by kubectl."""

import pytest

from tests.integration.scene import Scene, phase
from tests.integration.schedule_scene import Schedules

pytestmark = pytest.mark.integration


async def test_each_new_value_of_the_annotation_makes_one_backup(scene: Scene) -> None:
    schedules = Schedules(scene)
    await schedules.create("yearly", "@yearly", pause=True)
    for count, value in enumerate(("first", "first", "second"), 1):
        await scene.kubectl("annotate", "bks", "yearly", f"tidb.pingcap.com/run-now={value}", "--overwrite")
        made = await schedules.until_made(1 if count < 3 else 2)
        for backup in made:
            done = await scene.until_over(backup["metadata"]["name"])
            assert phase(done) == "Complete"
    status = (await schedules.get("yearly"))["status"]
    names = sorted(backup["metadata"]["name"] for backup in await schedules.backups("yearly"))

    assert len(names) == 2
    assert status["observedRunNow"] == "second"
    assert "runNowTime" not in status
    assert status["lastSuccessfulBackup"] == names[-1]
