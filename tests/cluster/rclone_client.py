"""rclone as a client of S3 servers: an independent reader of what we have stored. Knows no Backup."""

import asyncio
import json

from tests.cluster.object_store import ObjectStore, program


class RcloneFailed(RuntimeError):
    """rclone ended with an error; the message has its output."""


async def read(store: ObjectStore, provider: str, bucket: str, key: str) -> bytes:
    """An object as rclone reads it; `provider` in its words (`Ceph`, `Minio`). Raises RcloneFailed."""
    return await _run(store, provider, "cat", f":s3:{bucket}/{key}")


async def sizes(store: ObjectStore, provider: str, bucket: str) -> dict[str, int]:
    """Every key of a bucket with its size in bytes, as rclone lists it. Raises RcloneFailed."""
    listed = await _run(store, provider, "lsjson", "--recursive", "--files-only", f":s3:{bucket}")
    return {each["Path"]: each["Size"] for each in json.loads(listed)}


async def _run(store: ObjectStore, provider: str, *arguments: str) -> bytes:
    env = {
        # None of the user's own; the keys not in the arguments.
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_S3_PROVIDER": provider,
        "RCLONE_S3_ENDPOINT": store.endpoint,
        "RCLONE_S3_ACCESS_KEY_ID": store.access_key,
        "RCLONE_S3_SECRET_ACCESS_KEY": store.secret_key,
    }
    if store.ca:
        env["RCLONE_CA_CERT"] = str(store.ca)
    process = await asyncio.create_subprocess_exec(
        *(program("rclone"), "--quiet", *arguments),
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    if process.returncode:
        raise RcloneFailed(f"rclone {' '.join(arguments)}: {errors.decode(errors='replace').strip()}")
    return out
