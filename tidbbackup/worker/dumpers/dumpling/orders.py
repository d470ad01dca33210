"""What the program is told, as it reads it from standard input. Pure.

Must not know how the program is run.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tidbbackup.model.flags.dumpling import DumplingOptions
from tidbbackup.worker.database.catalog import Database, Table
from tidbbackup.worker.database.identity import first_statement
from tidbbackup.worker.dumpers.dumper import Order
from tidbbackup.worker.dumpers.sizes import file_bytes, threads

_ESCAPED = re.compile(r'[\x00-\x1f%"*./:<>?\\|]|-(?=schema)', re.IGNORECASE)
_MEMORY_BASE, _MEMORY_OF_THREAD = 64 << 20, 16 << 20
"""Bytes: of the program itself, and of the buffers of one connection."""


def orders(
    order: Order, options: DumplingOptions, certificate: str, staging_bytes: int, cpus: float
) -> bytes:
    """The orders for one dump.

    Args:
        order: what is to be dumped.
        options: of the task.
        certificate: PEM of the server's; "" without TLS.
        staging_bytes: of the volume; 0: unknown.
        cpus: that we may use.
    """
    target, tables = order.login.target, tuple(tables_of(order.databases))
    wanted = options.threads or threads(cpus, len(tables), by_rows=bool(options.rows))
    size = file_bytes(staging_bytes) if options.file_size is None else options.file_size
    # The library takes a name and a value, and sets the name as it is: more than one variable fits in.
    first, _, value = first_statement(order.login.known_by).removeprefix("SET SESSION ").rpartition("=")
    told: dict[str, Any] = {
        "Host": target.host,
        "Port": target.port,
        "User": target.user,
        "Password": base64.b64encode(order.login.password).decode(),
        "Certificate": certificate,
        **_client(order.login.tls),
        "TSO": order.found.commit_ts,
        "Variables": {**dict(options.variables), "time_zone": "+00:00", first: value},
        "Folder": str(order.folder),
        "Tables": [
            {"Database": database, "Table": table.name, "Stem": stem(database, table.name)}
            for database, table in tables
        ],
        "Threads": wanted,
        "CPUs": max(1, round(cpus)),
        "Memory": _MEMORY_BASE + wanted * _MEMORY_OF_THREAD,
        "Rows": options.rows,
        "FileSize": size,
        "StatementSize": options.statement_size,
        "CompleteInsert": options.complete_insert,
    }
    return msgspec.json.encode(told)


def tables_of(databases: tuple[Database, ...]) -> Iterator[tuple[str, Table]]:
    """The tables that have rows, each with its database."""
    for database in databases:
        yield from ((database.name, table) for table in database.tables if table.has_rows)


def stem(database: str, table: str = "") -> str:
    """How the names of all files of a database, or of a table or view in it, begin: as PingCAP's dumpling
    has it, so that no two share a file, and TiDB Lightning and our restore read them."""
    return ".".join(
        _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", name) for name in (database, table) if name
    )


def _client(tls: Path | None) -> dict[str, str]:
    if tls is None or not (tls / "tls.crt").exists():
        return {}
    return {"ClientCertificate": str(tls / "tls.crt"), "ClientKey": str(tls / "tls.key")}
