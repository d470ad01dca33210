"""BackupSchedules in a test's place: made, seen, and put back in time.

Seen as a user would; knows nothing of the product's inside but the words of its API.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define

from tests.integration.account import audited
from tests.integration.scene import JSON, NeverHappened, Scene

GROUP = "/apis/pingcap.com/v1alpha1"
NOBODY_HAS = {"nodeSelector": {"disk": "nobody-has-it"}}
"""Of a template: its Backup stays Scheduled, and so neither works nor ends."""
_ROOM = timedelta(seconds=10)


@define(eq=False)
class Schedules:
    """The BackupSchedules of one namespace."""

    scene: Scene

    @property
    def path(self) -> str:
        """Where they are served."""
        return f"{GROUP}/namespaces/{self.scene.namespace}/backupschedules"

    def manifest(self, name: str, schedule: str, template: JSON | None = None, **spec: Any) -> JSON:
        """One whose Backups would complete; `template` replaces parts of their spec, as in Scene.backup."""
        made = self.scene.backup(name, **(template or {}))
        whole = {"schedule": schedule, "backupTemplate": made["spec"]} | spec
        return made | {"kind": "BackupSchedule", "spec": whole}

    async def create(self, name: str, schedule: str, template: JSON | None = None, **spec: Any) -> JSON:
        """Create that one."""
        return await self.scene.lab.plane.api.create(
            self.path, self.manifest(name, schedule, template, **spec)
        )

    async def get(self, name: str) -> JSON:
        """The schedule as it is."""
        return await self.scene.lab.plane.api.get(f"{self.path}/{name}")

    async def until(self, holds: Callable[[JSON], bool], name: str, seconds: float = 30) -> JSON:
        """Wait until its status is as wanted; returns the status."""
        deadline = time.monotonic() + seconds
        while True:
            status: JSON = (await self.get(name)).get("status", {})
            if holds(status):
                return status
            if time.monotonic() > deadline:
                log = self.scene.lab.controller.log()[-3000:]
                raise NeverHappened(f"{name} after {seconds:g} s: {json.dumps(status)}\n{log}")
            await asyncio.sleep(0.1)

    async def put_back(self, name: str, hours: int) -> None:
        """As if no controller had been there for so long: due times count from then."""
        await self.until(lambda status: "scheduleSince" in status, name)
        since = datetime.now(UTC) - timedelta(hours=hours)
        changed = {"scheduleSince": wire(since), "lastDueTime": None}
        await self.scene.lab.plane.api.patch(f"{self.path}/{name}/status", {"status": changed})

    async def drills_put_back(self, name: str, hours: int) -> None:
        """As if drills had been asked for so long."""
        await self.until(lambda status: "drillSince" in status, name)
        changed = {"drillSince": wire(datetime.now(UTC) - timedelta(hours=hours)), "lastDrillTime": None}
        await self.scene.lab.plane.api.patch(f"{self.path}/{name}/status", {"status": changed})

    async def backups(self, name: str = "") -> list[JSON]:
        """The Backups that bear its label, as `kubectl get bk -l` shows them; without a name, of all."""
        label = "tidb.pingcap.com/backup-schedule" + (f"={name}" if name else "")
        path = f"{GROUP}/namespaces/{self.scene.namespace}/backups"
        found: list[JSON] = (await self.scene.lab.plane.api.get(path, labelSelector=label))["items"]
        return found

    async def until_made(self, count: int, name: str = "", seconds: float = 30) -> list[JSON]:
        """Wait for so many of them."""
        deadline = time.monotonic() + seconds
        while len(found := await self.backups(name)) < count:
            if time.monotonic() > deadline:
                log = self.scene.lab.controller.log()[-3000:]
                raise NeverHappened(f"{len(found)} Backups of {name} after {seconds:g} s, not {count}\n{log}")
            await asyncio.sleep(0.1)
        return found


def wire(moment: datetime) -> str:
    """RFC 3339, in whole seconds."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def name_at(schedule: str, due: datetime) -> str:
    """The name of the Backup for a due time."""
    return f"{schedule}-{due:%Y-%m-%dt%H-%M-%S}"


async def minute_ahead() -> datetime:
    """The next full minute, with time enough before it to create what is to be due then."""
    while True:
        now = datetime.now(UTC)
        due = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        if due - now >= _ROOM:
            return due
        await asyncio.sleep(1)


def daily_at(moment: datetime) -> str:
    """A schedule that is due at that minute, and then not again for a day."""
    return f"{moment.minute} {moment.hour} * * *"


def hourly_half_an_hour_from_now() -> str:
    """A schedule that is not due while a test runs."""
    return f"{(datetime.now(UTC) + timedelta(minutes=30)).minute} * * * *"


async def sleep_until(moment: datetime) -> None:
    """Until that time of the clock."""
    await asyncio.sleep(max((moment - datetime.now(UTC)).total_seconds(), 0))


def asked_at(scene: Scene) -> dict[str, datetime]:
    """When the API server was asked to create each Backup here, by its audit log."""
    found: dict[str, datetime] = {}
    with scene.lab.plane.audit_log.open() as lines:
        for line in lines:
            entry = audited(line)
            thing = entry.get("objectRef", {})
            if (entry.get("verb"), thing.get("resource")) != ("create", "backups"):
                continue
            if thing.get("namespace") == scene.namespace:
                found[thing["name"]] = datetime.fromisoformat(entry["requestReceivedTimestamp"])
    return found
