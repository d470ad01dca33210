"""What the survey reads from a real server.

Here is also what worker/database/survey.py promises.
"""

import asyncio

import pytest

from tests.cluster.database import Database
from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.worker.database.catalog import Table, estimated_bytes
from tidbbackup.worker.database.session import Login
from tidbbackup.worker.database.survey import survey

pytestmark = pytest.mark.integration


async def test_it_knows_about_how_much_there_is(database: Database) -> None:
    await database.load(
        [
            "CREATE OR REPLACE DATABASE counted",
            "CREATE TABLE counted.big (id INT PRIMARY KEY, filler CHAR(200))",
            "INSERT INTO counted.big SELECT seq, REPEAT('x', 200) FROM counted.seq_1_to_20000",
            "CREATE TABLE counted.none (id INT)",
            "CREATE VIEW counted.seen AS SELECT id FROM counted.big",
            "ANALYZE TABLE counted.big",
        ]
    )
    login = Login(DatabaseTarget(database.host, database.port, "root"), database.password.encode())
    found = await asyncio.to_thread(survey, login)
    counted = next(d for d in found.databases if d.name == "counted")
    tables: dict[str, Table] = {table.name: table for table in counted.tables}
    assert 15_000 < tables["big"].rows < 25_000
    assert 4_000_000 < tables["big"].data_bytes < 8_000_000
    assert (tables["none"].rows, tables["seen"].rows, tables["seen"].data_bytes) == (0, 0, 0)
    assert estimated_bytes((counted,)) == tables["big"].data_bytes + tables["none"].data_bytes
    await database.sql("DROP DATABASE counted")
