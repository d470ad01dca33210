"""`worker dump`: preflight, then dump, archive and upload at once, then verification and manifest.

The order of the steps and nothing else; each step is a module of its own. Must not know how it is reported.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

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
from tidbbackup.worker.dumpers.choice import choose
from tidbbackup.worker.dumpers.dumper import Dump, Dumper
from tidbbackup.worker.dumpers.selection import selection
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import Journal, StepFailed
from tidbbackup.worker.gc import hold
from tidbbackup.worker.load.row_counts import rows_of_tables
from tidbbackup.worker.pipeline.open_upload import open_upload
from tidbbackup.worker.pipeline.overlap import overlap
from tidbbackup.worker.run import Limits, Run, read_login

log = logging.getLogger(__name__)


async def dump(
    env: Environment, journal: Journal, limits: Limits, now: Callable[[], datetime]
) -> WorkerResult:
    """Make one backup, whole or not at all.

    Raises:
        StepFailed, StorageError: why there is none; nothing of it is visible, and journal tells the step
            and whether an upload had to be left open.
    """
    started, asked = now(), env.task.dump
    login, dumper = read_login(env), choose(env)
    # Of a server that is not known yet: what is wrong with the filter is wrong for every server.
    selection(asked.tableRegex, asked.tableFilter)
    run = Run(env, journal, limits, await connect(login, journal, limits.connect))
    async with hold.held(run):
        return await _dump(run, dumper, started, now)


async def _dump(run: Run, dumper: Dumper, started: datetime, now: Callable[[], datetime]) -> WorkerResult:
    env, journal, asked = run.env, run.journal, run.env.task.dump
    found = await aside(survey, run.login)
    log.info("%s is %s%s", run.login.where, found.version, f", TSO {found.commit_ts}" * found.is_tidb)
    chosen = selection(asked.tableRegex, asked.tableFilter, found.system)
    dump = await dumper.prepare(found, chosen, run.login)
    journal.notices += dump.notices
    journal.counters.estimated_bytes = estimated_bytes(dump.order.databases)
    target, patience = env.task.target, run.limits.patience
    async with (
        open_client(target, access_keys_from(env.keys), env.s3_ca, patience, env.proxies) as client,
        open_upload(client, run) as upload,
    ):
        archive = await _ship(run, dump, upload, started)
        journal.step = "manifest"
        last = _manifest(run, dump, archive, upload.run, started, now())
        await upload.write_beside(target.manifest_key, last)
        # Dying from here on loses only the message: archive and manifest are whole.
        journal.complete = _result(dump, target.url, archive, started, now())
        return journal.complete


async def _ship(run: Run, dump: Dump, upload: Upload, started: datetime) -> Archive:
    """Bring the dump into the storage and complete the upload; what was archived."""
    target, journal = run.env.task.target, run.journal
    sizes = PartSizes(target, journal.counters.estimated_bytes)
    archive = Archive(target.top, int(started.timestamp()), sizes, target.compression)
    sent = await overlap(run, dump, archive, upload)
    journal.step = "verify"
    size = await upload.complete(sent)
    if size != archive.size:
        raise StepFailed(reasons.VERIFY_FAILED, f"{archive.size} bytes were packed, {size} sent")
    journal.notices += await upload.tag()
    log.info("uploaded %d bytes in %d parts, %s", size, len(sent), archive.checksum)
    return archive


def _result(dump: Dump, url: str, archive: Archive, started: datetime, finished: datetime) -> WorkerResult:
    names = tuple(manifest.printable(database.name) for database in dump.order.databases)
    return WorkerResult(
        outcome=Outcome.COMPLETE,
        started=started,
        finished=finished,
        path=url,
        size=archive.size,
        checksum=archive.checksum,
        commitTs=dump.order.found.commit_ts,
        databases=names,
        databaseCount=len(names),
    )


def _manifest(
    run: Run, dump: Dump, archive: Archive, attempt: str, started: datetime, finished: datetime
) -> bytes:
    task, order, position = run.env.task, dump.order, dump.position
    files = tuple(archive.files)
    rows = rows_of_tables(files, order.databases)
    return manifest.encode_manifest(
        manifest.Manifest(
            uid=task.uid,
            key=task.target.key,
            size=archive.size,
            sha256=archive.checksum.removeprefix("sha256:"),
            commitTs=order.found.commit_ts,
            binlogPosition=position.binlog,
            gtid=position.gtid,
            run=attempt,
            started=started,
            finished=finished,
            dumper=dump.version,
            serverVersion=order.found.version,
            files=tuple(PackedFile(manifest.printable(f.name), f.size) for f in files),
            rows=sum(rows.values()),
            tables=tuple(
                manifest.ManifestTable(manifest.printable(database), manifest.printable(name), count)
                for (database, name), count in rows.items()
            ),
            databases=manifest.database_rows(order.databases),
        )
    )
