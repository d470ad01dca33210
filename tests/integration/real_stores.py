"""The real S3 servers side by side: MinIO and Ceph, each over http and over https. Knows no test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from attrs import frozen

from tests.cluster.ceph_server import ceph
from tests.cluster.certificates import write_certificates
from tests.cluster.minio_server import minio_store
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes


@frozen(eq=False)
class RealStore:
    """One server reached in one way; `provider` as a Backup names it, `rclone` as rclone does."""

    provider: str
    rclone: str
    store: ObjectStore

    @property
    def bucket(self) -> str:
        """The bucket of this way: two ways lead to one Ceph."""
        return f"archives-{'https' if self.store.ca else 'http'}"


@asynccontextmanager
async def real_stores(owned: Processes) -> AsyncIterator[dict[str, RealStore]]:
    """All four, by names such as `ceph-https`, each with its bucket."""
    folder = owned.folder / "real-stores"
    certificates = await asyncio.to_thread(write_certificates, folder, ["127.0.0.1"])
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(ceph(owned, certificates))
        plain = await stack.enter_async_context(minio_store(owned, name="minio-plain"))
        safe = await stack.enter_async_context(
            minio_store(owned, name="minio-safe", certificates=certificates)
        )
        found = {
            "minio-http": RealStore("minio", "Minio", plain),
            "minio-https": RealStore("minio", "Minio", safe),
            "ceph-http": RealStore("ceph", "Ceph", gateway.http),
            "ceph-https": RealStore("ceph", "Ceph", gateway.https),
        }
        for each in found.values():
            await each.store.create_bucket(each.bucket)
        yield found
