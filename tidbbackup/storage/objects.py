"""Requests for single objects: look, put, delete, and the open uploads of exactly one key.

One DELETE per key: DeleteObjects wants a checksum header that older servers do not know.
Must not know the order in which a backup does these things.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import AsyncIterator

from attrs import field, frozen

from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.client import S3Client
from tidbbackup.storage.errors import code_of, explain
from tidbbackup.storage.proof import NotS3, is_absent

log = logging.getLogger(__name__)

_WITHOUT_WORDS = frozenset({"400", "403", "404"})
"""What a HEAD that is refused has in the place of S3's code: its answers have no body."""

RUN_METADATA = "tidbbackup-run"
"""Metadata of archive and manifest: which run of a worker wrote them."""
UID_METADATA = "tidbbackup-uid"
"""Metadata of archive, manifest and log: the whole uid of their Backup."""


@frozen
class ObjectHead:
    """What HEAD tells of an object. Size in bytes."""

    size: int
    metadata: dict[str, str] = field(factory=dict)
    storage_class: str = ""
    """Empty: the bucket's default."""
    restored: bool = False
    """From an archive class, to be read for a while."""
    etag: str = ""
    """As the storage writes it: the object's version."""


def encryption(target: ObjectTarget) -> dict[str, str]:
    """Parameters for server-side encryption; archive, manifest and log carry the same."""
    wanted = {"ServerSideEncryption": target.sse, "SSEKMSKeyId": target.sseKmsKeyId}
    return {name: value for name, value in wanted.items() if value}


async def head(client: S3Client, target: ObjectTarget, key: str) -> ObjectHead | None:
    """Size and metadata of an object, None where there is none.

    Raises:
        StorageError: the storage refused or could not be reached.
    """
    try:
        answer = await client.head_object(Bucket=target.bucket, Key=key)
    except Exception as error:
        if code_of(error) not in _WITHOUT_WORDS:
            raise explain(error, "looking at", target) from error
        await _prove_absent(client, target, key, error)
        return None
    return ObjectHead(
        answer["ContentLength"],
        dict(answer.get("Metadata", {})),
        answer.get("StorageClass", ""),
        'ongoing-request="false"' in answer.get("Restore", ""),
        answer.get("ETag", ""),
    )


async def _prove_absent(client: S3Client, target: ObjectTarget, key: str, refused: Exception) -> None:
    """Return if S3's own error code says that the object is not there; an answer to HEAD has no code.

    Raises:
        StorageError: it does not say so, but why it `refused` the HEAD.
    """
    try:
        answer = await client.get_object(Bucket=target.bucket, Key=key, Range="bytes=0-0")
    except Exception as error:
        if is_absent(error):
            return
        raise explain(error, f"looking at {key} of", target) from error
    answer["Body"].close()
    raise explain(
        NotS3("answered 404 to HEAD and not to GET") if code_of(refused) == "404" else refused,
        "looking at",
        target,
    )


async def read(client: S3Client, target: ObjectTarget, key: str) -> bytes | None:
    """The whole of a small object, None where there is none.

    Raises:
        StorageError: the storage refused or could not be reached.
    """
    try:
        answer = await client.get_object(Bucket=target.bucket, Key=key)
        async with answer["Body"] as body:
            whole: bytes = await body.read()
    except Exception as error:
        if is_absent(error):
            return None
        raise explain(error, f"reading {key} of", target) from error
    return whole


async def listed(client: S3Client, target: ObjectTarget) -> AsyncIterator[tuple[str, int]]:
    """Key and size of all objects whose keys begin with the target's.

    Raises:
        StorageError: the storage refused or could not be reached.
    """
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=target.bucket, Prefix=target.key)
        async for page in pages:
            for found in page.get("Contents") or ():
                yield found["Key"], int(found["Size"])
    except Exception as error:
        raise explain(error, "listing", target) from error


async def put_tags(client: S3Client, target: ObjectTarget) -> None:
    """Give the archive, which is there, its tags.

    Raises:
        StorageError: the storage refused or could not be reached.
    """
    tags = [{"Key": key, "Value": value} for key, value in target.tags.items()]
    try:
        await client.put_object_tagging(Bucket=target.bucket, Key=target.key, Tagging={"TagSet": tags})
    except Exception as error:
        raise explain(error, "tagging", target) from error


async def put_small(
    client: S3Client,
    target: ObjectTarget,
    key: str,
    body: bytes,
    acl: str = "",
    marks: dict[str, str] | None = None,
    media_type: str = "application/json",
) -> None:
    """Write a small object in the bucket's default class, with the archive's encryption.

    A bucket with a default object lock takes nothing without a digest; MD5 is the one that all know.
    """
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    wanted = {"ACL": acl, "Metadata": marks or {}, **encryption(target)}
    try:
        await client.put_object(
            Bucket=target.bucket,
            Key=key,
            Body=body,
            ContentType=media_type,
            ContentMD5=base64.b64encode(digest).decode(),
            **{name: value for name, value in wanted.items() if value},
        )
    except Exception as error:
        raise explain(error, f"writing {key} of", target) from error


async def delete(client: S3Client, target: ObjectTarget, key: str) -> bool:
    """Delete exactly this key; one that is gone already is success.

    No version is named: a bucket that keeps versions writes a delete marker, which is what True tells.
    """
    try:
        answer = await client.delete_object(Bucket=target.bucket, Key=key)
    except Exception as error:
        if not is_absent(error):
            raise explain(error, f"deleting {key} of", target) from error
        return False
    return bool(answer.get("DeleteMarker"))


async def open_uploads(client: S3Client, target: ObjectTarget) -> list[str]:
    """Ids of the multipart uploads open for exactly this key (`b-1` is not `b-10`).

    Servers that do not know the call have no uploads we could find: an empty list.
    """
    found: list[str] = []
    try:
        pages = client.get_paginator("list_multipart_uploads").paginate(
            Bucket=target.bucket, Prefix=target.key
        )
        async for page in pages:
            found += [u["UploadId"] for u in page.get("Uploads") or () if u["Key"] == target.key]
    except Exception as error:
        if not is_absent(error) and code_of(error) not in ("NotImplemented", "MethodNotAllowed"):
            raise explain(error, "listing open uploads of", target) from error
    return found


async def abort_upload(client: S3Client, target: ObjectTarget, upload_id: str) -> None:
    """Abort one upload; one that is gone already is success."""
    try:
        await client.abort_multipart_upload(Bucket=target.bucket, Key=target.key, UploadId=upload_id)
    except Exception as error:
        if not is_absent(error):
            raise explain(error, "aborting an upload of", target) from error


async def abort_uploads(client: S3Client, target: ObjectTarget, keep: str = "") -> int:
    """Abort open uploads of exactly this key but `keep`: the key holds the Backup's uid, so all are ours."""
    ids = [upload_id for upload_id in await open_uploads(client, target) if upload_id != keep]
    for upload_id in ids:
        await abort_upload(client, target, upload_id)
        log.info("aborted an open upload of %s", target.url)
    return len(ids)
