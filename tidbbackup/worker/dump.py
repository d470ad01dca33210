"""`worker dump`: preflight, then dump, archive and upload at once, then verification and manifest.

The order of the steps and nothing else; each step is a module of its own. Must not know how it is reported.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

import attrs

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.storage.client import access_keys_from, open_client
from tidbbackup.storage.multipart import Upload
from tidbbackup.storage.parts import PartSizes
from tidbbackup.worker.archive import manifest
from tidbbackup.worker.archive.tar import Archive, PackedFile
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.catalog import estimated_bytes
from tidbbackup.worker.database.connect import connect
from tidbbackup.worker.database.survey import survey
from tidbbackup.worker.dumpers.selection import selection
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import Journal, StepFailed
from tidbbackup.worker.gc import hold
from tidbbackup.worker.job import Job, Limits, read_job
from tidbbackup.worker.load.row_counts import rows_of_tables
from tidbbackup.worker.pipeline.definitions import Definitions
from tidbbackup.worker.pipeline.dumping import Assignment, assignment
from tidbbackup.worker.pipeline.gauge import Gauge
from tidbbackup.worker.pipeline.open_upload import open_upload
from tidbbackup.worker.pipeline.overlap import Overlap
from tidbbackup.worker.staging.belt import Belt

log = logging.getLogger(__name__)


async def dump(
    env: Environment, journal: Journal, limits: Limits, now: Callable[[], datetime]
) -> WorkerResult:
    """Make one backup, whole or not at all.

    Raises:
        StepFailed, StorageError: why there is none; nothing of it is visible, and journal tells the step
            and whether an upload had to be left open.
    """
    started = now()
    job = read_job(env, journal, limits)
    job = attrs.evolve(job, login=await connect(job.login, journal, limits.connect))
    async with hold.held(job):
        await _dump(job, started, now)
    # What could not be put back is told too.
    result = journal.whole()
    assert result is not None
    return result


async def _dump(job: Job, started: datetime, now: Callable[[], datetime]) -> None:
    env, journal = job.env, job.journal
    found = await aside(survey, job.login)
    log.info("%s is %s%s", job.login.where, found.version, f", TSO {found.commit_ts}" * found.is_tidb)
    chosen = selection(env.task.dump.tableRegex, env.task.dump.tableFilter, found.system)
    job = attrs.evolve(job, selection=chosen)
    clearance = await job.dumper.clear(found, chosen)
    journal.notices += clearance.notices
    journal.counters.estimated_bytes = estimated_bytes(clearance.databases)
    target = env.task.target
    async with (
        open_client(
            target, access_keys_from(env.keys), env.s3_ca, job.limits.patience, env.proxies
        ) as client,
        open_upload(client, job) as upload,
    ):
        task = await assignment(job, found, clearance.databases)
        archive = await _ship(task, upload, started)
        journal.step = "manifest"
        last = _manifest(task, archive, upload.run, started, now())
        await upload.write_beside(target.manifest_key, last)
        # Dying from here on loses only the message: archive and manifest are whole.
        journal.complete = _result(task, archive, started, now())


async def _ship(task: Assignment, upload: Upload, started: datetime) -> Archive:
    """Bring the dump into the storage and complete the upload; what was archived."""
    job, counters = task.job, task.job.journal.counters
    target = job.env.task.target
    sizes = PartSizes(target, counters.estimated_bytes)
    archive = Archive(target.top, int(started.timestamp()), sizes, target.compression)
    belt = Belt(task.folder, task.dump.whole)
    gauge = Gauge(counters, belt, archive, task.dump.process)
    sent = await Overlap(task, belt, archive, upload, gauge, Definitions(task, belt)).run()
    job.journal.step = "verify"
    size = await upload.complete(sent)
    if size != archive.size:
        raise StepFailed(reasons.VERIFY_FAILED, f"{archive.size} bytes were packed, {size} sent")
    job.journal.notices += await upload.tag()
    log.info("uploaded %d bytes in %d parts, %s", size, len(sent), archive.checksum)
    return archive


def _result(task: Assignment, archive: Archive, started: datetime, finished: datetime) -> WorkerResult:
    names = tuple(manifest.printable(database.name) for database in task.databases)
    return WorkerResult(
        outcome=Outcome.COMPLETE,
        started=started,
        finished=finished,
        path=task.job.env.task.target.url,
        size=archive.size,
        checksum=archive.checksum,
        commitTs=task.found.commit_ts,
        databases=names,
        databaseCount=len(names),
    )


def _manifest(
    assigned: Assignment,
    archive: Archive,
    run: str,
    started: datetime,
    finished: datetime,
) -> bytes:
    task, position = assigned.job.env.task, assigned.dump.position
    files = tuple(archive.files)
    rows = rows_of_tables(files, assigned.databases)
    return manifest.encode_manifest(
        manifest.Manifest(
            uid=task.uid,
            key=task.target.key,
            size=archive.size,
            sha256=archive.checksum.removeprefix("sha256:"),
            commitTs=assigned.found.commit_ts,
            binlogPosition=position.binlog,
            gtid=position.gtid,
            run=run,
            started=started,
            finished=finished,
            dumper=assigned.dump.version,
            serverVersion=assigned.found.version,
            files=tuple(PackedFile(manifest.printable(f.name), f.size) for f in files),
            rows=sum(rows.values()),
            tables=tuple(
                manifest.ManifestTable(manifest.printable(database), manifest.printable(name), count)
                for (database, name), count in rows.items()
            ),
            databases=manifest.database_rows(assigned.databases),
        )
    )
