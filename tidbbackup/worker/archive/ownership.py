"""Whose the objects under a Backup's keys are, by the uid in their metadata.

An archive of an older version has no uid: it is its manifest's, if the two belong together. Changes nothing.
"""

from __future__ import annotations

import msgspec
from attrs import frozen

from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage import objects
from tidbbackup.storage.client import S3Client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.objects import UID_METADATA
from tidbbackup.worker.archive.manifest import Summary, read_summary


@frozen
class Owned:
    """An object and the uid of its Backup; empty if it is not known."""

    key: str
    uid: str


async def log_there(client: S3Client, target: ObjectTarget, *, denied_is_absent: bool = False) -> list[Owned]:
    """The log, if it is there.

    `denied_is_absent`: those who may not list the bucket are denied a look at what is not there.

    Raises:
        StorageError: the storage refused or could not be reached.
    """
    try:
        found = await objects.head(client, target, target.log_key)
    except StorageError as error:
        if denied_is_absent and error.reason == reasons.ACCESS_DENIED:
            return []
        raise
    return [Owned(target.log_key, found.metadata.get(UID_METADATA, ""))] if found else []


async def owned(client: S3Client, target: ObjectTarget) -> list[Owned]:
    """What is there of log, archive and manifest, in the order in which it may be deleted: what proves
    whose the other is goes last.

    Raises:
        StorageError: the storage refused or could not be reached.
    """
    archive = await objects.head(client, target, target.key)
    manifest = await objects.head(client, target, target.manifest_key)
    of_archive = archive.metadata.get(UID_METADATA, "") if archive else ""
    of_manifest = manifest.metadata.get(UID_METADATA, "") if manifest else ""
    marked = bool(of_archive)
    if manifest and not (of_manifest and of_archive):
        told = _summary(await objects.read(client, target, target.manifest_key))
        of_manifest = of_manifest or (told.uid if told else "")
        if told and archive and (told.key, told.size) == (target.key, archive.size):
            of_archive = of_archive or told.uid
    found = [Owned(target.manifest_key, of_manifest)] if manifest else []
    if archive:
        found.insert(len(found) if marked else 0, Owned(target.key, of_archive))
    # Whoever may look at one of them may look at all of them.
    return [*await log_there(client, target, denied_is_absent=bool(found)), *found]


def _summary(body: bytes | None) -> Summary | None:
    try:
        return read_summary(body or b"")
    except msgspec.MsgspecError:
        return None
