"""A TiDB's GC life time is back, however the run of a Backup ends: the controller sees to it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.lab import Lab
from tests.cluster.processes import Processes
from tests.cluster.tidb_proxy import TidbProxy, tidb_proxy
from tests.cluster.tidb_server import LIFE_TIME_COMMENT, TiDB
from tests.cluster.tidb_server import tidb as tidb_server
from tests.integration.faults import within
from tests.integration.scene import Scene, why

pytestmark = pytest.mark.integration

AS_BEFORE = ("10m0s", LIFE_TIME_COMMENT)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def behind(lab: Lab, servers: Processes) -> AsyncIterator[TiDB]:
    async with tidb_server(servers, name="released", password=lab.database.password) as server:
        rows = "INSERT INTO shop.items VALUES (1), (2)"
        await server.load(["CREATE DATABASE shop", "CREATE TABLE shop.items (id INT PRIMARY KEY)", rows])
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def tidb(behind: TiDB) -> AsyncIterator[TidbProxy]:
    async with tidb_proxy(behind) as proxy:
        # When mydumper reads the first row of a table.
        proxy.hold_at = "FROM `shop`."
        yield proxy


async def halfway(scene: Scene, tidb: TidbProxy) -> None:
    """A Backup of the TiDB, stopped in the middle of its dump."""
    await scene.apply(scene.backup(source={"host": "127.0.0.1", "port": tidb.port}))
    await within(tidb.held)
    assert (await tidb.behind.life_time())[0] == "72h0m0s"


async def until_released(scene: Scene) -> None:
    """Wait until the status says that nothing is held any more."""
    await scene.until(lambda found: not (found or {})["status"].get("gcLifeTimeHeld"))


async def test_after_a_killed_worker_it_is_put_back(scene: Scene, tidb: TidbProxy) -> None:
    await halfway(scene, tidb)
    scene.lab.node.kill(scene.namespace, await scene.running_pod())
    tidb.let_go.set()
    assert why(await scene.until_phase("Failed"))[0] == "Killed"
    await until_released(scene)
    assert await tidb.behind.life_time() == AS_BEFORE
    await scene.kubectl("delete", "backup", "bk", "--timeout=30s")


async def test_after_a_deletion_in_mid_run_it_is_put_back(scene: Scene, tidb: TidbProxy) -> None:
    await halfway(scene, tidb)
    scene.lab.node.kill(scene.namespace, await scene.running_pod())
    await scene.delete()
    tidb.let_go.set()
    await scene.until_gone()
    assert await tidb.behind.life_time() == AS_BEFORE
    await scene.until_no_job()


async def test_what_keeps_it_from_being_put_back_is_told_and_then_done(scene: Scene, tidb: TidbProxy) -> None:
    await halfway(scene, tidb)
    await scene.secret("backup-demo1-tidb-secret", {"password": "another"})
    scene.lab.node.kill(scene.namespace, await scene.running_pod())
    tidb.let_go.set()
    message = await scene.until_said("ReleaseFailed")
    assert "check spec.from.user and the key `password`" in message
    assert (await tidb.behind.life_time())[0] == "72h0m0s"
    await scene.secret("backup-demo1-tidb-secret", {"password": scene.lab.database.password})
    await scene.delete()
    await scene.until_gone()
    assert await tidb.behind.life_time() == AS_BEFORE


@pytest.mark.parametrize("how", ["made again", "another"])
async def test_a_missing_secret_keeps_nothing_but_that_from_being_done(
    scene: Scene, tidb: TidbProxy, how: str
) -> None:
    await halfway(scene, tidb)
    await scene.kubectl("delete", "secret", "backup-demo1-tidb-secret")
    scene.lab.node.kill(scene.namespace, await scene.running_pod())
    tidb.let_go.set()
    assert why(await scene.until_phase("Failed"))[0] == "Killed"
    assert "the Secret of spec.from.secretName needs `password`" in await scene.until_said("ReleaseFailed")

    name = "backup-demo1-tidb-secret" if how == "made again" else "renewed"
    await scene.secret(name, {"password": scene.lab.database.password})
    named = f'-p={{"spec":{{"from":{{"secretName":"{name}"}}}}}}'
    await scene.kubectl("patch", "backup", "bk", "--type=merge", named)

    await until_released(scene)
    assert await tidb.behind.life_time() == AS_BEFORE
    await scene.kubectl("delete", "backup", "bk", "--timeout=30s")
