"""One multipart upload from start to its only commit point, CompleteMultipartUpload.

An object becomes visible whole or not at all. Must not know what the bytes are.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncIterator

from attrs import define

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage import objects
from tidbbackup.storage.body import Body
from tidbbackup.storage.checksums import CRC32, checksum, encode_crc, md5
from tidbbackup.storage.client import Patience, S3Client, has_checksums
from tidbbackup.storage.completion import Part, completion
from tidbbackup.storage.errors import StorageError, code_of, explain
from tidbbackup.storage.objects import RUN_METADATA, UID_METADATA
from tidbbackup.storage.opening import Opened, open_one
from tidbbackup.storage.parts import MAX_PARTS, sent_at_once
from tidbbackup.storage.rate_limit import RateLimit
from tidbbackup.storage.retries import with_retries
from tidbbackup.storage.unanswered import UnansweredTries

log = logging.getLogger(__name__)


@define
class UploadCounter:
    """How far an upload is."""

    sent_bytes: int = 0
    """Of the archive, handed to the network, by tries that failed too."""
    waited_seconds: float = 0.0
    """How long parts have waited for the user's limit of bytes per second."""
    uploaded_bytes: int = 0
    """Of the archive, taken by the storage."""
    parts: int = 0
    """Parts of the upload that the storage has taken."""
    retries: int = 0
    """Parts that had to be sent again."""


class Upload:
    """One open multipart upload.

    Invariant: after `withdraw` nothing of this run is visible under the key and no part is kept, or
    `withdraw` says so by raising.
    """

    def __init__(
        self,
        client: S3Client,
        target: ObjectTarget,
        opened: Opened,
        marks: dict[str, str],
        patience: Patience,
        counter: UploadCounter,
        *,
        duplicates: bool = False,
    ) -> None:
        """`duplicates`: uploads of a first try to open this one, whose answer was lost, may be open too."""
        self.duplicates = duplicates
        self._client = client
        self._target = target
        self._opened = opened
        self._id = opened.upload_id
        self._marks = marks
        self.run = marks[RUN_METADATA]
        """Which run of a worker this is: it stands in the archive's metadata, and in its manifest."""
        self._patience = patience
        self._rate_limit = RateLimit(target.transfer.bytesPerSecond)
        self._counter = counter
        self._completing = False
        self._unsettled = False
        self._wants_md5 = False

    async def abort_others(self) -> int:
        """Abort every other open upload of this key. How many there were."""
        count = await objects.abort_uploads(self._client, self._target, keep=self._id)
        self.duplicates = False
        return count

    async def send(self, bodies: AsyncIterator[Body]) -> tuple[Part, ...]:
        """Upload the bodies as parts 1, 2, …; as many as there is room for at the same time; one more waits.

        Raises:
            StorageError: a part could not be sent; the others have been stopped. What `bodies` raises
                comes out as it is.
        """
        tasks: list[asyncio.Task[Part]] = []
        sending: set[asyncio.Task[Part]] = set()
        try:
            async with asyncio.TaskGroup() as group:
                async for body in bodies:
                    most = sent_at_once(len(body), self._target.transfer.concurrency)
                    while len(sending) >= most:
                        _, sending = await asyncio.wait(sending, return_when=FIRST_COMPLETED)
                    tasks.append(group.create_task(self._send_part(len(tasks) + 1, body)))
                    sending.add(tasks[-1])
                if not tasks:
                    # An upload of no part cannot be completed.
                    tasks.append(group.create_task(self._send_part(1, Body(()))))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return tuple(task.result() for task in tasks)

    async def complete(self, parts: tuple[Part, ...]) -> int:
        """Make the object visible and see by HEAD that it is whole; its size in bytes.

        A lost reply (time-out, or NoSuchUpload when the client asks again) is settled by HEAD too.
        """
        if UID_METADATA in self._marks:
            await with_retries(self._claim, "looking what is there already", self._patience)
        self._completing = True
        # Dying from here on: the object may be visible without a manifest. The cleaner removes both keys.
        with UnansweredTries(self._client, "CompleteMultipartUpload") as lost:
            return await with_retries(
                lambda: self._complete(parts, lost), "completing the upload", self._patience
            )

    async def _complete(self, parts: tuple[Part, ...], unanswered: UnansweredTries) -> int:
        size = sum(part.size for part in parts)
        lost: StorageError | None = None
        # True once the server may have completed the upload; a 404 then proves nothing.
        before, self._unsettled = self._unsettled, True
        try:
            await self._client.complete_multipart_upload(
                Bucket=self._target.bucket,
                Key=self._target.key,
                UploadId=self._id,
                **completion(parts, self._opened),
            )
        except Exception as error:
            self._unsettled = before or unanswered.count > 0
            lost = explain(error, "completing the upload of", self._target)
            log.warning("no clear answer to CompleteMultipartUpload, HEAD decides: %s", lost)
        found = await self._look(hidden=lost is not None)
        run = found.metadata.get(RUN_METADATA, self.run) if found else ""
        if found is None or run != self.run:
            # A second worker of the same Backup (its node was cut off) may have written the key meanwhile.
            there = f"is that of run {run}, not of {self.run}," if found else "is not there"
            raise lost or StorageError(
                reasons.VERIFY_FAILED, f"{self._target.url} {there} after its upload was completed"
            )
        if found.size != size:
            raise StorageError(
                reasons.VERIFY_FAILED,
                f"{self._target.url} has {found.size} bytes, {size} were sent; it has been deleted again",
            )
        return size

    async def _claim(self) -> None:
        """Raise if the key holds an archive of another Backup: completing would overwrite it."""
        there = await self._look(hidden=True)
        metadata = there.metadata if there else self._marks
        # Without a uid, but of a run: of an attempt of ours before uids were written.
        uid = metadata.get(UID_METADATA) or (RUN_METADATA in metadata and self._marks.get(UID_METADATA))
        if uid != self._marks.get(UID_METADATA):
            raise StorageError(
                reasons.KEY_TAKEN,
                f"{self._target.url} is there already, of {uid or 'nobody known'}: it is not overwritten",
            )

    async def tag(self) -> tuple[Notice, ...]:
        """Give the completed archive its tags where the service drops those that it was opened with.

        Whatever keeps them off, the archive is whole: that is a Notice.
        """
        if not self._target.tags or not self._target.row.loses_tags:
            return ()
        try:
            # Dying before it: the archive has no manifest yet, so it is not taken for a whole one.
            await with_retries(
                lambda: objects.put_tags(self._client, self._target), "tagging", self._patience
            )
        except StorageError as error:
            text = f"the archive is whole, but without its tags (which take s3:PutObjectTagging): {error}"
            return (Notice(reasons.TAGS_NOT_SET, text),)
        return ()

    async def write_beside(self, key: str, body: bytes) -> None:
        """Write a small JSON object that goes with the archive.

        Raises:
            StorageError: the storage refused or could not be reached.
        """
        await with_retries(
            lambda: objects.put_small(self._client, self._target, key, body, self._opened.acl, self._marks),
            "writing the manifest",
            self._patience,
        )

    async def _look(self, *, hidden: bool) -> objects.ObjectHead | None:
        """What is visible under the key. `hidden`: S3 denies a look at what is not there to those who may
        not list the bucket; take that for None."""
        try:
            return await objects.head(self._client, self._target, self._target.key)
        except StorageError as error:
            if hidden and error.reason == reasons.ACCESS_DENIED:
                return None
            raise

    async def withdraw(self) -> None:
        """Abort the upload, and delete the object if it may have become visible.

        Raises:
            StorageError: something of this run may be left, or yet appear; the cleaner has to remove it.
        """
        await objects.abort_upload(self._client, self._target, self._id)
        if not self._completing:
            return
        found = await self._look(hidden=True)
        if found is None and self._unsettled:
            raise StorageError(
                reasons.UPLOAD_FAILED,
                f"{self._target.url} may yet appear: the storage was asked to complete it and never clearly "
                "refused",
            )
        # A second worker of the same Backup (its node was cut off) may have written the key meanwhile.
        if found and found.metadata.get(RUN_METADATA) == self.run:
            # It may be there although its answer was lost, and must never promise what is gone.
            beside = await objects.head(self._client, self._target, self._target.manifest_key)
            if beside and beside.metadata.get(UID_METADATA) == self._marks.get(UID_METADATA):
                await objects.delete(self._client, self._target, self._target.manifest_key)
            await objects.delete(self._client, self._target, self._target.key)

    async def _send_part(self, number: int, body: Body) -> Part:
        if number > MAX_PARTS:
            raise StorageError(
                reasons.UPLOAD_FAILED,
                f"the archive is larger than {MAX_PARTS} parts of {len(body)} bytes; raise --s3-chunk-size "
                "in spec.s3.options (512M at the most), or split the backup by spec.tableFilter",
            )

        def retried() -> None:
            self._counter.retries += 1

        crc = await checksum(body) if has_checksums(self._target) else None
        return await with_retries(
            lambda: self._put_part(number, body, crc), f"part {number}", self._patience, retried
        )

    async def _put_part(self, number: int, body: Body, crc: int | None) -> Part:
        await self._rate_limit.wait(len(body), self._waited)
        sums = {} if crc is None else {CRC32: encode_crc(crc)}
        if self._wants_md5:
            sums = {"ContentMD5": await md5(body)}
        longest = self._patience.read_timeout + len(body) / self._patience.slowest
        try:
            async with asyncio.timeout(longest):
                answer = await self._client.upload_part(
                    Bucket=self._target.bucket,
                    Key=self._target.key,
                    UploadId=self._id,
                    PartNumber=number,
                    Body=body.open(self._sent),
                    **sums,
                )
        except TimeoutError as error:
            late = OSError(f"{len(body)} bytes were not taken within {longest:.0f} s")
            raise explain(late, f"uploading part {number} of", self._target) from error
        except Exception as error:
            if code_of(error) == "InvalidRequest" and not sums:
                # What a bucket with a default object lock says to a part without a digest.
                self._wants_md5 = True
                return await self._put_part(number, body, crc)
            raise explain(error, f"uploading part {number} of", self._target) from error
        self._counter.parts += 1
        self._counter.uploaded_bytes += len(body)
        return Part(number, len(body), answer["ETag"], crc)

    def _waited(self, seconds: float) -> None:
        self._counter.waited_seconds += seconds

    def _sent(self, count: int) -> None:
        self._counter.sent_bytes += count


async def start_upload(
    client: S3Client,
    target: ObjectTarget,
    run: str,
    patience: Patience,
    counter: UploadCounter | None = None,
    uid: str = "",
) -> tuple[Upload, tuple[Notice, ...]]:
    """Open the upload: the proof that bucket, keys, class and ACL are as they must be.

    An ACL that asks for no more than the bucket gives anyway, refused as unsupported, becomes a Notice.

    Raises:
        StorageError: the storage refused or could not be reached. With `answer_lost` uploads may have been
            opened of which nobody knows.
    """
    marks = {RUN_METADATA: run} | ({UID_METADATA: uid} if uid else {})
    with UnansweredTries(client, "CreateMultipartUpload") as lost:
        try:
            opened, notices = await open_one(client, target, marks)
        except StorageError as error:
            error.answer_lost = lost.count > 0
            raise
    duplicates = lost.count > 0
    return Upload(
        client, target, opened, marks, patience, counter or UploadCounter(), duplicates=duplicates
    ), notices
