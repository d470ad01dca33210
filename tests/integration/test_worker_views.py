"""The files that the worker writes for views where mydumper does not, against mydumper's own."""

import asyncio
from pathlib import Path

import pytest

from tests.cluster.database import Database
from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.worker.database import catalog
from tidbbackup.worker.database.session import Login
from tidbbackup.worker.database.survey import read_views
from tidbbackup.worker.database.views import view_files, write_files

pytestmark = pytest.mark.integration


async def test_they_are_mydumpers_own_to_the_byte(database: Database, tmp_path: Path) -> None:
    await database.load(
        [
            "CREATE OR REPLACE DATABASE seen",
            "CREATE TABLE seen.t (id INT, `größe` TEXT)",
            "CREATE VIEW seen.v AS SELECT id, `größe`, 'é漢' AS word FROM seen.t",
            "CREATE VIEW seen.`w x` AS SELECT id FROM seen.v",
        ]
    )
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    process = await asyncio.create_subprocess_exec(
        *("mydumper", f"--host={database.host}", f"--port={database.port}", "--user=root"),
        *(f"--password={database.password}", "--database=seen", f"--outputdir={theirs}"),
    )
    assert await process.wait() == 0
    ours.mkdir()
    tables = (catalog.Table("t"), catalog.Table("v", "VIEW", None), catalog.Table("w x", "VIEW", None))
    login = Login(DatabaseTarget(database.host, database.port, "root"), database.password.encode())
    views = await asyncio.to_thread(read_views, login, "", (catalog.Database("seen", tables),))
    write_files(view_files(views), ours)
    assert len(list(ours.iterdir())) == 4
    for path in ours.iterdir():
        assert path.read_bytes() == (theirs / path.name).read_bytes(), path.name
    await database.sql("DROP DATABASE seen")
