"""Opening a multipart upload: one request that says all that is asked of the archive, and what was promised.

An older server of a kind may know less than its provider's row. Must not know what becomes of the upload.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from attrs import frozen

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.providers import HARMLESS_ACLS, ObjectTarget
from tidbbackup.storage import objects
from tidbbackup.storage.client import S3Client, has_checksums
from tidbbackup.storage.errors import code_of, explain

WHOLE = "FULL_OBJECT"
"""The kind of checksum that the storage compares with one of the whole object."""

ACL_REFUSED = frozenset({"AccessControlListNotSupported", "NotImplemented", "InvalidArgument"})
"""S3's codes for an ACL that it does not take."""


@frozen
class Opened:
    """What the storage has promised."""

    upload_id: str
    checks_parts: bool = False
    checks_whole: bool = False
    acl: str = ""
    """The ACL that it took."""


async def open_one(
    client: S3Client, target: ObjectTarget, marks: dict[str, str]
) -> tuple[Opened, tuple[Notice, ...]]:
    """Open an upload. An ACL that asks for no more than the bucket gives anyway, refused as unsupported,
    becomes a Notice.

    Raises:
        StorageError: the storage refused or could not be reached.
    """
    try:
        return await _create(client, target, marks, target.acl), ()
    except Exception as error:
        refused = explain(error, "starting the upload of", target)
        if target.acl not in HARMLESS_ACLS or code_of(error) not in ACL_REFUSED:
            raise refused from error
        try:
            opened = await _create(client, target, marks, "")
        except Exception:
            # Without the ACL it fails as well: the first answer is the one to show.
            raise refused from error
        text = f"the storage refused acl `{target.acl}` as unsupported; uploaded without"
        return opened, (Notice(reasons.ACL_NOT_SUPPORTED, text),)


async def _create(client: S3Client, target: ObjectTarget, marks: dict[str, str], acl: str) -> Opened:
    wanted: dict[str, Any] = {
        "ACL": acl,
        "StorageClass": target.storageClass,
        "Tagging": urlencode(target.tags),
        **objects.encryption(target),
        **({"ChecksumAlgorithm": "CRC32", "ChecksumType": WHOLE} if has_checksums(target) else {}),
    }
    answer = await client.create_multipart_upload(
        Bucket=target.bucket,
        Key=target.key,
        ContentType=target.compression.media_type,
        Metadata=marks,
        **{name: value for name, value in wanted.items() if value},
    )
    return Opened(
        str(answer["UploadId"]),
        checks_parts=answer.get("ChecksumAlgorithm") == "CRC32",
        checks_whole=answer.get("ChecksumType") == WHOLE,
        acl=acl,
    )
