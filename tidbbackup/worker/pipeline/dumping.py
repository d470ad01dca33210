"""The dump step: mydumper's command line, its secret for as long as it needs it, and what its end meant.

Must not know what becomes of the files.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from attrs import frozen

from tidbbackup.model import reasons
from tidbbackup.worker.cpus import cpus
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.catalog import Survey
from tidbbackup.worker.database.survey import read_definitions, read_views
from tidbbackup.worker.database.views import table_files, view_files, write_files
from tidbbackup.worker.dumpers.mydumper import defaults_file, options, process
from tidbbackup.worker.dumpers.mydumper import log as verdict
from tidbbackup.worker.dumpers.mydumper.hazards import programs, remote_engines
from tidbbackup.worker.dumpers.mydumper.preflight import Clearance
from tidbbackup.worker.dumpers.mydumper.probe import probe
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.job import Job
from tidbbackup.worker.staging import throttle, volume

log = logging.getLogger(__name__)

_DEFAULTS_FILE = "mydumper.cnf"


@frozen
class Assignment:
    """What is to be dumped, and where to."""

    job: Job
    found: Survey
    clearance: Clearance
    folder: Path
    budget: int
    """So many bytes may be on the staging volume."""
    argv: list[str]
    dumper: str
    """Name and version of the program."""


async def assignment(job: Job, found: Survey, clearance: Clearance, folder: Path) -> Assignment:
    """Settle mydumper's command line.

    Raises:
        StepFailed: DumpFailed, InvalidSpec.
    """
    program = await probe(job.env.search_path)
    tables = sum(not table.is_view for database in clearance.databases for table in database.tables)
    plan = options.DumpPlan(
        options=job.wanted,
        regex=job.selection.argument,
        outputdir=folder,
        defaults_file=job.env.run_dir / _DEFAULTS_FILE,
        tls=job.login.tls,
        snapshot=found.commit_ts,
        programs=programs(clearance.databases),
        remote_engines=remote_engines(clearance.databases),
        complete_insert=clearance.complete_insert,
        threads=options.threads(cpus(), tables, by_rows="rows" in job.wanted),
        known=program.options,
    )
    asked_for = options.judged(job.env.task.dump.options)
    argv = process.command(options.arguments(plan, asked_for), job.env.search_path)
    budget = throttle.budget(job.env.task.stagingBytes, volume.free_bytes(folder))
    return Assignment(job, found, clearance, folder, budget, argv, program.version)


async def run_dump(task: Assignment, output: process.Output) -> StepFailed | None:
    """Run mydumper to its end, again where it did not get the lock; why it failed, in its words or ours."""
    env = task.job.env
    login = task.job.login
    secret = env.run_dir / _DEFAULTS_FILE
    log.info("%s: starting %s", task.dumper, " ".join(task.argv[3:]))
    target = login.target
    content = defaults_file.defaults_file(
        *(target.host, target.port, target.user, login.password),
        check_host=login.tls is not None,
        known_by=login.known_by,
    )
    for pause in (*task.job.limits.lock_pauses, None):
        try:
            defaults_file.write_private(secret, content)
            await process.run_mydumper(
                task.argv, env.search_path, output, connected=lambda: secret.unlink(missing_ok=True)
            )
        finally:
            secret.unlink(missing_ok=True)
        # Nothing is written before it has the lock: it may begin again.
        if not output.stopped or output.stopped.reason != reasons.LOCK_TIMEOUT or pause is None:
            break
        log.warning("%s; asked for again in %g s", output.stopped, pause)
        output.stopped = None
        await asyncio.sleep(pause)
    return output.stopped or verdict.judge(output.code, output.first_error, output.cause)


def raise_failure(task: Assignment, failure: StepFailed | None, was_full: bool) -> None:
    """A full volume explains every other failure, and is one by itself.

    Raises:
        StepFailed: the failure, or StagingFull.
    """
    if was_full or (failure and failure.reason == reasons.STAGING_FULL) or volume.is_full(task.folder):
        raise volume.full(task.job.env.staging, task.job.env.task.stagingBytes)
    if failure:
        raise failure


async def add_definitions(task: Assignment) -> None:
    """Write the definitions that mydumper leaves out."""
    job, databases, files = task.job, task.clearance.databases, {}
    if job.flags.no_schemas or job.flags.selecting:
        return
    if task.found.is_tidb and not job.flags.no_views:
        files = view_files(await aside(read_views, job.login, task.found.commit_ts, databases))
    if remote_engines(databases):
        files |= table_files(await aside(read_definitions, job.login, databases))
    await asyncio.to_thread(write_files, files, task.folder)
