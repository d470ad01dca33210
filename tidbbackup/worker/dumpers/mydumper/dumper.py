"""mydumper as a dumper: its judgement, its run with a secret while it needs one, and what its end meant."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Notice
from tidbbackup.worker.cpus import cpus
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.catalog import Database, Survey
from tidbbackup.worker.database.session import Login
from tidbbackup.worker.dumpers import process
from tidbbackup.worker.dumpers.dumper import Clearance, Order
from tidbbackup.worker.dumpers.mydumper import completeness, defaults_file, options, position, search
from tidbbackup.worker.dumpers.mydumper.hazards import column_lists, not_transactional, quirks, remote_engines
from tidbbackup.worker.dumpers.mydumper.log import MEANINGS
from tidbbackup.worker.dumpers.mydumper.output import MydumperProcess
from tidbbackup.worker.dumpers.mydumper.pieces import Pieces
from tidbbackup.worker.dumpers.mydumper.preflight import check_names, clear
from tidbbackup.worker.dumpers.mydumper.probe import Program, probe
from tidbbackup.worker.dumpers.position import Position
from tidbbackup.worker.dumpers.selection import Selection
from tidbbackup.worker.dumpers.sizes import threads
from tidbbackup.worker.dumpers.verdict import judge
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.staging import volume
from tidbbackup.worker.staging.closed_files import FileEvent

log = logging.getLogger(__name__)

_DEFAULTS_FILE = "mydumper.cnf"


class Mydumper:
    """mydumper with the options of a task."""

    def __init__(self, env: Environment) -> None:
        """Raises StepFailed: InvalidSpec."""
        self._env = env
        self._asked_for = options.judged(env.task.dump.options)

    async def prepare(self, found: Survey, chosen: Selection, login: Login) -> MydumperDump:
        """See `dumper.Dumper`. Raises StepFailed."""
        program = await probe(self._env.search_path)
        wanted = options.tuned(self._asked_for, self._env.task.stagingBytes)
        flags = options.flags(wanted, later=program.later)
        clearance = await self._clear(found, chosen, flags)
        folder = self._env.staging / volume.FOLDER
        order = Order(found, chosen, clearance.databases, login, folder)
        arguments = options.arguments(self._plan(order, wanted, program), self._asked_for)
        argv = process.command("mydumper", arguments, self._env.search_path)
        return MydumperDump(self._env, order, clearance.notices, flags, argv, program.version)

    async def _clear(self, found: Survey, chosen: Selection, flags: options.Flags) -> Clearance:
        program = process.find("mydumper", self._env.search_path)
        try:
            return clear(found, chosen, flags, quirks(await aside(program.read_bytes)))
        except StepFailed as error:
            if found.is_tidb and error.reason in (reasons.UNSUPPORTED_NAME, reasons.UNSUPPORTED_TABLE):
                raise StepFailed(error.reason, f"{error}; or set spec.dumper: dumpling") from error
            raise

    def _plan(self, order: Order, wanted: dict[str, str], program: Program) -> options.DumpPlan:
        if "trx-tables" in program.options and not_transactional(order.databases):
            wanted = wanted | {"trx-tables": "0"}
        tables = sum(table.has_rows for database in order.databases for table in database.tables)
        return options.DumpPlan(
            options=wanted,
            regex=order.selection.argument,
            outputdir=order.folder,
            defaults_file=self._env.run_dir / _DEFAULTS_FILE,
            tls=order.login.tls,
            snapshot=order.found.commit_ts,
            remote_engines=remote_engines(order.databases),
            complete_insert=column_lists(order.databases),
            threads=threads(cpus(), tables, by_rows="rows" in wanted),
            known=program.options,
        )


class MydumperDump:
    """One dump by mydumper."""

    name = "mydumper"
    cutting_option = "--chunk-filesize"

    def __init__(
        self,
        env: Environment,
        order: Order,
        notices: tuple[Notice, ...],
        flags: options.Flags,
        argv: list[str],
        version: str,
    ) -> None:
        self.order = order
        self.notices = notices
        self.version = version
        self.position = Position()
        self._flags = flags
        self._argv = argv
        self._search_path = env.search_path
        self._secret = env.run_dir / _DEFAULTS_FILE
        self._pieces = Pieces(cut_by_size=flags.cut_by_size)
        self._watched = completeness.watched_tables(order.databases)
        self.process = MydumperProcess(
            # Without its words nothing tells that it has the lock.
            began=not flags.verbose,
            connected=lambda: self._secret.unlink(missing_ok=True),
        )

    def stem(self, database: str, table: str = "") -> str:
        """See `dumper.Dump`."""
        return f"{database}.{table}" if table else database

    async def run(
        self, gone: Collection[tuple[str, str]], lock_pauses: tuple[float, ...]
    ) -> StepFailed | None:
        """Run it to its end, again where it did not get the lock; why it failed, in its words or ours."""
        sequences = [(d.name, t.name) for d in self.order.databases for t in d.tables if t.is_sequence]
        regex = search.without(self.order.selection.argument, (*sequences, *gone))
        self._argv = [f"--regex={regex}" if a.startswith("--regex=") else a for a in self._argv]
        log.info("%s: starting %s", self.version, " ".join(self._argv[3:]))
        for pause in (*lock_pauses, None):
            await self._run_once()
            stopped = self.process.stopped
            # Nothing is written before it has the lock: it may begin again.
            if not stopped or stopped.reason != reasons.LOCK_TIMEOUT or pause is None:
                break
            log.warning("%s; asked for again in %g s", stopped, pause)
            self.process.stopped = None
            await asyncio.sleep(pause)
        said = self.process
        error = said.first_error or (said.last_warning if said.code > 0 else "")
        failure = said.stopped or judge("mydumper", MEANINGS, said.code, error, said.cause)
        metadata = self.order.folder / position.FILE
        if failure is None and self._flags.later and metadata.exists():
            text = await asyncio.to_thread(metadata.read_text, "utf-8", "replace")
            said.empty_tables |= position.empty_tables(text)
        return failure

    def whole(self, event: FileEvent) -> Iterable[str]:
        """See `dumper.Dump`."""
        return self._pieces.whole(event)

    async def check(self, path: Path) -> None:
        """See `dumper.Dump`. Raises StepFailed."""
        for database, table in completeness.spoilt_files(self._watched, [path.name]).values():
            if await asyncio.to_thread(volume.ends_spoilt, path, completeness.lacks_column_list):
                raise StepFailed(
                    reasons.DUMP_INCOMPLETE,
                    f"mydumper wrote the last row of `{database}`.`{table}` in a form that does not load; "
                    "rename the columns with a backtick in any table, which keep the worker from avoiding it",
                )
        if path.name == position.FILE:
            text = await asyncio.to_thread(path.read_text, "utf-8", "replace")
            self.position = position.read_position(text)

    def missing(self, databases: tuple[Database, ...], sizes: Mapping[str, int]) -> list[str]:
        """See `dumper.Dump`. Raises StepFailed."""
        check_names(databases, self._flags)
        return completeness.missing_rows(databases, self._flags, sizes, self.process.empty_tables)

    async def _run_once(self) -> None:
        login = self.order.login
        content = defaults_file.defaults_file(
            *(login.target.host, login.target.port, login.target.user, login.password),
            check_host=login.tls is not None,
            known_by=login.known_by,
            autocommit=not self.order.found.commit_ts,
            later=self._flags.later,
        )
        self.process.waiting = True
        try:
            defaults_file.write_private(self._secret, content)
            await process.run(self._argv, self._search_path, self.process)
        finally:
            self._secret.unlink(missing_ok=True)
