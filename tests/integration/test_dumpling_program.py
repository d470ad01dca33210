"""The program of image/dumpling by itself: what it writes, and what it refuses rather than to go on."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster import build, dumpling
from tests.cluster.certificates import Certificates, write_certificates
from tests.cluster.database import Database
from tests.cluster.hostile_server import TRICKS, hostile_server
from tests.cluster.processes import Processes
from tests.cluster.tidb_proxy import tidb_proxy
from tests.cluster.tidb_server import TiDB, tidb

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("program-tls"), ["127.0.0.1"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(servers: Processes, certificates: Certificates) -> AsyncIterator[TiDB]:
    async with tidb(servers, name="dumpling-program", certificates=certificates) as server:
        await server.load(
            [
                "CREATE PLACEMENT POLICY far FOLLOWERS = 4",
                "CREATE DATABASE shop",
                "CREATE TABLE shop.items (id INT PRIMARY KEY, t TIMESTAMP)",
                "CREATE TABLE shop.none (id INT)",
                "SET time_zone = '+00:00'",
                "INSERT INTO shop.items VALUES (1, '2026-01-01 00:00:00')",
                "SET GLOBAL time_zone = '+05:00'",
            ]
        )
        yield server


def orders(server: Database, folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "Host": server.host,
        "Port": server.port,
        "User": server.user,
        "Password": base64.b64encode(server.password.encode()).decode(),
        "TSO": "",
        "Variables": {"time_zone": "+00:00"},
        "Folder": str(folder),
        "Tables": [{"Database": "shop", "Table": name, "Stem": f"shop.{name}"} for name in ("items", "none")],
        "Threads": 2,
        "CPUs": 2,
        "Memory": 96 << 20,
        **changes,
    }


async def started(told: dict[str, Any]) -> asyncio.subprocess.Process:
    program = await asyncio.to_thread(build.program, dumpling.RECIPE)
    process = await asyncio.create_subprocess_exec(
        program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin
    process.stdin.write(json.dumps(told).encode())
    process.stdin.close()
    return process


async def run(told: dict[str, Any]) -> tuple[int | None, str]:
    process = await started(told)
    assert process.stdout
    said = await process.stdout.read()
    return await process.wait(), said.decode()


def written(folder: Path) -> dict[str, str]:
    """Files by their names."""
    return {path.name: path.read_text() for path in folder.iterdir()}


async def now(server: TiDB) -> str:
    return str((await server.sql("SHOW MASTER STATUS"))[0][1])


async def test_rows_and_nothing_else(server: TiDB, tmp_path: Path) -> None:
    code, said = await run(orders(server, tmp_path, TSO=await now(server)))
    assert code == 0, said
    files = written(tmp_path)
    assert set(files) == {"metadata", "shop.items.0000000000000.sql"}
    assert files["shop.items.0000000000000.sql"] == (
        "/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n"
        "/*!40101 SET NAMES utf8mb4*/;\n"
        "/*!40103 SET TIME_ZONE='+00:00' */;\n"
        "INSERT INTO `items` VALUES\n(1,'2026-01-01 00:00:00');\n"
    )
    assert '"message":"no data written in table chunk","database":"shop","table":"none"' in said
    assert said.rstrip().endswith('"message":"dumped"}')


async def test_a_file_that_is_there_is_not_written_again(server: TiDB, tmp_path: Path) -> None:
    (tmp_path / "shop.items.0000000000000.sql").touch()
    code, said = await run(orders(server, tmp_path, TSO=await now(server)))
    assert (code, "file exists" in said) == (1, True), said


async def test_where_there_is_no_room_for_the_last_file(server: TiDB, tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    code, said = await run(orders(server, tmp_path, TSO=await now(server)))
    assert (code, "metadata" in said.splitlines()[-1]) == (1, True), said


@pytest.mark.parametrize("tso", ["", "1", "9223372036854775807"])
async def test_a_snapshot_that_cannot_be_read_at(server: TiDB, tmp_path: Path, tso: str) -> None:
    code, said = await run(orders(server, tmp_path, TSO=tso))
    assert code == 1, said
    assert written(tmp_path) == {}


async def test_a_server_without_a_safe_point(server: TiDB, tmp_path: Path) -> None:
    """PingCAP's own program reads the rows of now there, and says nothing."""
    tso = await now(server)
    await server.sql("DELETE FROM mysql.tidb WHERE variable_name = 'tikv_gc_safe_point'")
    try:
        code, said = await run(orders(server, tmp_path, TSO=tso))
    finally:
        await server.reset_gc()
    assert (code, "can not get 'tikv_gc_safe_point'" in said) == (1, True), said


async def test_a_server_that_is_no_tidb(database: Database, tmp_path: Path) -> None:
    code, said = await run(orders(database, tmp_path, TSO="1"))
    assert code == 1, said
    assert written(tmp_path) == {}


async def test_the_server_has_to_have_the_very_certificate(
    server: TiDB, certificates: Certificates, tmp_path: Path
) -> None:
    told = orders(server, tmp_path / "out", TSO=await now(server))
    (tmp_path / "out").mkdir()
    code, said = await run({**told, "Certificate": certificates.certificate.read_text()})
    assert code == 0, said
    other = write_certificates(tmp_path / "other", ["127.0.0.1"])
    code, said = await run({**told, "Certificate": other.certificate.read_text()})
    assert (code, "x509" in said) == (1, True), said


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("by_greeting", [False, True])
async def test_without_tls_the_password_is_not_sent_as_it_is(
    server: TiDB, tmp_path: Path, trick: str, by_greeting: bool
) -> None:
    async with hostile_server(trick, by_greeting=by_greeting) as hostile:
        told = orders(server, tmp_path, Host="127.0.0.1", Port=hostile.port, TSO="1")
        code, said = await run(told)
    assert code == 1, said
    assert hostile.heard
    assert server.password.encode() not in hostile.heard


async def test_without_tls_there_is_none_that_nobody_checks(server: TiDB, tmp_path: Path) -> None:
    """By it this password would be sent as it is to whoever has the server's address."""
    await server.sql("CREATE USER cautious@'%' IDENTIFIED WITH 'caching_sha2_password' BY 'pw'")
    pw = base64.b64encode(b"pw").decode()
    code, said = await run(orders(server, tmp_path, User="cautious", Password=pw, TSO="1"))
    assert code == 1, said
    assert "caching_sha2_password perform full authentication" in said


async def test_its_memory_is_bounded(server: TiDB, tmp_path: Path) -> None:
    """Whatever is read: 64 MB in rows of a megabyte, by four threads. The figures: docs/reference/dump.md."""
    tables = [f"wide{number}" for number in range(4)]
    for name in tables:
        await server.sql(f"CREATE TABLE shop.{name} (id INT PRIMARY KEY, t LONGTEXT)")
        await server.load(f"INSERT INTO shop.{name} VALUES ({n}, REPEAT('x', 1000000))" for n in range(16))
    told = orders(server, tmp_path, TSO=await now(server), Threads=4, Memory=128 << 20)
    told["Tables"] = [{"Database": "shop", "Table": name, "Stem": f"shop.{name}"} for name in tables]
    code, peak = await asyncio.to_thread(measured, json.dumps(told))
    assert code == 0
    assert peak < 250 << 20


def measured(told: str) -> tuple[int, int]:
    """Exit code, and the most bytes of memory that the program had.

    A small process starts it: Linux counts the memory of the one that starts a program, here all of pytest's.
    """
    child = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, build.program(dumpling.RECIPE)],
        input=told,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    code, peak = child.stdout.split()
    return int(code), int(peak) << 10


MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


async def test_it_listens_on_no_port(server: TiDB, tmp_path: Path) -> None:
    async with tidb_proxy(server) as proxy:
        proxy.hold_at = "FROM `shop`.`items`"
        process = await started(orders(server, tmp_path, Port=proxy.port, TSO=await now(server)))
        await proxy.held.wait()
        assert listening(process.pid) == []
        proxy.let_go.set()
        assert process.stdout
        await process.stdout.read()
        assert await process.wait() == 0


def listening(pid: int) -> list[str]:
    """Addresses of the sockets on which a process listens."""
    inodes = {
        link.name.removeprefix("socket:[").removesuffix("]")
        for link in (each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir())
        if link.name.startswith("socket:")
    }
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    ]
    assert any(line[9] in inodes for line in lines), "its connections to the server"
    return [line[1] for line in lines if line[3] == "0A" and line[9] in inodes]
