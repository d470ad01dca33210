"""A database of a given size whose rows compress as sysbench's do, about 2 to 1; the server makes them."""

import asyncio

from tests.cluster.database import Database

DATABASE = "bench"
TABLES = 4
_ROW_BYTES = 201
"""Of one row in a dump."""
_POOL = 200_000
"""So many different rows: far more than the 32 KiB in which gzip looks for repetitions hold."""


_DIGITS = "LPAD(FLOOR(RAND() * 100000000000), 11, '0')"
_WIDE, _NARROW = (f"CONCAT_WS('-', {', '.join([_DIGITS] * count)})" for count in (10, 5))
_COLUMNS = "id INT AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL"
_AT_ONCE = 25_000
"""Rows of one transaction of TiDB, which keeps it in memory."""


async def fill(server: Database, size: int) -> None:
    """Make tables of MariaDB whose dump has about `size` bytes."""
    rows = size // (TABLES * _ROW_BYTES)
    await server.load(
        [
            f"CREATE DATABASE {DATABASE}",
            f"CREATE TABLE {DATABASE}.pool (id INT PRIMARY KEY, c CHAR(120), pad CHAR(60))",
            f"INSERT INTO {DATABASE}.pool SELECT seq, {_WIDE}, {_NARROW} FROM seq_1_to_{_POOL}",
        ],
        database="mysql",
    )
    await asyncio.gather(*(_table(server, number, rows) for number in range(1, TABLES + 1)))
    await server.load([f"DROP TABLE {DATABASE}.pool"])
    await server.load([f"ANALYZE TABLE {DATABASE}.sbtest{number}" for number in range(1, TABLES + 1)])


async def _table(server: Database, number: int, rows: int) -> None:
    name = f"{DATABASE}.sbtest{number}"
    # Each table takes the pool in an order of its own.
    pick = f"(seq * {7919 + 2 * number} + {number}) % {_POOL} + 1"
    await server.load(
        [
            f"CREATE TABLE {name} ({_COLUMNS}) CHARSET latin1",
            f"INSERT INTO {name} SELECT seq, FLOOR(RAND() * {rows}), p.c, p.pad "
            f"FROM mysql.seq_1_to_{rows} JOIN {DATABASE}.pool p ON p.id = {pick}",
        ]
    )


async def fill_tidb(server: Database, size: int) -> None:
    """The same tables in a TiDB, which has no sequence engine."""
    rows = size // (TABLES * _ROW_BYTES)
    numbers = ", ".join(f"({number})" for number in range(_AT_ONCE // 100))
    statements = [
        f"CREATE DATABASE {DATABASE}",
        f"CREATE TABLE {DATABASE}.n (n INT PRIMARY KEY)",
        f"INSERT INTO {DATABASE}.n VALUES {numbers}",
    ]
    for table in range(1, TABLES + 1):
        statements.append(f"CREATE TABLE {DATABASE}.sbtest{table} ({_COLUMNS})")
        statements += [
            f"INSERT INTO {DATABASE}.sbtest{table} SELECT {first} + a.n * 100 + b.n, FLOOR(RAND() * {rows}), "
            f"{_WIDE}, {_NARROW} FROM {DATABASE}.n a JOIN {DATABASE}.n b ON b.n < 100"
            for first in range(1, rows, _AT_ONCE)
        ]
    await server.load([*statements, f"DROP TABLE {DATABASE}.n"])
    await server.load([f"ANALYZE TABLE {DATABASE}.sbtest{table}" for table in range(1, TABLES + 1)])
