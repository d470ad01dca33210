"""What is in an archive: a schema of every type loaded by myloader into an empty server equals its source."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.comparison import content
from tests.cluster.database import Database, mariadb
from tests.cluster.lab import Lab
from tests.cluster.restore import load_archive
from tests.integration.scene import JSON, Scene, phase, why
from tests.worker.odd_schema import DATABASES, odd_schema

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(lab: Lab) -> AsyncIterator[Database]:
    """A server of one's own, empty at first."""
    async with mariadb(lab.plane.processes, name="restore-source") as server:
        yield server


def of(source: Database, scene: Scene, **spec: Any) -> JSON:
    """A Backup of that server."""
    login = {"host": source.host, "port": source.port, "secretName": "source"}
    return scene.backup(source=login, **spec)


async def test_loaded_into_an_empty_server_it_equals_its_source(
    scene: Scene, source: Database, tmp_path: Path
) -> None:
    await source.load(odd_schema())
    await scene.secret("source", {"password": source.password})
    await scene.apply(of(source, scene, s3={"prefix": "some/folder"}))

    backup = await scene.until_over()

    assert phase(backup) == "Complete", why(backup)
    status = backup["status"]
    assert set(status["databases"]) == set(DATABASES)
    assert status["databaseCount"] == len(DATABASES)
    key = status["backupPath"].removeprefix(f"s3://{scene.bucket}/")
    assert key.startswith("some/folder/backup-")
    archive = await scene.lab.store.get(scene.bucket, key)
    async with mariadb(scene.lab.plane.processes, name="restore-destination") as destination:
        await destination.sql("CREATE USER somebody@'%'")
        await load_archive(archive, destination, tmp_path / "unpacked")
        # myloader makes a database only with its first table; the archive has it all the same.
        (empty,) = (tmp_path / "unpacked").rglob("empty_one-schema-create.sql")
        assert empty.parent.name == Path(key).name.removesuffix(".tgz")
        await destination.sql(empty.read_text())
        before, after = await content(source), await content(destination)
    assert before.tables["odd", "nothing"][1] == 0, "an empty table is among them"
    assert after == before


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (["sla/sh"], ("table `names`.`sla/sh`", "a slash in the name")),
        (["back``tick"], ("a backtick in the name",)),
        (["t", "t-schema"], ("table `names`.`t-schema` and table `names`.`t` would share the file",)),
        (["t", "t.00001"], ("`names`.`t.00001`",)),
    ],
    ids=["slash", "backtick", "schema", "chunk"],
)
async def test_names_that_would_be_lost_are_named_before_a_byte_is_dumped(
    scene: Scene, source: Database, tables: list[str], words: tuple[str, ...]
) -> None:
    await source.sql("CREATE OR REPLACE DATABASE names")
    await source.load(f"CREATE TABLE names.`{table}` (id INT PRIMARY KEY)" for table in tables)
    await scene.secret("source", {"password": source.password})
    await scene.apply(of(source, scene))

    reason, message = why(await scene.until_phase("Failed"))

    await source.sql("DROP DATABASE names")
    assert reason == "UnsupportedName"
    for each in words:
        assert each in message
    assert message.endswith("; rename them or filter them out")
    assert await scene.objects() == {}
    await scene.delete()
    await scene.until_gone(seconds=5)


async def test_a_server_without_databases_is_nothing_to_dump(scene: Scene) -> None:
    async with mariadb(scene.lab.plane.processes, name="restore-nothing") as server:
        await scene.secret("source", {"password": server.password})
        await scene.apply(of(server, scene))

        reason, message = why(await scene.until_phase("Failed"))

    assert (reason, message) == (
        "NothingToDump",
        "no database to dump: the user sees none beside the system's",
    )
