"""The TiDB of the tests is one: its version, its snapshots, and a GC that counts for running sessions too."""

import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest
import pytest_asyncio

from tests.cluster.certificates import Certificates, write_certificates
from tests.cluster.processes import Processes
from tests.cluster.tidb_server import LIFE_TIME_COMMENT, VERSION, TiDB, tidb

pytestmark = pytest.mark.integration

SNAPSHOT_LOST = 9006


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("tidb"), ["127.0.0.1"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(servers: Processes, certificates: Certificates) -> AsyncIterator[TiDB]:
    async with tidb(servers, certificates=certificates) as server:
        await server.load(["CREATE DATABASE shop", "CREATE TABLE shop.items (id INT PRIMARY KEY)"])
        yield server


def session(server: TiDB, tls: ssl.SSLContext | None = None) -> "pymysql.Connection[Any]":
    return pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, ssl=tls
    )


async def test_it_is_a_tidb_some_time_after_its_first_start(server: TiDB) -> None:
    assert await server.sql("SELECT VERSION()") == [(VERSION,)]
    assert '"store": "tikv"' in (await server.sql("SELECT @@tidb_config"))[0][0]
    assert await server.life_time() == ("10m0s", LIFE_TIME_COMMENT)
    assert server.password.encode() not in server.child.arguments


async def test_it_offers_tls(server: TiDB, certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=str(certificates.ca))
    with session(server, context) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
        assert "TLS" in str(cursor.fetchall())


async def test_a_snapshot_shows_what_was_there_until_garbage_collection_passes_it(server: TiDB) -> None:
    with session(server) as reader, reader.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT @@tidb_current_ts")
        ((snapshot,),) = cursor.fetchall()
        cursor.execute("COMMIT")
        cursor.execute(f"SET SESSION tidb_snapshot = '{snapshot}'")
        await server.sql("INSERT INTO shop.items VALUES (1)")
        cursor.execute("SELECT COUNT(*) FROM shop.items")
        assert cursor.fetchall() == ((0,),)

        await server.collect_garbage(datetime.now(UTC) + timedelta(hours=1))
        with pytest.raises(pymysql.MySQLError) as lost:
            read_until_it_fails(cursor)
        assert lost.value.args[0] == SNAPSHOT_LOST
    # What reads the newest rows goes on.
    assert await server.sql("SELECT COUNT(*) FROM shop.items") == [(1,)]
    await server.reset_gc()


def read_until_it_fails(cursor: Any) -> None:
    """The server looks at the safe point ten times a second."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        cursor.execute("SELECT COUNT(*) FROM shop.items")
        cursor.fetchall()


async def test_the_end_takes_the_data_along(servers: Processes) -> None:
    async with tidb(servers, name="short") as server:
        assert is_there(server.folder)
    assert not server.child.running
    assert not is_there(server.folder)


def is_there(folder: Path) -> bool:
    return folder.is_dir()
