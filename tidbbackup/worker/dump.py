"""`worker dump`: preflight, mydumper, check, then one stream of tar, gzip and multipart upload, manifest.

The order of the steps and nothing else; each step is a module of its own. Must not know how it is reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from attrs import field, frozen

from tidbbackup.model import reasons
from tidbbackup.model.result import Outcome, WorkerResult
from tidbbackup.storage import objects
from tidbbackup.storage.client import Patience, S3Client, credentials_from, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import Upload, start_upload
from tidbbackup.storage.parts import in_flight, part_size
from tidbbackup.worker import completeness, defaults_file, manifest, mydumper, options, staging, verdict
from tidbbackup.worker.aside import aside
from tidbbackup.worker.catalog import Survey, estimated_bytes
from tidbbackup.worker.counters import Counters
from tidbbackup.worker.database import Login, current_databases, read_views, survey
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import Journal, StepFailed
from tidbbackup.worker.hazards import programs, quirks
from tidbbackup.worker.options import Flags
from tidbbackup.worker.pack import Archive, PackedFile, parts, tar_bytes
from tidbbackup.worker.preflight import Clearance, check_names, clear
from tidbbackup.worker.selection import Selection, selection
from tidbbackup.worker.views import write_views

log = logging.getLogger(__name__)

_DEFAULTS_FILE = "mydumper.cnf"


@frozen
class Limits:
    """Bounds in time. Seconds."""

    stall: float = 1800
    """Without a byte from the database for so long the run ends."""
    withdraw: float = 15
    """For taking back an upload; a pod that is asked to end has 30."""
    patience: Patience = field(factory=Patience)


@frozen
class Dumped:
    """What the dump step hands to the pack step."""

    files: dict[str, int]
    """Name to bytes."""
    folder: Path
    dumper: str
    """Name and version of the program."""


@frozen
class _Job:
    """What stays the same through all steps of one run."""

    env: Environment
    journal: Journal
    limits: Limits
    login: Login
    wanted: dict[str, str]
    """mydumper's options of the task."""
    flags: Flags
    selection: Selection


async def dump(
    env: Environment, journal: Journal, limits: Limits, now: Callable[[], datetime]
) -> WorkerResult:
    """Make one backup, whole or not at all.

    Raises:
        StepFailed, StorageError: why there is none; nothing of it is visible, and journal tells the step
            and whether an upload had to be left open.
    """
    started = now()
    job = _job(env, journal, limits)
    found = await aside(survey, job.login)
    log.info("%s is %s%s", job.login.where, found.version, f", TSO {found.commit_ts}" * found.is_tidb)
    known = quirks(await aside(mydumper.find("mydumper", env.search_path).read_bytes))
    clearance = clear(found, job.selection, job.flags, known, filtered=bool(env.task.dump.tableRegex))
    journal.notices += clearance.notices
    journal.counters.estimated_bytes = 0 if job.flags.no_data else estimated_bytes(clearance.databases)
    target = env.task.target
    folder = staging.prepare(env.staging)
    async with (
        open_client(target, credentials_from(env.keys), env.s3_ca, limits.patience) as client,
        _upload(client, job) as upload,
    ):
        journal.step = "dump"
        dumped = await _run(job, found, clearance, folder)
        journal.step = "upload"
        archive = await _pack_and_send(job, upload, dumped, started)
        journal.step = "manifest"
        last = _manifest(job, found, clearance, dumped.dumper, archive, started, now())
        await objects.put_json(client, target, target.manifest_key, last)
        # Dying from here on loses only the message: archive and manifest are whole.
    names = tuple(manifest.printable(database.name) for database in clearance.databases)
    return WorkerResult(
        outcome=Outcome.COMPLETE,
        started=started,
        finished=now(),
        path=target.url,
        size=archive.size,
        checksum=archive.checksum,
        commitTs=found.commit_ts,
        databases=names,
        databaseCount=len(names),
        notices=tuple(journal.notices),
    )


def _job(env: Environment, journal: Journal, limits: Limits) -> _Job:
    """Judge what can be judged without a server."""
    task = env.task
    if task.database is None:
        raise StepFailed(reasons.INTERNAL_ERROR, "the task names no database")
    if env.password is None:
        raise StepFailed(
            reasons.LOGIN_FAILED, "no password given: the Secret of spec.from.secretName needs `password`"
        )
    wanted = options.judged(task.dump.options)
    login = Login(task.database, env.password, env.db_tls if task.database.tls else None)
    return _Job(env, journal, limits, login, wanted, options.flags(wanted), selection(task.dump.tableRegex))


@contextlib.asynccontextmanager
async def _upload(client: S3Client, job: _Job) -> AsyncIterator[Upload]:
    """The upload, opened before the dump: the proof that bucket and keys are right. Taken back on any end
    but the good one."""
    target = job.env.task.target
    try:
        upload, notices = await start_upload(
            client, target, uuid4().hex, job.limits.patience, job.journal.counters
        )
    except asyncio.CancelledError:
        # The request may have been heard.
        job.journal.upload_left_open = True
        raise
    job.journal.notices += notices
    # Dying from here on leaves this upload open: the next run of this Backup and its cleaner abort it.
    try:
        await _abort_others(upload)
        yield upload
    except BaseException:
        job.journal.upload_left_open = True
        try:
            async with asyncio.timeout(job.limits.withdraw):
                await upload.withdraw()
            job.journal.upload_left_open = False
        except (StorageError, TimeoutError) as error:
            log.error("could not take back the upload of %s: %s", target.url, error)
        raise


async def _abort_others(upload: Upload) -> None:
    """Sweep up after an earlier run of this very Backup; a right that is lacking for it is no failure."""
    try:
        await upload.abort_others()
    except StorageError as error:
        if error.reason != reasons.ACCESS_DENIED:
            raise
        log.warning("cannot look for uploads left open by an earlier run: %s", error)


def _command(job: _Job, found: Survey, clearance: Clearance, folder: Path) -> list[str]:
    plan = options.DumpPlan(
        options=job.wanted,
        regex=job.selection.argument,
        outputdir=folder,
        defaults_file=job.env.run_dir / _DEFAULTS_FILE,
        tls=job.login.tls,
        snapshot=found.commit_ts,
        programs=programs(clearance.databases),
        complete_insert=clearance.complete_insert,
        cpus=os.cpu_count() or 1,
    )
    return mydumper.command(options.arguments(plan), job.env.search_path)


async def _run(job: _Job, found: Survey, clearance: Clearance, folder: Path) -> Dumped:
    """Run mydumper and see that the dump is whole."""
    env = job.env
    target = job.login.target
    secret = env.run_dir / _DEFAULTS_FILE
    argv = _command(job, found, clearance, folder)
    dumper = await mydumper.program_version(argv, env.search_path)
    log.info("%s: starting %s", dumper, " ".join(argv[3:]))
    content = defaults_file.defaults_file(target.host, target.port, target.user, job.login.password)
    try:
        defaults_file.write_private(secret, content)
        output = await mydumper.run_mydumper(
            argv,
            env.search_path,
            folder,
            job.limits.stall,
            connected=lambda: secret.unlink(missing_ok=True),
            grown=job.journal.counters.dumped,
        )
    finally:
        secret.unlink(missing_ok=True)
    failure = verdict.judge(output.code, output.first_error, output.cause)
    if (failure and failure.reason == reasons.STAGING_FULL) or staging.is_full(folder):
        raise staging.full(folder, env.task.stagingBytes)
    if failure:
        raise failure
    if found.is_tidb and not (job.flags.no_views or job.flags.no_schemas or job.flags.selecting):
        views = await aside(read_views, job.login, found.commit_ts, clearance.databases)
        await asyncio.to_thread(write_views, views, folder, job.flags.compressed)
    sizes = await asyncio.to_thread(staging.sizes, folder)
    job.journal.counters.dumped(sum(sizes.values()))
    await _check_whole(job, found, clearance, sizes, output.empty_tables)
    log.info("dumped %d files, %d bytes", len(sizes), sum(sizes.values()))
    return Dumped(sizes, folder, dumper)


async def _check_whole(
    job: _Job, found: Survey, clearance: Clearance, sizes: dict[str, int], empty_tables: set[str]
) -> None:
    """Compare the files with what the server held before; what is gone from it by now may be missing."""

    def missing(clearance: Clearance) -> list[str]:
        created = [d.name for d in clearance.databases if job.selection.database(d.name)]
        return completeness.missing_objects(clearance.databases, job.flags, sizes, empty_tables, created)

    for name, (database, table) in completeness.spoilt_files(clearance.watched, sizes).items():
        path = job.env.staging / staging.FOLDER / name
        if await asyncio.to_thread(staging.ends_spoilt, path, completeness.lacks_column_list):
            raise StepFailed(
                reasons.DUMP_INCOMPLETE,
                f"mydumper wrote the last row of `{database}`.`{table}` in a form that does not load; rename "
                "the columns with a backtick in any table, which keep the worker from avoiding that",
            )
    absent = missing(clearance)
    if not absent:
        return
    present = await aside(current_databases, job.login, found.commit_ts)
    still = job.selection.apply(present)
    check_names(still, job.flags)
    lost = sorted(set(absent) & set(missing(Clearance(still, clearance.complete_insert))))
    if lost:
        more = f" and {len(lost) - 10} more" if len(lost) > 10 else ""
        raise StepFailed(
            reasons.DUMP_INCOMPLETE,
            f"mydumper ended well but its dump lacks {', '.join(lost[:10])}{more}; what cannot be opened "
            "(a view of a table that is gone) has to be mended, dropped or filtered out",
        )


async def _pack_and_send(job: _Job, upload: Upload, dumped: Dumped, started: datetime) -> Archive:
    """Stream the files into the upload and complete it; what was archived."""
    part_bytes = part_size(tar_bytes(list(dumped.files.values())))
    archive = Archive(job.env.task.target.top, int(started.timestamp()), part_bytes)
    async with contextlib.aclosing(parts(archive, _ready(dumped, job.journal.counters))) as bodies:
        sent = await upload.send(bodies, in_flight(part_bytes))
    job.journal.step = "verify"
    size = await upload.complete(sent)
    if size != archive.size:
        raise StepFailed(reasons.VERIFY_FAILED, f"{archive.size} bytes were packed, {size} sent")
    log.info("uploaded %d bytes in %d parts, %s", size, len(sent), archive.checksum)
    return archive


async def _ready(dumped: Dumped, counters: Counters) -> AsyncIterator[Path]:
    """The files that are ready to be packed, in order of their names."""
    for name in sorted(dumped.files):
        yield dumped.folder / name
        counters.packed(dumped.files[name])


def _manifest(
    job: _Job,
    found: Survey,
    clearance: Clearance,
    dumper: str,
    archive: Archive,
    started: datetime,
    finished: datetime,
) -> bytes:
    task = job.env.task
    return manifest.encode_manifest(
        manifest.Manifest(
            uid=task.uid,
            key=task.target.key,
            size=archive.size,
            sha256=archive.checksum.removeprefix("sha256:"),
            commitTs=found.commit_ts,
            started=started,
            finished=finished,
            dumper=dumper,
            serverVersion=found.version,
            files=tuple(PackedFile(manifest.printable(f.name), f.size) for f in archive.files),
            databases=manifest.database_rows(clearance.databases),
        )
    )
