"""The way to the database: what mydumper says to whom, and that it is the server that was judged."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.certificates import write_certificates
from tests.cluster.database import Database, mariadb
from tests.cluster.hostile_server import TRICKS, hostile_server
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.cluster.relay import both_ways, connection, listening, pass_on
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.worker.dumpers.mydumper.defaults_file import defaults_file

pytestmark = pytest.mark.integration

BUCKET = "way"
PASSWORD = b"canary-password"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="way-source", password="same-password") as server:
        await server.load(["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"])
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other(servers: Processes) -> AsyncIterator[Database]:
    async with mariadb(servers, name="way-other", password="same-password") as server:
        await server.load(["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"])
        yield server


async def mydumper(folder: Path, port: int, *flags: str, check_host: bool = False) -> str:
    options = folder / "options"
    options.write_bytes(defaults_file("127.0.0.1", port, "root", PASSWORD, check_host=check_host))
    process = await asyncio.create_subprocess_exec(
        *("mydumper", f"--defaults-file={options}", f"--outputdir={folder}/out", *flags),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode != 0
    return said.decode()


@pytest.mark.parametrize("by_greeting", [False, True])
@pytest.mark.parametrize("trick", TRICKS)
async def test_mydumper_tells_no_server_the_password(trick: str, by_greeting: bool, tmp_path: Path) -> None:
    async with hostile_server(trick, by_greeting=by_greeting) as server:
        said = await mydumper(tmp_path, server.port)
    assert PASSWORD not in server.heard
    if trick in TRICKS[:3]:
        assert "restricted_auth plugin list" in said


async def test_mydumper_does_without_tls_nothing_where_tls_is_wanted(tmp_path: Path) -> None:
    made = write_certificates(tmp_path / "tls", ["127.0.0.1"])
    async with hostile_server("mysql_clear_password") as server:
        await mydumper(tmp_path, server.port, "--ssl", f"--ca={made.ca}", check_host=True)
    assert PASSWORD not in server.heard


async def test_localhost_means_tcp(source: Database, object_store: ObjectStore, tmp_path: Path) -> None:
    worker = backing_up(source, object_store, BUCKET, "localhost.tgz", tmp_path)
    worker.database = attrs.evolve(worker.database, host="localhost")
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert "cannot be told" not in ended.log


@pytest.mark.parametrize("turn", [1, 2, 3, 4])
async def test_never_complete_with_another_servers_rows(
    turn: int, source: Database, other: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    """One address in front of two servers: from one connection on all go to the other."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        to, count = (source if count < turn else other), count + 1
        async with connection(to.host, to.port) as (from_server, to_server):
            await both_ways(pass_on(reader, to_server), pass_on(from_server, writer))

    async with listening(serve) as listener:
        worker: Worker = backing_up(source, object_store, BUCKET, f"turn-{turn}.tgz", tmp_path)
        worker.database = attrs.evolve(worker.database, port=listener.port)
        ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.SEVERAL_SERVERS), ended.log
    assert "spec.from.host" in ended.result.message
    assert f"turn-{turn}.tgz" not in await object_store.objects(BUCKET)


async def test_a_database_that_comes_a_little_late(
    source: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    refused = 2

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal refused
        if refused:
            refused -= 1
            writer.close()
            return
        async with connection(source.host, source.port) as (from_server, to_server):
            await both_ways(pass_on(reader, to_server), pass_on(from_server, writer))

    async with listening(serve) as listener:
        worker = backing_up(source, object_store, BUCKET, "late.tgz", tmp_path)
        worker.database = attrs.evolve(worker.database, port=listener.port)
        ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
