"""What `kubectl get` shows, cell by cell, as a person reads it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from tests.integration.scene import Scene, table
from tests.integration.schedule_scene import Schedules, hourly_half_an_hour_from_now, wire

pytestmark = pytest.mark.integration

AGE = "<so long ago>"
AGES = {"LASTBACKUPTIME", "LASTSUCCESS", "STARTED", "COMPLETED", "AGE"}


async def test_the_tables_read_well(scene: Scene) -> None:
    made, when = Schedules(scene), hourly_half_an_hour_from_now()
    # With a warning too: `storageType` has no effect.
    template = {"storageType": "s3", "cleanPolicy": "OnFailure"}
    await made.create("nightly", when, template, maxBackups=7, maxReservedTime="72h", timeZone="Asia/Tokyo")
    await made.create("paused", when, pause=True)
    await made.put_back("nightly", 1)
    await made.until(lambda found: "lastSuccessfulTime" in found, "nightly")
    await made.until(lambda found: "observedGeneration" in found, "paused")
    (backup,) = await made.backups("nightly")
    name, status = backup["metadata"]["name"], backup["status"]
    # The progress of a run that is complete goes a moment later.
    await scene.until(lambda found: "progress" not in (found or {})["status"], name)

    lines = table(await scene.kubectl("get", "bks", "-owide"))
    expected = {
        "NAME": "nightly",
        "SCHEDULE": when,
        "PAUSED": "false",
        "MAXBACKUPS": "7",
        "MAXRESERVEDTIME": "72h",
        "TIMEZONE": "Asia/Tokyo",
        "LASTBACKUP": name,
        "LASTBACKUPTIME": AGE,
        "LASTSUCCESS": AGE,
        "NEXT": wire(due_time(backup["metadata"]["annotations"]) + timedelta(hours=1)),
        "AGE": AGE,
    }
    # What it has none of is left empty.
    none = {word: "" for word in expected if word.startswith(("MAX", "LAST", "NEXT"))}
    paused = expected | none | {"NAME": "paused", "PAUSED": "true", "TIMEZONE": "UTC"}
    assert [with_ages(line) for line in lines] == [expected, paused]
    assert list(lines[0]) == list(expected), "in this order"
    narrow = table(await scene.kubectl("get", "bks"))
    assert list(narrow[0]) == ["NAME", "SCHEDULE", "PAUSED", "MAXBACKUPS", "MAXRESERVEDTIME", "AGE"]

    selector = "tidb.pingcap.com/backup-schedule=nightly"
    (line,) = table(await scene.kubectl("get", "bk", "-owide", "-l", selector))
    expected = {
        "NAME": name,
        "STATUS": "Complete",
        "BACKUPPATH": status["backupPath"],
        "BACKUPSIZE": status["backupSizeReadable"],
        "COMMITTS": "",  # The database here is no TiDB.
        "PROGRESS": "",
        "STARTED": AGE,
        "COMPLETED": AGE,
        "TIMETAKEN": status["timeTaken"],
        "CLEANPOLICY": "OnFailure",
        "REASON": "ArchiveStored",
        "AGE": AGE,
    }
    assert with_ages(line) == expected
    assert list(line) == list(expected)
    (line,) = table(await scene.kubectl("get", "bk", "-l", selector))
    assert list(line) == [*list(expected)[:6], "AGE"]
    warnings = [each["reason"] for each in status["conditions"] if each["type"] == "Warning"]
    assert warnings == ["NoEffect"]


def due_time(annotations: dict[str, str]) -> datetime:
    """When a schedule's Backup was due."""
    return datetime.fromisoformat(annotations["tidb.pingcap.com/due-time"])


def with_ages(line: dict[str, str]) -> dict[str, str]:
    """A line of a table with one word for each time that has passed."""
    found = {word: re.sub(r"^([0-9]+[smhd])+$", AGE, cell) for word, cell in line.items() if word in AGES}
    return line | found
