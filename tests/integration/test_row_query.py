"""The query by which docs/how-to/restore.md compares the rows of two servers."""

import re

import pytest

from tests.cluster.database import Database
from tests.cluster.lab import ROOT
from tests.cluster.processes import Processes
from tests.cluster.tidb_server import tidb

pytestmark = pytest.mark.integration

PAGE = (ROOT / "docs" / "how-to" / "restore.md").read_text()
(QUERY,) = re.findall(r"```sql\n(SET SESSION group_concat_max_len.*?)```", PAGE, re.DOTALL)
ORDERS = (
    "CREATE TABLE shop.orders (id INT PRIMARY KEY, note TEXT, made TIMESTAMP NULL, price DECIMAL(9,2), "
    "twice DECIMAL(10,2) AS (price * 2))"
)


async def fingerprint(server: Database) -> tuple[object, ...]:
    """The three numbers of the table."""
    width, _, asks = QUERY.strip().partition(";\n")
    text = str((await server.sql(f"{width}; {asks}"))[0][0])
    (row,) = await server.sql(f"SET SESSION time_zone = '+00:00', SESSION sql_mode = ''; {text}")
    return row


async def equal_rows_have_equal_numbers(server: Database) -> None:
    """And others do not: NULL is not an empty text, and a value is not one of another row."""
    await server.load(["CREATE DATABASE shop", ORDERS])
    insert = "INSERT INTO shop.orders (id, note, made, price) VALUES "
    await server.load([insert + "(1,'a','2026-01-01',1.5),(2,NULL,NULL,2)"])
    before = await fingerprint(server)
    assert before[0] == 2
    await server.load(["DELETE FROM shop.orders", insert + "(2,NULL,NULL,2),(1,'a','2026-01-01',1.50)"])
    assert await fingerprint(server) == before
    for change in ("note = ''", "note = 'b'", "price = 3"):
        await server.load([f"UPDATE shop.orders SET {change} WHERE id = 2"])
        assert await fingerprint(server) != before
    await server.load(["DROP DATABASE shop"])


async def test_on_mariadb(database: Database) -> None:
    await equal_rows_have_equal_numbers(database)


async def test_on_tidb(servers: Processes) -> None:
    async with tidb(servers) as server:
        await equal_rows_have_equal_numbers(server)
