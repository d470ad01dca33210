"""A Restore by kubectl: into an empty server, not over what is there, over it where that is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.api import ApiRefused
from tests.cluster.comparison import content
from tests.cluster.database import Database, mariadb
from tests.cluster.processes import Processes
from tests.integration.faults import before_database, within
from tests.integration.hold_proxy import TABLE_DUMP, hold_proxy
from tests.integration.scene import JSON, OVER, NeverHappened, Scene, phase

pytestmark = pytest.mark.integration

FILTER = ["shop.*"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def target(servers: Processes) -> AsyncIterator[Database]:
    """A server to load into."""
    async with mariadb(servers, name="restore-target") as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(place: Scene, target: Database) -> Scene:
    """A namespace with a Backup that is Complete, and the Secret of the target."""
    await place.secret("target", {"password": target.password})
    await place.apply(place.backup("whole", tableFilter=FILTER))
    found = await place.until_over("whole")
    assert phase(found) == "Complete", found["status"]
    return place


async def shop(server: Database) -> JSON:
    """All that is in database shop."""
    found = await content(server)
    tables = {name: row for name, row in found.tables.items() if name[0] == "shop"}
    return {"tables": tables, "programs": {n: text for n, text in found.programs.items() if n[1] == "shop"}}


def restore(scene: Scene, target: Database, name: str, **spec: Any) -> JSON:
    """A Restore of that Backup; keywords replace parts of its spec (None removes one)."""
    to = {"host": target.host, "port": target.port, "user": target.user, "secretName": "target"}
    whole = {"to": to, "backup": "whole"} | spec
    return {
        "apiVersion": "pingcap.com/v1alpha1",
        "kind": "Restore",
        "metadata": {"name": name, "namespace": scene.namespace},
        "spec": {field: value for field, value in whole.items() if value is not None},
    }


async def get(scene: Scene, name: str) -> JSON | None:
    """The Restore as it is, None if it is gone."""
    path = f"/apis/pingcap.com/v1alpha1/namespaces/{scene.namespace}/restores/{name}"
    try:
        return await scene.lab.plane.api.get(path)
    except ApiRefused as error:
        if error.status == 404:
            return None
        raise


async def until_over(scene: Scene, name: str, seconds: float = 60) -> JSON:
    """Wait until it is Complete, Failed or Invalid; its status."""
    deadline = time.monotonic() + seconds
    while True:
        found = await get(scene, name)
        if phase(found) in OVER:
            assert found is not None
            status: JSON = found["status"]
            return status
        if time.monotonic() > deadline:
            raise NeverHappened(f"{found}\n{scene.lab.controller.log()[-3000:]}")
        await asyncio.sleep(0.1)


def reason(status: JSON) -> tuple[str, str]:
    """Reason and message of the phase."""
    (found,) = (each for each in status["conditions"] if each["type"] == status["phase"])
    return found["reason"], found["message"]


async def test_a_whole_life_into_an_empty_server_and_over_it(made: Scene, target: Database) -> None:
    await made.apply(restore(made, target, "first"))
    status = await until_over(made, "first")
    assert status["phase"] == "Complete", status
    assert reason(status)[0] == "Restored"
    assert status["rows"] > 0
    assert await shop(target) == await shop(made.lab.database)
    columns = (await made.kubectl("get", "rt", "first")).splitlines()[1].split()
    assert columns[1] == "Complete"
    assert str(status["rows"]) in columns

    await made.apply(restore(made, target, "second"))
    status = await until_over(made, "second")
    assert (status["phase"], reason(status)[0]) == ("Failed", "TargetNotEmpty"), status

    await target.sql("DELETE FROM shop.order_lines LIMIT 10")
    await made.apply(restore(made, target, "third", overwrite="Tables", tableFilter=["shop.order_lines"]))
    status = await until_over(made, "third")
    assert (status["phase"], status["tables"]) == ("Complete", 1), status
    assert await shop(target) == await shop(made.lab.database)


async def test_yaml_of_tidb_operator_works_unchanged(made: Scene, target: Database) -> None:
    backup = await made.get("whole")
    assert backup is not None
    s3 = {field: value for field, value in backup["spec"]["s3"].items() if field != "bucket"}
    s3 |= {"path": backup["status"]["backupPath"]}
    theirs = {"s3": s3, "storageClassName": "local-storage", "storageSize": "1Gi", "backup": None}
    await made.apply(restore(made, target, "theirs", overwrite="Tables", **theirs))
    status = await until_over(made, "theirs")
    assert status["phase"] == "Complete", status
    assert status["backupPath"] == s3["path"]


async def test_what_is_wrong_is_invalid_and_judged_again_when_its_backup_is_there(
    made: Scene, target: Database
) -> None:
    await made.apply(restore(made, target, "early", backup="late", overwrite="Tables"))
    status = await until_over(made, "early")
    assert status["phase"] == "Invalid"
    assert "is no Backup of this namespace" in reason(status)[1]
    await made.apply(made.backup("late", tableFilter=FILTER))
    assert phase(await made.until_over("late")) == "Complete"
    for _ in range(600):
        found = await get(made, "early")
        if phase(found) in ("Complete", "Failed"):
            break
        await asyncio.sleep(0.1)
    assert phase(found) == "Complete", found


async def test_what_is_restored_and_where_cannot_change_once_it_has_begun(
    made: Scene, target: Database
) -> None:
    await made.apply(restore(made, target, "fixed", overwrite="Tables"))
    await until_over(made, "fixed")
    patch = '{"spec": {"overwrite": "Never"}}'
    with pytest.raises(Exception, match="cannot change once the restore has begun"):
        await made.kubectl("patch", "rt", "fixed", "--type=merge", "-p", patch)


async def test_deleting_one_stops_its_job_and_deletes_nothing_else(made: Scene, target: Database) -> None:
    waits = restore(made, target, "gone", to={"host": target.host, "port": target.port, "secretName": "none"})
    await made.apply(waits)
    await made.until_waiting("CreateContainerConfigError", "restore")
    await made.kubectl("delete", "rt", "gone")
    for _ in range(300):
        if not [job for job in await made.jobs() if job["metadata"]["name"] == "restore-gone"]:
            break
        await asyncio.sleep(0.1)
    else:
        raise NeverHappened("its Job stays")
    assert len(await made.objects()) >= 2


async def until(scene: Scene, name: str, holds: Callable[[JSON], object], seconds: float = 60) -> JSON:
    """Wait until the Restore's status is so."""
    deadline = time.monotonic() + seconds
    while True:
        found = await get(scene, name)
        if found and holds(found.get("status", {})):
            status: JSON = found["status"]
            return status
        if time.monotonic() > deadline:
            raise NeverHappened(f"{found}\n{scene.lab.controller.log()[-3000:]}")
        await asyncio.sleep(0.1)


async def test_kubectl_shows_how_far_it_is_while_it_loads(made: Scene, target: Database) -> None:
    async with hold_proxy(target.host, target.port, b"INSERT INTO") as proxy:
        to = {"host": "127.0.0.1", "port": proxy.port, "user": target.user, "secretName": "target"}
        await made.apply(restore(made, target, "shown", overwrite="Tables", to=to))
        await within(proxy.reached)
        status = await until(made, "shown", lambda status: status.get("progress", {}).get("step") == "load")
        shown = status["progress"]
        assert 0 <= shown["percent"] <= 99
        columns = (await made.kubectl("get", "rt", "shown")).splitlines()[1]
        assert f"load {shown['percent']}%" in columns
        proxy.release()
        status = await until_over(made, "shown")
    assert status["phase"] == "Complete", status
    await until(made, "shown", lambda status: "progress" not in status)


async def test_a_backup_that_dumps_from_the_target_now_is_a_warning(made: Scene, target: Database) -> None:
    async with before_database(made.lab, TABLE_DUMP) as proxy:
        await made.apply(made.backup("dumping", source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        to = {"host": "127.0.0.1", "port": proxy.port, "secretName": "none"}
        await made.apply(restore(made, target, "beside", to=to))
        status = await until(made, "beside", lambda status: status.get("warnings"))
        (warned,) = status["warnings"]
        assert warned["reason"] == "BackupRuns"
        assert "Backup dumping dumps from the server of spec.to now" in warned["message"]
        proxy.release()
        assert phase(await made.until_over("dumping")) == "Complete"
    await until(made, "beside", lambda status: not status.get("warnings"))
    await made.kubectl("delete", "rt", "beside")


async def test_an_archive_that_a_restore_reads_stays_until_it_has_ended(
    made: Scene, target: Database
) -> None:
    await made.apply(made.backup("read", tableFilter=FILTER, cleanPolicy="Delete"))
    found = await made.until_over("read")
    assert found is not None
    key = found["status"]["backupPath"].removeprefix(f"s3://{made.bucket}/")
    to = {"host": target.host, "port": target.port, "secretName": "none"}
    await made.apply(restore(made, target, "reads", backup="read", to=to))
    await made.until_waiting("CreateContainerConfigError", "restore")
    await made.delete("read")
    assert f"{made.namespace}/reads" in await made.until_said("ArchiveInUse", "read")
    assert key in await made.objects()
    await made.kubectl("delete", "rt", "reads")
    await made.until_gone("read")
    assert key not in await made.objects()
