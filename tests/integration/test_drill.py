"""Drills on real servers: what they prove, that nothing of theirs stays, and that nothing else is touched."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.comparison import content
from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.integration.scene import JSON, Scene
from tests.integration.schedule_scene import Schedules, hourly_half_an_hour_from_now
from tests.worker.worker_process import Ended, Worker, archive_of
from tidbbackup.model.contract.task import RestoreSettings

pytestmark = pytest.mark.integration

SUFFIX = "_drill"
# MariaDB writes the database into foreign keys and defaults that lead to another one.
SHOPS = (
    "CREATE DATABASE `an-other`",
    "CREATE DATABASE shop CHARACTER SET latin1",
    "CREATE SEQUENCE `an-other`.numbers",
    "CREATE TABLE `an-other`.parent (id INT PRIMARY KEY)",
    "INSERT INTO `an-other`.parent VALUES (1), (2)",
    "CREATE TABLE shop.child (id INT DEFAULT nextval(`an-other`.numbers) COMMENT 'no `a`.`x`', "
    "twice INT GENERATED ALWAYS AS (id * 2), FOREIGN KEY (id) REFERENCES `an-other`.parent (id))",
    "INSERT INTO shop.child (id) VALUES (1)",
    "CREATE TABLE shop.audit (text VARCHAR(20))",
    "CREATE VIEW shop.seen AS SELECT id FROM shop.child",
    "CREATE PROCEDURE shop.count_them() SELECT COUNT(*) FROM shop.child",
    "CREATE TRIGGER shop.tell AFTER INSERT ON shop.child FOR EACH ROW INSERT INTO shop.audit VALUES ('new')",
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    """A server with two databases of which one needs the other."""
    await object_store.create_bucket("drilled")
    async with mariadb(servers, name="drilled") as server:
        await server.load(SHOPS)
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(
    source: Database, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Worker:
    """Its archive, and the worker that has made it."""
    folder = tmp_path_factory.mktemp("drilled")
    return await archive_of(source, object_store, "drilled", "some/backup-1.tgz", folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def target(servers: Processes) -> AsyncIterator[Database]:
    """Another server."""
    async with mariadb(servers, name="drill-target") as server:
        yield server


async def restored(made: Worker, target: Database, settings: RestoreSettings, folder: Path) -> Ended:
    """Load the archive."""
    return await made.into(target, folder, settings).run("restore")


async def test_with_a_suffix_all_tables_are_restored_beside_their_originals(
    made: Worker, source: Database, tmp_path: Path
) -> None:
    before = await content(source)

    ended = await restored(made, source, RestoreSettings(databaseSuffix=SUFFIX), tmp_path)

    assert ended.code == 0, ended.log
    after = await content(source)
    assert {name: after.tables[name] for name in before.tables} == before.tables
    for (database, name), (_, rows, digest, _) in before.tables.items():
        assert after.tables[database + SUFFIX, name][1:3] == (rows, digest), name
    child = after.tables["shop_drill", "child"][0]
    assert "REFERENCES `an-other_drill`.`parent`" in child
    assert "nextval(`an-other_drill`.`numbers`)" in child
    assert "COMMENT 'no `a`.`x`'" in child
    assert "latin1" in after.databases["shop_drill"]
    assert after.programs.keys() - before.programs.keys() == {("SEQUENCE", "an-other_drill", "numbers")}
    assert [notice.reason for notice in ended.result.notices] == ["ProgramsLeftOut"]

    ended = await restored(made, source, RestoreSettings(databaseSuffix=SUFFIX, drop=True), tmp_path)

    assert ended.result.reason == "TargetNotEmpty"
    assert await source.sql("SELECT id FROM shop_drill.child") == [(1,)]
    await source.load(["DROP DATABASE shop_drill", "DROP DATABASE `an-other_drill`"])


async def test_what_a_drill_has_created_is_dropped_and_nothing_else(
    made: Worker, source: Database, tmp_path: Path
) -> None:
    before = await content(source)
    ended = await restored(made, source, RestoreSettings(databaseSuffix=SUFFIX, drop=True), tmp_path)
    assert (ended.code, ended.result.rows) == (0, sum(table[1] for table in before.tables.values()))
    assert await content(source) == before


async def test_in_another_server_nothing_of_an_archive_and_its_programs_stays(
    made: Worker, target: Database, tmp_path: Path
) -> None:
    await target.load(["CREATE DATABASE shop", "CREATE TABLE shop.mine (id INT)"])
    before = await content(target)

    ended = await restored(made, target, RestoreSettings(drop=True), tmp_path)
    assert (ended.code, ended.result.tables) == (0, 3), ended.log
    assert await content(target) == before

    await target.sql("CREATE VIEW shop.audit AS SELECT 1")
    before = await content(target)
    ended = await restored(made, target, RestoreSettings(drop=True), tmp_path)
    assert ended.result.reason == "TargetNotEmpty"
    assert await content(target) == before
    await target.sql("DROP DATABASE shop")


async def test_one_that_has_failed_is_dropped_too(made: Worker, target: Database, tmp_path: Path) -> None:
    # Found only when it is created: triggers are not among what TargetNotEmpty is about.
    await target.load(["CREATE DATABASE shop", "CREATE TABLE shop.mine (id INT)"])
    await target.sql("CREATE TRIGGER shop.tell AFTER INSERT ON shop.mine FOR EACH ROW SET @x = 1")
    before = await content(target)
    ended = await restored(made, target, RestoreSettings(drop=True), tmp_path)
    assert (ended.result.reason, ended.result.notices) == ("LoadFailed", ()), ended.log
    assert await content(target) == before
    await target.sql("DROP DATABASE shop")


async def test_a_schedule_proves_its_newest_backup_and_says_so(scene: Scene) -> None:
    schedules, server = Schedules(scene), scene.lab.database
    minute = hourly_half_an_hour_from_now()
    await schedules.create(
        "s", minute, {"tableFilter": ["shop.*"]}, drill={"schedule": minute, "databaseSuffix": SUFFIX}
    )
    await schedules.put_back("s", 1)
    (backup,) = await schedules.until_made(1)
    name = backup["metadata"]["name"]
    await scene.until_phase("Complete", name)
    before = await content(server)

    await schedules.drills_put_back("s", 1)
    proven = await scene.until(lambda found: bool(proof(found)), name)

    assert proof(proven)["status"] == "True", proof(proven)
    assert "as many as in the archive" in proof(proven)["message"]
    assert "views, triggers, routines and events" in proof(proven)["message"]
    await scene.until_said("Proven", name)
    status = await schedules.until(lambda status: "lastProvenBackup" in status, "s")
    assert status["lastProvenBackup"] == name
    assert await content(server) == before

    # Somebody else's: it is not touched, and the next drill proves nothing.
    await server.load(["CREATE DATABASE shop_drill", "CREATE TABLE shop_drill.mine (id INT)"])
    before = await content(server)
    other = f"{(datetime.now(UTC) - timedelta(minutes=20)).minute} * * * *"
    await scene.kubectl(
        *("patch", "bks", "s", "--type=merge", "-p", json.dumps({"spec": {"drill": {"schedule": other}}}))
    )
    try:
        refused = await scene.until(lambda found: proof(found).get("status") == "False", name)
        assert await content(server) == before
    finally:
        await server.sql("DROP DATABASE shop_drill")
    assert proof(refused)["reason"] == "TargetNotEmpty"
    assert "database `shop_drill` already" in proof(refused)["message"]
    assert len((await scene.kubectl("get", "rt", "--no-headers")).splitlines()) == 2


def proof(backup: JSON | None) -> JSON:
    """The condition Proven; empty while it is not there."""
    conditions = (backup or {}).get("status", {}).get("conditions", [])
    found: list[JSON] = [each for each in conditions if each["type"] == "Proven"]
    return found[0] if found else {}
