"""dumpling as a dumper: its judgement, its run, and what its end meant."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.flags.dumpling import read_dumpling_options
from tidbbackup.worker.cpus import cpus
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.catalog import Database, Survey, without
from tidbbackup.worker.database.session import Login, open_session
from tidbbackup.worker.dumpers import process
from tidbbackup.worker.dumpers.dumper import Order
from tidbbackup.worker.dumpers.dumpling.log import MEANINGS, DumplingProcess
from tidbbackup.worker.dumpers.dumpling.orders import orders, stem, tables_of
from tidbbackup.worker.dumpers.dumpling.preflight import clear
from tidbbackup.worker.dumpers.position import Position
from tidbbackup.worker.dumpers.selection import Selection
from tidbbackup.worker.dumpers.verdict import judge
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.staging import volume
from tidbbackup.worker.staging.closed_files import FileEvent

PROGRAM = "tidbbackup-dumpling"


class Dumpling:
    """dumpling with the options of a task."""

    def __init__(self, env: Environment) -> None:
        """Raises StepFailed: InvalidSpec."""
        self._env = env
        try:
            self._options = read_dumpling_options(env.task.dump.options)
        except ValueError as error:
            raise StepFailed(reasons.INVALID_SPEC, f"spec.dumpling.options: {error}") from error

    async def prepare(self, found: Survey, chosen: Selection, login: Login) -> DumplingDump:
        """See `dumper.Dumper`. Raises StepFailed."""
        env = self._env
        try:
            process.find(PROGRAM, env.search_path)
        except StepFailed as error:
            raise StepFailed(error.reason, f"{error}; or set spec.dumper: mydumper") from error
        clearance = clear(found, chosen)
        order = Order(found, chosen, clearance.databases, login, env.staging / volume.FOLDER)
        argv = process.command(PROGRAM, (), env.search_path)
        certificate = await aside(_certificate, login) if login.tls else ""

        def told(gone: Collection[tuple[str, str]]) -> bytes:
            left = evolve(order, databases=without(order.databases, gone))
            return orders(left, self._options, certificate, env.task.stagingBytes, cpus())

        return DumplingDump(order, clearance.notices, argv, env.search_path, told)


class DumplingDump:
    """One dump by dumpling."""

    name = "dumpling"
    cutting_option = "--filesize"
    position = Position()

    def __init__(
        self,
        order: Order,
        notices: tuple[Notice, ...],
        argv: list[str],
        search_path: str,
        told: Callable[[Collection[tuple[str, str]]], bytes],
    ) -> None:
        self.order = order
        self.notices = notices
        self._argv = argv
        self._search_path = search_path
        self._told = told
        self.process = DumplingProcess()

    def stem(self, database: str, table: str = "") -> str:
        """See `dumper.Dump`."""
        return stem(database, table)

    @property
    def version(self) -> str:
        """See `dumper.Dump`."""
        return self.process.version

    async def run(self, gone: Collection[tuple[str, str]], _: tuple[float, ...]) -> StepFailed | None:
        """See `dumper.Dump`; it takes no lock. Raises StepFailed."""
        await process.run(self._argv, self._search_path, self.process, self._told(gone))
        said = self.process
        return said.stopped or judge("dumpling", MEANINGS, said.code, said.first_error, said.cause)

    def whole(self, event: FileEvent) -> Iterable[str]:
        """See `dumper.Dump`."""
        return (event.name,) if event.closed else ()

    async def check(self, path: Path) -> None:
        """See `dumper.Dump`."""

    def missing(self, databases: tuple[Database, ...], sizes: Mapping[str, int]) -> list[str]:
        """See `dumper.Dump`."""
        there = {name.rsplit(".", 2)[0] for name in sizes if name.endswith(".sql")}
        return [
            f"rows of `{database}`.`{table.name}`"
            for database, table in tables_of(databases)
            if stem(database, table.name) not in there and (database, table.name) not in self.process.empty
        ]


def _certificate(login: Login) -> str:
    """The server's certificate, which has been checked with its host name.

    Raises:
        StepFailed: no connection.
    """
    with open_session(login) as session:
        connected: Any = session
        return ssl.DER_cert_to_PEM_cert(connected._sock.getpeercert(binary_form=True))
