"""Hundreds of the largest objects that an API server keeps: memory and the loop are ours to bound."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidbbackup.kube.client import EVERYTHING, Selector
from tidbbackup.kube.decode import Malformed
from tidbbackup.kube.errors import TooLong
from tidbbackup.kube.resources import JOBS, Resource
from tidbbackup.kube.store import Store
from tidbbackup.kube.transport import ANSWER_LIMIT
from tidbbackup.kube.watch import Target, list_all
from tidbbackup.model.resource.backup import Backup
from tidbbackup.reconcile.kinds import BACKUPS, KINDS

COUNT = 50
GROWTH = 40 * 1024 * 1024
"""One answer, one object, and what Python keeps; the bytes alone of all objects are over 60 MB."""
ENV = [{"name": f"A{number:05d}"} for number in range(65_000)]
MANY = {f"a{number:05d}": "" for number in range(90_000)}
TEXT = {"text": "x" * 1_400_000}
PAGE = b'{"kind":"List","metadata":{"resourceVersion":"9","continue":"%s"},"items":[%s]}'


class Server:
    """Lists objects that are all alike but for their names, as many to a page as it is asked for."""

    def __init__(self, **parts: Any) -> None:
        meta = {"namespace": "ns", "uid": "u", "resourceVersion": "5"} | parts.pop("metadata", {})
        whole = msgspec.json.encode({"metadata": meta | {"name": "NAME"}} | parts)
        self._before, self._after = whole.split(b"NAME")
        self.longest = 0

    async def list_page(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        selector: Selector = EVERYTHING,
        limit: int = 0,
        token: str = "",
    ) -> bytes:
        """See Client: what is longer than it takes in is given up."""
        first = int(token or 0)
        last = min(COUNT, first + limit)
        if (last - first) * (len(self._before) + len(self._after)) > ANSWER_LIMIT:
            raise TooLong("GET /x")
        items = b",".join(self._before + b"%d" % number + self._after for number in range(first, last))
        body = PAGE % (b"%d" % last if last < COUNT else b"", items)
        self.longest = max(self.longest, len(body))
        return body

    watch: Any = None


def resident() -> int:
    """Bytes of memory that this process has now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def listed(server: Server, resource: Resource) -> tuple[Store[Any], int]:
    """A store that has listed it all, and by how many bytes this process has grown for it."""
    store: Store[Any] = Store(resource)
    target: Target[Any] = Target(resource, KINDS[resource.kind].decode)
    before = resident()
    store.apply(await list_all(server, target, 500))
    return store, resident() - before


@pytest.mark.parametrize(
    "parts",
    [
        {"spec": {"env": ENV}},
        {"spec": {"affinity": {"nodeAffinity": MANY}}},
        {"spec": {"gcs": TEXT}},
        {"status": {"backupPath": TEXT["text"]}},
        {"metadata": {"labels": MANY}},
    ],
    ids=["env", "affinity", "gcs", "status", "labels"],
)
async def test_hundreds_of_the_largest_backups_cost_next_to_nothing(parts: dict[str, Any]) -> None:
    server = Server(**parts)
    store, grown = await listed(server, BACKUPS)

    assert len(store.cache) == COUNT
    assert all(isinstance(found, Malformed) for found in store.cache.all())
    assert grown < GROWTH
    assert server.longest < ANSWER_LIMIT


async def test_of_the_jobs_of_large_backups_nothing_is_kept_but_what_we_read() -> None:
    pod = {"containers": [{"name": "backup", "env": ENV}]}
    store, grown = await listed(Server(spec={"template": {"spec": pod}}, status={"active": 1}), JOBS)

    assert not any(isinstance(found, Malformed) for found in store.cache.all())
    assert grown < GROWTH


async def test_the_loop_is_never_held_up_for_long_by_a_list() -> None:
    target: Target[Backup] = Target(BACKUPS, KINDS["Backup"].decode)
    turns: list[float] = []

    async def others() -> None:
        while True:
            turns.append(time.thread_time())
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    listing = asyncio.create_task(list_all(Server(spec={"env": ENV}), target, 500))
    await listing
    beside.cancel()
    # What this thread has computed between two turns, and not the time of day: others use the machine too.
    assert max(later - earlier for earlier, later in pairwise(turns)) < 0.25
    assert len(turns) > COUNT
