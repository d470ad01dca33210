"""A MariaDB server for the tests, with a data folder of its own. Knows no Backup."""

import asyncio
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pymysql
from attrs import frozen
from pymysql.constants import CLIENT

from tests.cluster.ports import free_port
from tests.cluster.processes import Child, Processes, wait_ready

_CONNECT_TIMEOUT_SECONDS = 5


class NoDatabase(RuntimeError):
    """MariaDB is not installed, or its data folder could not be made."""


@frozen(eq=False)
class Database:
    """A running server and how to log in to it."""

    host: str
    port: int
    user: str
    password: str
    folder: Path
    child: Child

    async def sql(
        self, statement: str, parameters: Sequence[Any] = (), *, database: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement, or several with `;` between them, and return the rows of the first that has any.

        Raises pymysql.MySQLError.
        """
        return await asyncio.to_thread(self._run, [(statement, parameters)], database)

    async def load(self, statements: Iterable[str], *, database: str | None = None) -> None:
        """Run statements one after the other in one session. Raises pymysql.MySQLError."""
        await asyncio.to_thread(self._run, [(statement, ()) for statement in statements], database)

    def _run(
        self, statements: Sequence[tuple[str, Sequence[Any]]], database: str | None
    ) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with self._connect(database) as connection, connection.cursor() as cursor:
            for statement, parameters in statements:
                cursor.execute(statement, parameters or None)
                rows = rows or list(cursor.fetchall())
                # An error of a later statement shows only when its result is asked for.
                while cursor.nextset():
                    rows = rows or list(cursor.fetchall())
            connection.commit()
        return rows

    def _connect(self, database: str | None = None) -> "pymysql.Connection[Any]":
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            # As bytes: PyMySQL would send text in Latin-1.
            password=self.password.encode(),
            database=database,
            charset="utf8mb4",
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            client_flag=CLIENT.MULTI_STATEMENTS,
        )

    async def answers(self) -> bool:
        """Whether a login succeeds and a query is answered."""
        try:
            await self.sql("SELECT 1")
        except (pymysql.MySQLError, OSError):
            return False
        return True


@asynccontextmanager
async def mariadb(
    owned: Processes, *, name: str = "mariadb", password: str | None = None, flags: Sequence[str] = ()
) -> AsyncIterator[Database]:
    """Start a server below the run folder of `owned`, empty but for the system databases; stopped at the end.

    Its user is root with `password` (default: random) from every address. `flags` come after ours and win.
    Raises NoDatabase, ProcessDied, NotReady.
    """
    folder = owned.own_folder(name)
    password = password or secrets.token_urlsafe(16)
    await asyncio.to_thread(_install, folder / "data")
    init_file = folder / "init.sql"
    init_file.touch(0o600)
    init_file.write_text(_init_sql(password))
    port = free_port()
    socket = folder / "socket"
    argv = [_program("mariadbd"), *_flags(folder, port, socket), f"--init-file={init_file}", *flags]
    child = await owned.start(name, argv)
    database = Database(
        host="127.0.0.1", port=port, user="root", password=password, folder=folder, child=child
    )
    try:
        await wait_ready(child, database.answers)
        yield database
    finally:
        await owned.stop(child)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _flags(folder: Path, port: int, socket: Path) -> list[str]:
    return [
        # Must be first: nothing of the machine's configuration counts.
        "--no-defaults",
        f"--datadir={folder / 'data'}",
        # A server that starts removes the temporary tables it finds there: in /tmp, those of another run.
        f"--tmpdir={folder}",
        f"--socket={socket}",
        f"--pid-file={folder / 'pid'}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        # mariadbd refuses root unless told so; for any other user this changes nothing.
        "--user=root",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_general_ci",
        "--event-scheduler=ON",
        # mydumper writes a position into its metadata only where there is a binary log.
        f"--log-bin={folder / 'data' / 'binlog'}",
        "--binlog-format=ROW",
        "--server-id=1",
        # The data dies with the run: nothing needs to reach the disk.
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0",
        "--sync-binlog=0",
        "--innodb-buffer-pool-size=128M",
    ]


def _init_sql(password: str) -> str:
    """Run by the server at its start, one statement on a line."""
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    statements = [
        # Root without a password, for this machine's name and addresses.
        "DELETE FROM mysql.global_priv WHERE user IN ('', 'root') AND host <> 'localhost'",
        "FLUSH PRIVILEGES",
        f"ALTER USER root@localhost IDENTIFIED BY '{quoted}'",
        f"CREATE OR REPLACE USER root@'%' IDENTIFIED BY '{quoted}'",
        "GRANT ALL PRIVILEGES ON *.* TO root@'%' WITH GRANT OPTION",
    ]
    return "".join(f"{statement};\n" for statement in statements)


def _program(name: str) -> str:
    # Where a user's PATH has no sbin.
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise NoDatabase(f"there is no {name}: install the package mariadb-server-core (`make setup` does)")
    return path


def _install(data: Path) -> None:
    options = [
        "--no-defaults",
        f"--datadir={data}",
        f"--tmpdir={data.parent}",
        "--user=root",
        "--auth-root-authentication-method=normal",
    ]
    # Forced: it would insist on finding this machine's name in the DNS.
    quick = ["--skip-test-db", "--skip-name-resolve", "--force"]
    done = subprocess.run(
        [_program("mariadb-install-db"), *options, *quick],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        raise NoDatabase(f"mariadb-install-db ended with {done.returncode}:\n{done.stdout[-2000:]}")
