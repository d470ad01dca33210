"""`tidbbackup list`: the archives below a prefix of a bucket, by their manifests.

It reads manifests and writes nothing. Must not know a cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

import attrs
import msgspec
from attrs import frozen

from tidbbackup.columns import columns
from tidbbackup.model.compression import Compression
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.model.units import format_size, format_time
from tidbbackup.place import Place, Unusable, client_of, folder_of
from tidbbackup.storage import objects
from tidbbackup.storage.client import Patience
from tidbbackup.storage.errors import StorageError
from tidbbackup.worker.archive.manifest import Summary, read_summary

OK, FAILED, USAGE = 0, 1, 2

_ARCHIVES = tuple(compression.extension for compression in Compression)
_MANIFEST = ".manifest.json"
_AT_A_TIME = 16
"""Manifests that are read at the same time."""
_NAMED = 3
_NEVER = datetime.max.replace(tzinfo=UTC)
_HEADS = ("CREATED", "SIZE", "ROWS", "DATABASES", "SERVER", "WHOLE", "ARCHIVE")


@frozen
class Listed:
    """One archive. Size in bytes, times in UTC; what its manifest does not tell is None."""

    archive: str
    """Its URL."""
    size: int | None
    whole: str
    """`yes`, or why not."""
    created: datetime | None = None
    finished: datetime | None = None
    databases: tuple[str, ...] = ()
    rows: int | None = None
    serverVersion: str = ""
    commitTs: str = ""
    sha256: str = ""
    uid: str = ""


def list_archives(
    url: str, place: Place, form: str, environ: Mapping[str, str], out: TextIO, err: TextIO
) -> int:
    """Print the archives, the oldest first; the exit code.

    Args:
        url: s3://bucket/prefix.
        place: the service.
        form: table or json.
        environ: with the access keys.
        out: gets the list.
        err: gets everything else.
    """
    try:
        found = asyncio.run(find_archives(folder_of(url, place), place, environ))
    except Unusable as error:
        print(f"tidbbackup list: {error}", file=err)
        return USAGE
    except StorageError as error:
        print(f"tidbbackup list: {error}", file=err)
        return FAILED
    if form == "json":
        out.write(msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n")
    elif found:
        out.write(table(found))
    else:
        print(f"tidbbackup list: {url} holds no archive", file=err)
    return OK


async def find_archives(target: ObjectTarget, place: Place, environ: Mapping[str, str]) -> list[Listed]:
    """The archives below a key, the oldest first. Raises StorageError."""
    async with client_of(target, place, environ, Patience()) as client:
        sizes: dict[str, int | None] = {}
        manifests = set()
        async for key, size in objects.listed(client, target):
            if key.endswith(_MANIFEST):
                manifests.add(key)
            elif key.endswith(_ARCHIVES):
                sizes[key] = size
        # An archive that was deleted is one that its manifest alone tells of.
        left = manifests - {attrs.evolve(target, key=key).manifest_key for key in sizes}
        sizes |= {key.removesuffix(_MANIFEST) + Compression.GZIP.extension: None for key in left}
        room = asyncio.Semaphore(_AT_A_TIME)

        async def one(key: str) -> Listed:
            archive = attrs.evolve(target, key=key)
            async with room:
                there = archive.manifest_key in manifests
                body = await objects.read(client, target, archive.manifest_key) if there else None
            return listed(archive.url, sizes[key], body)

        found = await asyncio.gather(*map(one, sizes))
    return sorted(found, key=lambda each: (each.created is None, each.created or _NEVER, each.archive))


def listed(url: str, size: int | None, manifest: bytes | None) -> Listed:
    """What is known of an archive from the size of its object and its manifest; None: there is none."""
    if manifest is None:
        return Listed(url, size, "no manifest")
    try:
        summary = read_summary(manifest)
    except msgspec.MsgspecError:
        return Listed(url, size, "manifest damaged")
    whole = "yes"
    if size is None:
        whole = "archive deleted"
    elif size != summary.size:
        whole = f"{size} bytes of {summary.size}"
    return _from_manifest(url, size, whole, summary)


def _from_manifest(url: str, size: int | None, whole: str, summary: Summary) -> Listed:
    return Listed(
        archive=url,
        size=size,
        whole=whole,
        created=summary.started,
        finished=summary.finished,
        databases=tuple(database.name for database in summary.databases),
        rows=summary.rows,
        serverVersion=summary.serverVersion,
        commitTs=summary.commitTs,
        sha256=summary.sha256,
        uid=summary.uid,
    )


def table(found: list[Listed]) -> str:
    """The list, for people."""
    return columns([_HEADS, *map(_cells, found)])


def _cells(each: Listed) -> tuple[str, ...]:
    names = ",".join(each.databases[:_NAMED])
    more = f",+{len(each.databases) - _NAMED}" if len(each.databases) > _NAMED else ""
    return (
        format_time(each.created) if each.created else "-",
        "-" if each.size is None else format_size(each.size),
        "-" if each.rows is None else str(each.rows),
        names + more or "-",
        each.serverVersion or "-",
        each.whole,
        each.archive,
    )
