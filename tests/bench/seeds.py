"""Many objects at once: copies of one that the API server has made, written into its etcd.

Thousands of creates would take longer than all that is measured. Copies share the first half of the uid,
which is in the archive's name.
"""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
from attrs import frozen

from tests.cluster.api import JSON

_AT_ONCE = 64


@frozen(eq=False)
class Etcd:
    """etcd behind an API server."""

    session: aiohttp.ClientSession

    async def put(self, values: dict[str, bytes]) -> None:
        """Write all of them."""
        left = list(values.items())
        while left:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]
            puts = [{"requestPut": {"key": _in64(key.encode()), "value": _in64(body)}} for key, body in some]
            await self._call("txn", {"success": puts})

    async def clear(self, prefix: str) -> None:
        """Delete every key with that prefix."""
        end = prefix[:-1].encode() + bytes([ord(prefix[-1]) + 1])
        await self._call("deleterange", {"key": _in64(prefix.encode()), "range_end": _in64(end)})

    async def _call(self, what: str, body: JSON) -> None:
        async with self.session.post(f"/v3/kv/{what}", json=body) as answer:
            answer.raise_for_status()


def _in64(text: bytes) -> str:
    return base64.b64encode(text).decode()


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Etcd]:
    """A client for the etcd at `url`."""
    async with aiohttp.ClientSession(url) as session:
        yield Etcd(session)


@frozen
class Run:
    """A Backup and its Job as the API server shows them."""

    backup: JSON
    job: JSON

    def copies(self, namespace: str, count: int) -> dict[str, bytes]:
        """As many, as etcd has them: key to value."""
        return dict(self._copies(namespace, count))

    def _copies(self, namespace: str, count: int) -> Iterator[tuple[str, bytes]]:
        meta, job_uid = self.backup["metadata"], self.job["metadata"]["uid"]
        name, uid, old = meta["name"], meta["uid"], meta["namespace"]
        backup, job = _stored(self.backup), _stored(self.job)
        for number in range(count):
            new = f"{namespace}-{number:05}"
            changed = {name: new, uid: f"{uid[:23]}-{number:012x}", job_uid: f"{job_uid[:23]}-{number:012x}"}
            for kind, text, own in (("pingcap.com/backups", backup, new), ("jobs", job, f"backup-{new}")):
                for before, after in changed.items():
                    text = text.replace(before, after)
                text = text.replace(f'"namespace": "{old}"', f'"namespace": "{namespace}"')
                yield f"/registry/{kind}/{namespace}/{own}", text.encode()


def _stored(found: JSON) -> str:
    # The version is etcd's own, and not in the value.
    meta = {name: value for name, value in found["metadata"].items() if name != "resourceVersion"}
    return json.dumps({**found, "metadata": meta})
