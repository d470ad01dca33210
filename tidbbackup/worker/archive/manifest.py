"""The manifest beside the archive: what was dumped, from where, and how to see that it is whole.

Written last: where it is, the archive is complete. Must not know how it is stored.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from attrs import field, frozen

from tidbbackup.model.contract.result import Moment
from tidbbackup.worker.archive.tar import PackedFile
from tidbbackup.worker.database.catalog import Database

FORMAT_VERSION = 1


@frozen
class ManifestDatabase:
    """One database and how many tables and views of it were dumped."""

    name: str
    tables: int


@frozen
class ManifestTable:
    """One table and how many rows of it are in the archive, as they were packed."""

    database: str
    name: str
    rows: int


@frozen
class Summary:
    """What a manifest says of the archive as a whole. Sizes in bytes, times in UTC."""

    uid: str
    key: str
    size: int
    sha256: str
    commitTs: str
    started: Moment
    finished: Moment
    databases: tuple[ManifestDatabase, ...]
    formatVersion: int
    run: str = ""
    """The attempt that wrote it, as in the archive's metadata. Empty in manifests of older versions."""
    rows: int | None = None
    """Of all tables. None in manifests of older versions."""
    serverVersion: str = ""


@frozen
class Manifest:
    """The manifest's JSON. Sizes in bytes, times in UTC."""

    uid: str
    key: str
    size: int
    sha256: str
    commitTs: str
    binlogPosition: str = field(default="", kw_only=True)
    """`<file>:<offset>` of the binary log at which the dump is consistent; "" without one, and on TiDB."""
    gtid: str = field(default="", kw_only=True)
    """GTIDs executed at that point, as the server writes them."""
    run: str = field(default="", kw_only=True)
    """Which attempt wrote it, and the archive with it."""
    rows: int | None = field(default=None, kw_only=True)
    """Of all tables. None in manifests of older versions."""
    tables: tuple[ManifestTable, ...] = field(default=(), kw_only=True)
    """Empty in manifests of older versions."""
    started: datetime
    finished: datetime
    dumper: str
    serverVersion: str
    files: tuple[PackedFile, ...]
    """Inside the archive, unpacked sizes."""
    databases: tuple[ManifestDatabase, ...]
    formatVersion: int = FORMAT_VERSION


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as it is stored. Bytes of file names that are no UTF-8 are shown as U+FFFD."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def read_summary(body: bytes) -> Summary:
    """The manifest without its files, which may be many.

    Raises:
        msgspec.MsgspecError: it is no manifest; the message says where.
    """
    return msgspec.json.decode(body, type=Summary)


def read_manifest(body: bytes) -> Manifest:
    """The whole manifest.

    Raises:
        msgspec.MsgspecError: it is none; the message says where.
    """
    return msgspec.json.decode(body, type=Manifest)


def printable(name: str) -> str:
    """A name that JSON can hold."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def database_rows(databases: tuple[Database, ...]) -> tuple[ManifestDatabase, ...]:
    """The databases as the manifest lists them."""
    return tuple(ManifestDatabase(printable(d.name), len(d.tables)) for d in databases)
