"""A real TiDB: built once and cached like the test Kubernetes, one process with its embedded store.

`dumpling.py` makes sure that the program is there. Knows no Backup.
"""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen

from tests.cluster import build
from tests.cluster.certificates import Certificates
from tests.cluster.database import Database
from tests.cluster.ports import free_port
from tests.cluster.processes import Processes, wait_ready

_SOURCE = "github.com/pingcap/tidb"

RECIPE = build.Recipe(
    title="TiDB",
    name="tidb-server",
    module=Path(__file__).with_name("tidb"),
    source=_SOURCE,
    package=".",
    # The module's version is a stamp of its commit: the release it leads to is said in RELEASE.
    stamps=(),
    cost="about 5 minutes and 310 MB to download",
)
RELEASE = "v8.5.4"
VERSION = f"8.0.11-TiDB-{RELEASE}"
"""What SELECT VERSION() answers."""
LIFE_TIME_COMMENT = "All versions within life time will not be collected by GC, at least 10m, in Go format."


@frozen(eq=False)
class TiDB(Database):
    """A running TiDB; GC is played by writing `tikv_gc_safe_point`, which counts for running sessions too."""

    async def variable(self, name: str) -> tuple[str, str]:
        """Value and comment of a row of mysql.tidb."""
        found = await self.sql(
            "SELECT variable_value, comment FROM mysql.tidb WHERE variable_name = %s", (name,)
        )
        value, comment = found[0]
        return value, comment

    async def life_time(self) -> tuple[str, str]:
        """The GC life time and the comment beside it."""
        return await self.variable("tikv_gc_life_time")

    async def set(self, name: str, value: str, comment: str | None = None) -> None:
        """Write a row of mysql.tidb as a user would; without a comment that stays."""
        await self.sql(
            "UPDATE mysql.tidb SET variable_value = %s, comment = COALESCE(%s, comment) "
            "WHERE variable_name = %s",
            (value, comment, name),
        )

    async def reset_gc(self) -> None:
        """Have mysql.tidb as it is some time after the first start of a cluster."""
        await self.sql(
            "DELETE FROM mysql.tidb WHERE variable_name IN ('tikv_gc_safe_point', 'tikv_gc_life_time')"
        )
        await self.load(_gc_rows())

    async def collect_garbage(self, up_to: datetime) -> None:
        """Have no session read a snapshot from before that (aware) time any more."""
        await self.set("tikv_gc_safe_point", _safe_point(up_to))


@asynccontextmanager
async def tidb(
    owned: Processes,
    *,
    name: str = "tidb",
    password: str | None = None,
    certificates: Certificates | None = None,
) -> AsyncIterator[TiDB]:
    """Start a TiDB on a free port of 127.0.0.1, empty but for the system databases; stopped at the end.

    Its user is root with `password` (default: random). With `certificates` it offers TLS. It takes about
    220 MiB, and up to 1 GiB for its queries. `make setup` builds the program. Raises build.BuildFailed,
    ProcessDied, NotReady.
    """
    program = await asyncio.to_thread(build.program, RECIPE)
    # The embedded store takes a folder whose path begins so for one of a test: it is small, and volatile.
    folder = owned.own_folder(name)
    data = folder / "tidb-unistore-temp"
    password, port = password or secrets.token_urlsafe(16), free_port()
    settings = folder / "config.toml"
    settings.write_text(_settings(folder, data, port, certificates))
    first = folder / "first-start.sql"
    first.touch(0o600)
    first.write_text(_first_statements(password))
    env = owned.environment() | {"TMPDIR": str(folder), "GOGC": "50"}
    child = await owned.start(name, [program, settings], env=env, cwd=folder)
    server = TiDB("127.0.0.1", port, "root", password, folder, child)
    try:
        await wait_ready(child, server.answers)
        yield server
    finally:
        await owned.stop(child)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _settings(folder: Path, data: Path, port: int, certificates: Certificates | None) -> str:
    tls = f'ssl-cert = "{certificates.certificate}"\nssl-key = "{certificates.key}"\n' if certificates else ""
    return f"""
host = "127.0.0.1"
port = {port}
store = "unistore"
path = "{data}"
socket = ""
server-version = "{VERSION}"
tidb-release-version = "{RELEASE}"
skip-register-to-dashboard = true
initialize-sql-file = "{folder / "first-start.sql"}"
temp-dir = "{folder / "tmp"}"
tmp-storage-path = "{folder / "tmp-storage"}"
[log]
level = "warn"
[status]
report-status = false
[performance]
stats-lease = "0"
[security]
{tls}"""


def _first_statements(password: str) -> str:
    statements = [
        f"ALTER USER root IDENTIFIED BY '{password}'",
        "SET GLOBAL tidb_server_memory_limit = '1GB'",
        *_gc_rows(),
    ]
    return "".join(f"{statement};\n" for statement in statements)


def _gc_rows() -> list[str]:
    rows = (
        (
            "tikv_gc_safe_point",
            _safe_point(datetime.now(UTC) - timedelta(minutes=10)),
            "All versions after safe point can be accessed. (DO NOT EDIT)",
        ),
        ("tikv_gc_life_time", "10m0s", LIFE_TIME_COMMENT),
    )
    return ["INSERT INTO mysql.tidb VALUES ('" + "', '".join(row) + "')" for row in rows]


def _safe_point(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y%m%d-%H:%M:%S +0000")
