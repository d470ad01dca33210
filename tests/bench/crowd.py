"""Many users at once, and when what they wait for was seen: the load of `make bench-controller`."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

from attrs import define, field

from tests.bench.bare import GROUP
from tests.cluster.api import JSON, Api

_AT_ONCE = 16
JOBS = "/apis/batch/v1/namespaces"


@define
class Seen:
    """The objects of one kind in a namespace: when each was first seen (wall clock), and as it is now."""

    first: dict[str, float] = field(factory=dict)
    newest: dict[str, JSON] = field(factory=dict)

    def take(self, event: JSON) -> None:
        """One event of a watch."""
        found = event["object"]
        if event["type"] in ("ADDED", "MODIFIED"):
            self.first.setdefault(found["metadata"]["name"], time.time())
            self.newest[found["metadata"]["name"]] = found

    def in_phase(self, phase: str) -> int:
        """How many are in that phase."""
        return sum(found.get("status", {}).get("phase") == phase for found in self.newest.values())


@asynccontextmanager
async def seeing(api: Api, path: str) -> AsyncIterator[Seen]:
    """Watch the objects of a collection."""
    seen = Seen()

    async def look() -> None:
        listed = await api.get(path)
        for found in listed["items"]:
            seen.take({"type": "ADDED", "object": found})
        async for event in api.watch(path, resourceVersion=listed["metadata"]["resourceVersion"]):
            seen.take(event)

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def backup(name: str) -> JSON:
    """A Backup as users write it; it may wait for a day."""
    spec = {
        "from": {"host": "demo1-tidb.demo.svc", "port": 4000, "user": "root", "secretName": "tidb-secret"},
        "s3": {"provider": "aws", "region": "us-west-2", "bucket": "backups", "secretName": "s3-secret"},
        "storageClassName": "local-storage",
        "storageSize": "10Gi",
        "pendingDeadlineSeconds": 86_400,
    }
    return {
        "apiVersion": "pingcap.com/v1alpha1",
        "kind": "Backup",
        "metadata": {"name": name},
        "spec": spec,
    }


def schedule(name: str, due: datetime) -> JSON:
    """A BackupSchedule that is due at that minute, each day."""
    spec = {"schedule": f"{due.minute} {due.hour} * * *", "backupTemplate": backup(name)["spec"]}
    return {**backup(name), "kind": "BackupSchedule", "spec": spec}


async def create_all(api: Api, path: str, manifests: Iterable[JSON]) -> None:
    """Create them as quickly as the API server takes them."""
    left = list(manifests)

    async def work() -> None:
        while left:
            await api.create(path, left.pop())

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


async def create_paced(api: Api, namespace: str, rate: float, seconds: float) -> dict[str, float]:
    """Create that many Backups a second; when each was there (wall clock)."""
    there: dict[str, float] = {}

    async def one(name: str) -> None:
        await api.create(f"{GROUP}/{namespace}/backups", backup(name))
        there[name] = time.time()

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            group.create_task(one(f"{namespace}-{number:05}"))
    return there


def p99(values: Iterable[float]) -> float:
    """The 99th percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
