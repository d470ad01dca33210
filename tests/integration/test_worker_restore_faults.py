"""A restore that is killed, cut off or refused: what it leaves, and that a second one succeeds."""

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.comparison import content
from tests.cluster.database import Database, mariadb
from tests.cluster.fault_proxy import Fault, fault_proxy
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.sample_schema import sample_schema
from tests.integration.dump_files import packed
from tests.integration.faults import within
from tests.integration.hold_proxy import hold_proxy
from tests.worker.cut_proxy import cut_proxy
from tests.worker.load.test_restoration import MANIFEST
from tests.worker.small_volume import small_volume
from tests.worker.worker_process import Worker, archive_of
from tidbbackup.model import reasons
from tidbbackup.model.contract.task import DatabaseTarget, RestoreSettings
from tidbbackup.worker.archive.manifest import Manifest, read_manifest
from tidbbackup.worker.archive.tar import PackedFile
from tidbbackup.worker.counters import Counters
from tidbbackup.worker.database.session import Login
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.load.comparison import Mismatch
from tidbbackup.worker.load.restoration import Restoration, Wanted
from tidbbackup.worker.load.target import Target, meet

pytestmark = pytest.mark.integration

BUCKET = "restored-faults"
DATABASES = ("shop", "test", "mysql_app")
POINTS = 20
EVERYTHING = b""
"""A word that is in whatever a client sends."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes) -> AsyncIterator[Database]:
    async with mariadb(servers, name="faults-source") as server:
        await server.load(sample_schema())
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(
    source: Database, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Worker:
    """The archive of the shop, and the worker that has made it."""
    await object_store.create_bucket(BUCKET)
    return await archive_of(source, object_store, BUCKET, "backup-1.tgz", tmp_path_factory.mktemp("made"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(servers: Processes) -> AsyncIterator[Database]:
    async with mariadb(servers, name="faults-target") as found:
        await found.sql("CREATE USER reader@'%' IDENTIFIED BY 'pw'")
        await found.sql("GRANT SELECT ON *.* TO reader@'%'")
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def target(server: Database) -> AsyncIterator[Database]:
    """Empty."""
    for name in DATABASES:
        await server.sql(f"DROP DATABASE IF EXISTS {name}")
    yield server


def restoring(
    made: Worker, target: Database, folder: Path, port: int = 0, *, overwrite: bool = False
) -> Worker:
    return made.into(target, folder, RestoreSettings(overwrite=overwrite), port)


def met(server: Database) -> Target:
    """The server, as the worker knows it."""
    return meet(Login(DatabaseTarget(server.host, server.port, server.user), server.password.encode()))


def load(target: Target, manifest: Manifest | None, archive: bytes) -> list[Mismatch]:
    """Load an archive as the worker does, but in this process, over what is there."""
    work = Restoration(target, Wanted(manifest, overwrite=True), Counters())
    try:
        if work.passes > 1:
            work.collect(io.BytesIO(archive))
        work.load(io.BytesIO(archive))
        return work.finish()
    finally:
        work.stop()


async def loaded(made: Worker, target: Database) -> list[Mismatch]:
    """Load the archive over what is there."""
    archive = await made.store.get(BUCKET, made.target.key)
    manifest = read_manifest(await made.store.get(BUCKET, made.target.manifest_key))
    return await asyncio.to_thread(load, await asyncio.to_thread(met, target), manifest, archive)


async def test_damage_at_twenty_places_is_named_and_the_next_one_succeeds(
    made: Worker, source: Database, target: Database
) -> None:
    live = ["CREATE DATABASE mine", "CREATE TABLE mine.t (id INT)", "INSERT INTO mine.t VALUES (1)"]
    await target.load(live)
    archive = await made.store.get(BUCKET, made.target.key)
    manifest = read_manifest(await made.store.get(BUCKET, made.target.manifest_key))
    server = await asyncio.to_thread(met, target)
    for number in range(POINTS):
        at = len(archive) * number // POINTS + number
        flipped = bytearray(archive)
        flipped[at] ^= 1 << number % 8
        # That it is cut off is seen by its manifest first of all: here it has none.
        for damaged, known in ((bytes(flipped), manifest), (archive[:at], None)):
            with pytest.raises(StepFailed) as caught:
                await asyncio.to_thread(load, server, known, damaged)
            assert caught.value.reason == reasons.ARCHIVE_BROKEN, (at, caught.value)
        assert await asyncio.to_thread(load, server, manifest, archive) == [], at

    assert await target.sql("SELECT * FROM mine.t") == [(1,)]
    await target.sql("DROP DATABASE mine")
    assert await content(target) == await content(source)


async def test_killed_at_twenty_points_the_next_one_succeeds(
    made: Worker, source: Database, target: Database, tmp_path: Path
) -> None:
    async with hold_proxy(target.host, target.port, EVERYTHING) as proxy:
        proxy.release()
        ended = await restoring(made, target, tmp_path, proxy.port).run("restore")
        assert ended.code == 0, ended.log
    for number in range(POINTS):
        skip = proxy.said * number // POINTS
        async with hold_proxy(target.host, target.port, EVERYTHING, skip) as held:
            process = await restoring(made, target, tmp_path, held.port, overwrite=True).start("restore")
            await within(held.reached)
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        assert await loaded(made, target) == [], skip
    assert await content(target) == await content(source)


async def test_what_a_killed_one_has_loaded_is_overwritten_only_if_it_is_asked_for(
    made: Worker, source: Database, target: Database, tmp_path: Path
) -> None:
    async with hold_proxy(target.host, target.port, b"INSERT INTO `orders`") as proxy:
        process = await restoring(made, target, tmp_path, proxy.port).start("restore")
        await within(proxy.reached)
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    ended = await restoring(made, target, tmp_path).run("restore")
    assert (ended.code, ended.result.reason) == (1, reasons.TARGET_NOT_EMPTY), ended.log
    ended = await restoring(made, target, tmp_path, overwrite=True).run("restore")
    assert ended.code == 0, ended.log
    assert await content(target) == await content(source)


async def test_no_room_on_a_volume_of_the_pod_is_needed(
    made: Worker, source: Database, target: Database, tmp_path: Path
) -> None:
    worker = restoring(made, target, tmp_path)
    with small_volume(worker.staging, 4 << 10):
        (worker.staging / "all of it").write_bytes(bytes(4 << 10))
        ended = await worker.run("restore")
    assert ended.code == 0, ended.log
    assert await content(target) == await content(source)


async def test_no_room_in_the_target_ends_it_without_reading_on(target: Database) -> None:
    rows = b",\n".join(b"(%d,'%s')" % (number, b"x" * 200) for number in range(2000))
    files = {
        "shop-schema-create.sql": b"CREATE DATABASE `shop`;\n",
        "shop.t-schema.sql": b"CREATE TABLE `t` (`id` int, `v` char(200)) ENGINE=MEMORY;\n",
        "shop.t.sql": b"INSERT INTO `t` VALUES\n" + rows + b";\n",
        # Random: it stays as large.
        "shop.t.00001.sql": b"INSERT INTO `t` VALUES\n(1,'%s');\n" % os.urandom(3_000_000).hex().encode(),
    }
    archive = packed(files, "backup-1")
    manifest = attrs.evolve(MANIFEST, size=len(archive), files=tuple(PackedFile(name, 1) for name in files))
    work = Restoration(await asyncio.to_thread(met, target), Wanted(manifest), Counters())
    ((room,),) = await target.sql("SELECT @@global.max_heap_table_size")
    await target.sql("SET GLOBAL max_heap_table_size = 16384")
    try:
        # That it has another digest than its manifest says is not looked for.
        with pytest.raises(StepFailed, match="the server has no room: give it more") as caught:
            await asyncio.to_thread(work.load, io.BytesIO(archive))
    finally:
        work.stop()
        await target.sql(f"SET GLOBAL max_heap_table_size = {room}")
    assert caught.value.reason == reasons.LOAD_FAILED


async def test_asked_to_end_it_ends_at_once(made: Worker, target: Database, tmp_path: Path) -> None:
    async with hold_proxy(target.host, target.port, b"INSERT INTO `orders`") as proxy:
        worker = restoring(made, target, tmp_path, proxy.port)
        process = await worker.start("restore")
        await within(proxy.reached)
        process.terminate()
        ended = await worker.ended(process)
    assert (ended.code, ended.result.reason, ended.result.step) == (143, reasons.TERMINATED, "load"), (
        ended.log
    )


async def test_a_server_that_is_lost_halfway(
    made: Worker, source: Database, target: Database, tmp_path: Path
) -> None:
    async with cut_proxy(target.host, target.port) as proxy:
        proxy.word = b"INSERT INTO `order_lines`"
        ended = await restoring(made, target, tmp_path, proxy.port).run("restore")
    assert (ended.code, ended.result.reason) == (1, reasons.DATABASE_LOST), ended.log
    assert "then restore again with overwrite: Tables; " in ended.result.message
    assert " of 7 tables have all their rows" in ended.result.message
    assert await loaded(made, target) == []
    assert await content(target) == await content(source)


async def test_a_user_who_may_not(made: Worker, target: Database, tmp_path: Path) -> None:
    worker = restoring(made, target, tmp_path)
    worker.database, worker.password = DatabaseTarget(target.host, target.port, "reader"), "pw"
    ended = await worker.run("restore")
    assert (ended.code, ended.result.reason) == (1, reasons.GRANTS_MISSING), ended.log
    assert "loading database `" in ended.result.message
    assert await loaded(made, target) == []


async def test_a_storage_in_trouble(
    made: Worker, target: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    async with fault_proxy("127.0.0.1", object_store.port) as proxy:
        worker = restoring(made, target, tmp_path)
        worker.retarget(endpoint=f"http://127.0.0.1:{proxy.port}")
        body = b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>"
        slow = {"matches": "backup-1.tgz", "excludes": "HEAD", "status": 503, "body": body}
        proxy.faults += [
            Fault(**slow),  # type: ignore[arg-type]
            Fault(matches="backup-1.tgz", excludes="HEAD", cut_at=2000),
            Fault(matches="backup-1.tgz", excludes="HEAD", cut_at=1000, reset=True),
            Fault(matches="backup-1.tgz", excludes="HEAD", delay=0.5, rechunk=10_000),
        ]
        ended = await worker.run("restore")
        assert ended.code == 0, ended.log
        assert proxy.faulted == 4

        proxy.faults = [Fault(**slow, times=None)]  # type: ignore[arg-type]
        worker.restore = RestoreSettings(overwrite=True)
        ended = await worker.run("restore")
    assert (ended.code, ended.result.reason) == (1, reasons.STORAGE_UNREACHABLE), ended.log
    assert "SlowDown" in ended.result.message
    assert [row[0] for row in await target.sql("SHOW TABLES FROM shop LIKE 'orders'")] == ["orders"]
