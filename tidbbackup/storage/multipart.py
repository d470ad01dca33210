"""One multipart upload from start to its only commit point, CompleteMultipartUpload.

An object becomes visible whole or not at all. Must not know what the bytes are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Protocol
from urllib.parse import urlencode

from attrs import define, field, frozen

from tidbbackup.model import reasons
from tidbbackup.model.result import Notice
from tidbbackup.model.storage import HARMLESS_ACLS, PROVIDERS, ObjectTarget
from tidbbackup.storage import objects
from tidbbackup.storage.client import Patience, S3Client
from tidbbackup.storage.errors import StorageError, code_of, explain, worth_retrying

log = logging.getLogger(__name__)

RUN_METADATA = "tidbbackup-run"
"""Metadata of the archive that tells which run of a worker wrote it."""

_ACL_REFUSED = frozenset({"AccessControlListNotSupported", "NotImplemented", "InvalidArgument"})


@frozen
class Part:
    """One part as the server took it. Size in bytes."""

    number: int
    size: int
    etag: str
    checksums: dict[str, str] = field(factory=dict)


class Tally(Protocol):
    """Where an upload counts what it has done, for whoever wants to look."""

    uploaded_bytes: int
    parts: int
    retries: int


@define
class Uncounted:
    """The tally of an upload that nobody looks at."""

    uploaded_bytes: int = 0
    parts: int = 0
    retries: int = 0


class Upload:
    """One open multipart upload.

    Invariant: after `withdraw` nothing of this run is visible under the key and no part is kept, or
    `withdraw` says so by raising.
    """

    def __init__(
        self,
        client: S3Client,
        target: ObjectTarget,
        upload_id: str,
        run: str,
        patience: Patience,
        tally: Tally,
    ) -> None:
        self._client = client
        self._target = target
        self._id = upload_id
        self._run = run
        self._patience = patience
        self._tally = tally
        self._completing = False

    async def abort_others(self) -> int:
        """Abort every other open upload of this key: of a run that was killed, or of a first try to open
        this one whose answer was lost. How many there were."""
        return await objects.abort_uploads(self._client, self._target, keep=self._id)

    async def send(self, bodies: AsyncIterator[bytes], in_flight: int) -> tuple[Part, ...]:
        """Upload the bodies as parts 1, 2, …; at most `in_flight` travel and one more waits.

        Raises:
            StorageError: a part could not be sent; the others have been stopped. What `bodies` raises
                comes out as it is.
        """
        slots = asyncio.Semaphore(in_flight)
        tasks: list[asyncio.Task[Part]] = []
        try:
            async with asyncio.TaskGroup() as group:
                async for body in bodies:
                    await slots.acquire()
                    tasks.append(group.create_task(self._send_part(len(tasks) + 1, body, slots)))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return tuple(task.result() for task in tasks)

    async def complete(self, parts: tuple[Part, ...]) -> int:
        """Make the object visible and see by HEAD that it is whole; its size in bytes.

        A lost reply (time-out, or NoSuchUpload when the client asks again) is settled by HEAD too.
        """
        size = sum(part.size for part in parts)
        self._completing = True
        # Dying from here on: the object may be visible without a manifest. The cleaner removes both keys.
        lost: StorageError | None = None
        try:
            await self._client.complete_multipart_upload(
                Bucket=self._target.bucket,
                Key=self._target.key,
                UploadId=self._id,
                MultipartUpload={"Parts": [_completed(part) for part in parts]},
            )
        except Exception as error:
            lost = explain(error, "completing the upload of", self._target)
            log.warning("no clear answer to CompleteMultipartUpload, HEAD decides: %s", lost)
        found = await objects.head(self._client, self._target, self._target.key)
        if found is None or (lost and found.metadata.get(RUN_METADATA, self._run) != self._run):
            raise lost or StorageError(
                reasons.VERIFY_FAILED, f"{self._target.url} is not there after its upload was completed"
            )
        if found.size != size:
            raise StorageError(
                reasons.VERIFY_FAILED,
                f"{self._target.url} has {found.size} bytes, {size} were sent; it has been deleted again",
            )
        return size

    async def withdraw(self) -> None:
        """Abort the upload, and delete the object if it may have become visible.

        Raises:
            StorageError: something of this run may be left; the cleaner has to remove it.
        """
        await objects.abort_upload(self._client, self._target, self._id)
        if not self._completing:
            return
        found = await objects.head(self._client, self._target, self._target.key)
        # A second worker of the same Backup (its node was cut off) may have written the key meanwhile.
        if found and found.metadata.get(RUN_METADATA, self._run) == self._run:
            await objects.delete(self._client, self._target, self._target.key)

    async def _send_part(self, number: int, body: bytes, slots: asyncio.Semaphore) -> Part:
        limit = PROVIDERS[self._target.provider].max_parts if self._target.provider in PROVIDERS else 10_000
        if number > limit:
            raise StorageError(
                reasons.UPLOAD_FAILED, f"the archive is larger than {limit} parts of {len(body)} bytes"
            )
        try:
            for delay in self._patience.part_delays:
                try:
                    return await self._put_part(number, body)
                except StorageError as error:
                    if not worth_retrying(error):
                        raise
                    log.warning("part %d: %s; once more in %g s", number, error, delay)
                    self._tally.retries += 1
                await asyncio.sleep(delay)
            return await self._put_part(number, body)
        finally:
            slots.release()

    async def _put_part(self, number: int, body: bytes) -> Part:
        try:
            answer = await self._client.upload_part(
                Bucket=self._target.bucket,
                Key=self._target.key,
                UploadId=self._id,
                PartNumber=number,
                Body=body,
            )
        except Exception as error:
            raise explain(error, f"uploading part {number} of", self._target) from error
        checksums = {k: v for k, v in answer.items() if k.startswith("Checksum") and k != "ChecksumType"}
        self._tally.parts += 1
        self._tally.uploaded_bytes += len(body)
        return Part(number, len(body), answer["ETag"], checksums)


async def start_upload(
    client: S3Client, target: ObjectTarget, run: str, patience: Patience, tally: Tally | None = None
) -> tuple[Upload, tuple[Notice, ...]]:
    """Open the upload: the proof that bucket, keys, class and ACL are as they must be.

    An ACL that asks for no more than the bucket gives anyway, refused as unsupported, becomes a Notice.

    Raises:
        StorageError: the storage refused or could not be reached.
    """
    notices: tuple[Notice, ...] = ()
    try:
        upload_id = await _create(client, target, run, target.acl)
    except Exception as error:
        refused = explain(error, "starting the upload of", target)
        if target.acl not in HARMLESS_ACLS or code_of(error) not in _ACL_REFUSED:
            raise refused from error
        try:
            upload_id = await _create(client, target, run, "")
        except Exception:
            # Without the ACL it fails as well: the first answer is the one to show.
            raise refused from error
        text = f"the storage refused acl `{target.acl}` as unsupported; uploaded without"
        notices = (Notice(reasons.ACL_NOT_SUPPORTED, text),)
    return Upload(client, target, upload_id, run, patience, tally or Uncounted()), notices


async def _create(client: S3Client, target: ObjectTarget, run: str, acl: str) -> str:
    wanted: dict[str, Any] = {
        "ACL": acl,
        "StorageClass": target.storageClass,
        "Tagging": urlencode(target.tags),
        **objects.encryption(target),
    }
    answer = await client.create_multipart_upload(
        Bucket=target.bucket,
        Key=target.key,
        ContentType="application/gzip",
        Metadata={RUN_METADATA: run},
        **{name: value for name, value in wanted.items() if value},
    )
    return str(answer["UploadId"])


def _completed(part: Part) -> dict[str, Any]:
    return {"PartNumber": part.number, "ETag": part.etag, **part.checksums}
