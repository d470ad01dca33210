"""StorageClass `local-storage` and its volumes: folders on this machine, used again and again.

Local volumes, because the kubelet applies a pod's fsGroup to them and not to hostPath. Knows no pod.
"""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from attrs import Factory, define, frozen

from tests.cluster.api import JSON, Api, ApiRefused

STORAGE_CLASS = "local-storage"

_POOL_LABEL = "tidbbackup.test/pool"
_OFFERED = "tidbbackup.test/offered"
_VOLUMES = "/api/v1/persistentvolumes"
_RETRY_SECONDS = 0.5

_log = logging.getLogger(__name__)


def storage_class() -> JSON:
    """The class: no provisioner, bound when a pod that uses the claim has been given a node."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def volume(name: str, node: str, path: Path, size: str) -> JSON:
    """A PersistentVolume for the folder `path` on `node`."""
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {_POOL_LABEL: node}},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Filesystem",
            "storageClassName": STORAGE_CLASS,
            # There is no plugin that could delete a folder: `pool` gives volumes back instead.
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
        },
    }


def to_delete(volumes: Iterable[JSON]) -> list[str]:
    """The names of those whose claim is gone and which are not being deleted yet."""
    return [
        item["metadata"]["name"]
        for item in volumes
        if item.get("status", {}).get("phase") in ("Released", "Failed")
        and "deletionTimestamp" not in item["metadata"]
    ]


def to_offer(volumes: Iterable[JSON]) -> list[str]:
    """The names of those that have become free and were not pointed out yet."""
    return [
        item["metadata"]["name"]
        for item in volumes
        if item.get("status", {}).get("phase") == "Available"
        and _OFFERED not in item["metadata"].get("annotations", {})
    ]


@frozen
class _Wanted:
    """A volume to be there, and the mode of its folder."""

    item: JSON
    mode: int


@define(eq=False)
class Pool:
    """The volumes that the nodes have; each is created again when its claim is gone."""

    _api: Api
    _folder: Path
    _wanted: dict[str, _Wanted] = Factory(dict)
    # Held from looking to writing: a folder is emptied only while its volume does not exist.
    _changing: asyncio.Lock = Factory(asyncio.Lock)

    async def add(self, node: str, count: int, size: str, mode: int) -> None:
        """Give `node` that many volumes of `size` (a quantity such as `20Gi`, which nothing enforces).

        Their folders are ours, with `mode`. Raises ValueError when the node has them already, ApiRefused.
        """
        volumes = [
            volume(f"{node}-{number:03d}", node, self._folder / f"{node}-{number:03d}", size)
            for number in range(count)
        ]
        async with self._changing:
            for item in volumes:
                name = item["metadata"]["name"]
                if name in self._wanted:
                    raise ValueError(f"there is a volume {name} already")
                self._wanted[name] = _Wanted(item, mode)
                await self._make(self._wanted[name])

    async def _make(self, wanted: _Wanted) -> None:
        await asyncio.to_thread(_make_empty, Path(wanted.item["spec"]["local"]["path"]), wanted.mode)
        await self._api.create(_VOLUMES, wanted.item)

    async def recycle_forever(self) -> None:
        """Delete released volumes and create the missing ones, until cancelled."""
        while True:
            try:
                async with self._changing:
                    version = await self._recycle()
                await self._changed_since(version)
            # The fault tests stop the API server: whatever went wrong, look again.
            except (ApiRefused, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                _log.debug("local volumes: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _recycle(self) -> str:
        found = await self._api.get(_VOLUMES, labelSelector=_POOL_LABEL)
        present = {item["metadata"]["name"]: item for item in found["items"]}
        # Deleted and created, not corrected: the scheduler misses that an old volume is free again.
        for name in to_delete(present.values()):
            # Dying after this line leaves a volume missing: the next look makes it.
            await self._api.delete(f"{_VOLUMES}/{name}", _only(present[name]))
        for name in self._wanted.keys() - present.keys():
            await self._make(self._wanted[name])
        # The scheduler may look for a volume just before it knows of this one, and then sleeps for minutes:
        # any further change of the volume wakes it.
        for name in to_offer(present.values()):
            await self._api.patch(f"{_VOLUMES}/{name}", {"metadata": {"annotations": {_OFFERED: "true"}}})
        version: str = found["metadata"]["resourceVersion"]
        return version

    async def _changed_since(self, version: str) -> None:
        async for _ in self._api.watch(_VOLUMES, labelSelector=_POOL_LABEL, resourceVersion=version):
            return


def _only(item: JSON) -> JSON:
    """DeleteOptions for this very object."""
    return {"preconditions": {"uid": item["metadata"]["uid"]}}


def _make_empty(path: Path, mode: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    # Not by mkdir: that heeds the umask.
    path.chmod(mode)


@asynccontextmanager
async def recycling(pool: Pool, api: Api) -> AsyncIterator[None]:
    """Create the StorageClass and keep the pool's volumes fit for use."""
    await api.create("/apis/storage.k8s.io/v1/storageclasses", storage_class())
    task = asyncio.create_task(pool.recycle_forever(), name="local-volumes")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
