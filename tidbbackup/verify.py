"""`tidbbackup verify`: checks whether an archive in a bucket is whole, from the bucket alone.

It reads manifest and archive, and writes nothing. Must not know a cluster, nor how an archive is made.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TextIO

import msgspec

from tidbbackup.model.providers import ObjectTarget
from tidbbackup.model.units import format_size, format_time
from tidbbackup.place import Place, Unusable, client_of, target_of
from tidbbackup.storage import objects
from tidbbackup.storage.client import Patience, S3Client
from tidbbackup.storage.download import download
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.objects import ObjectHead
from tidbbackup.worker.archive.check import CheckResult, check_archive
from tidbbackup.worker.archive.feed import Feed
from tidbbackup.worker.archive.manifest import FORMAT_VERSION, Manifest, read_manifest

OK, FAILED, USAGE = 0, 1, 2

_FROZEN = ("GLACIER", "DEEP_ARCHIVE")
_QUEUED = 2
"""Pieces that wait between network and check: the bound of memory."""
_QUIET_SECONDS = 2.0


class NotWhole(Exception):
    """The archive is not whole, or cannot be read; the message has reason and cure."""


def verify(
    url: str,
    place: Place,
    environ: Mapping[str, str],
    out: TextIO,
    err: TextIO,
    patience: Patience | None = None,
) -> int:
    """Check the archive and list its content; returns the exit code."""
    try:
        target = target_of(url, place)
        manifest, verdict = asyncio.run(_verify(target, place, environ, err, patience or Patience()))
    except Unusable as error:
        print(f"tidbbackup verify: {error}", file=err)
        return USAGE
    except (NotWhole, StorageError) as error:
        print(f"tidbbackup verify: {error}", file=err)
        return FAILED
    for problem in verdict.problems:
        print(f"tidbbackup verify: {url} {problem}", file=err)
    if verdict.problems:
        return FAILED
    out.write(listing(url, manifest, verdict))
    return OK


async def _verify(
    target: ObjectTarget, place: Place, environ: Mapping[str, str], err: TextIO, patience: Patience
) -> tuple[Manifest, CheckResult]:
    async with client_of(target, place, environ, patience) as client:
        manifest = await _manifest(client, target)
        head = await objects.head(client, target, target.key)
        if head is None:
            raise NotWhole(f"there is no {target.url}, only its manifest: the archive has been deleted")
        if head.storage_class in _FROZEN and not head.restored:
            raise NotWhole(_frozen(target, head.storage_class))
        return manifest, await _archive(client, target, head, manifest, err, patience)


async def _manifest(client: S3Client, target: ObjectTarget) -> Manifest:
    """The manifest beside the archive.

    Raises:
        NotWhole: there is none, or it cannot be read.
    """
    where = f"s3://{target.bucket}/{target.manifest_key}"
    body = await objects.read(client, target, target.manifest_key)
    if body is None:
        there = await objects.head(client, target, target.key)
        if there is None:
            raise NotWhole(f"there is no {target.url} and no manifest of it: is the address right")
        raise NotWhole(f"there is no {where}: it is written last, so that backup was never completed")
    try:
        return parsed(body)
    except ValueError as error:
        raise NotWhole(f"{where}: {error}") from error


def parsed(body: bytes) -> Manifest:
    """A manifest of a known format.

    Raises:
        ValueError: it is none; the message has the reason.
    """
    try:
        version = msgspec.json.decode(body, type=dict[str, object]).get("formatVersion")
        if version != FORMAT_VERSION:
            raise ValueError(
                f"is of format {version}, this tidbbackup knows {FORMAT_VERSION}: use the one that made it"
            )
        return read_manifest(body)
    except msgspec.MsgspecError as error:
        raise ValueError(f"is no manifest: {error}") from error


async def _archive(
    client: S3Client,
    target: ObjectTarget,
    head: ObjectHead,
    manifest: Manifest,
    err: TextIO,
    patience: Patience,
) -> CheckResult:
    """Read the archive through the check, which runs in a thread."""
    feed = Feed(_QUEUED)
    meter = _Meter(manifest.size, err)
    checking = asyncio.create_task(asyncio.to_thread(check_archive, feed, manifest, target.top, meter.moved))
    showing = asyncio.create_task(meter.show())
    try:
        async with contextlib.aclosing(download(client, target, head, patience)) as pieces:
            await feed.fill(pieces, checking.done)
        return await checking
    except StorageError as error:
        if error.code == "InvalidObjectState":
            raise NotWhole(_frozen(target, "an archive class")) from error
        raise
    finally:
        feed.close()
        showing.cancel()
        await asyncio.gather(checking, showing, return_exceptions=True)


class _Meter:
    """The progress on standard error, if the check takes longer than two seconds."""

    def __init__(self, total: int, err: TextIO) -> None:
        self._total, self._err = total, err
        self._done = 0

    def moved(self, done: int) -> None:
        """Add the bytes that were read; the checking thread calls it."""
        self._done = done

    async def show(self) -> None:
        """Print the progress every few seconds until cancelled."""
        while True:
            await asyncio.sleep(_QUIET_SECONDS)
            percent = min(100, 100 * self._done // max(1, self._total))
            told = f"{percent}% ({format_size(self._done)} of {format_size(self._total)})"
            print(f"verifying: {told}", file=self._err, flush=True)


def _frozen(target: ObjectTarget, storage_class: str) -> str:
    return (
        f"{target.url} is in class {storage_class}, from which nothing can be read at once: restore it first "
        "(aws s3api restore-object), which takes hours, then verify it again"
    )


def listing(url: str, manifest: Manifest, verdict: CheckResult) -> str:
    """The content of a whole archive, for people."""
    snapshot = f", commitTs {manifest.commitTs}" if manifest.commitTs else ""
    lines = [
        f"{url} is whole",
        f"  made       {format_time(manifest.started)} to {format_time(manifest.finished)}{snapshot}",
        f"  by         {manifest.dumper}, of {manifest.serverVersion}",
        f"  archive    {format_size(manifest.size)} ({manifest.size} bytes), sha256:{manifest.sha256}",
        f"  inside     {verdict.files} files, {format_size(verdict.bytes)}",
        f"  databases  {len(manifest.databases)}",
    ]
    lines += [f"    {d.name}: {d.tables} tables and views" for d in manifest.databases]
    return "\n".join(lines) + "\n"
