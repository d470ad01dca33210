"""`worker restore`: preflight, then download, unpack and load at once, then views and programs, then compare.

The order of the steps and nothing else. Must not know how it is reported.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime

import msgspec

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.contract.task import RestoreSettings
from tidbbackup.model.enumeration import some
from tidbbackup.model.filter.table_filter import read_filter
from tidbbackup.storage import objects
from tidbbackup.storage.client import S3Client, access_keys_from, open_client
from tidbbackup.storage.download import download
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.objects import ObjectHead
from tidbbackup.worker.archive.feed import Feed
from tidbbackup.worker.archive.manifest import Manifest, read_manifest
from tidbbackup.worker.archive.unpack import Reader
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.connect import connect
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import Journal, StepFailed
from tidbbackup.worker.load.comparison import Mismatch
from tidbbackup.worker.load.restoration import Restoration, Wanted, broken
from tidbbackup.worker.load.target import Target, meet
from tidbbackup.worker.run import Limits, read_login

log = logging.getLogger(__name__)

_PIECES = 2
_NAMED = 5
_FROZEN = ("GLACIER", "DEEP_ARCHIVE")


async def restore(
    env: Environment, journal: Journal, limits: Limits, now: Callable[[], datetime]
) -> WorkerResult:
    """Load one archive into one server, and compare.

    Raises:
        StepFailed, StorageError: why it is not there, or not equal.
    """
    started, asked = now(), env.task.restore
    login = await connect(read_login(env, "spec.to"), journal, limits.connect)
    target = await aside(meet, login)
    log.info("%s is %s", login.where, target.version)
    credentials, patience = access_keys_from(env.keys), limits.patience
    async with open_client(env.task.target, credentials, env.s3_ca, patience, env.proxies) as client:
        head = await _head(client, env)
        manifest = await _manifest(client, env, head, journal)
        work = Restoration(target, _wanted(asked, manifest, target), journal.counters)
        journal.counters.archive_bytes = head.size * work.passes
        try:
            if work.passes > 1:
                journal.step = "read"
                await _passed(work.collect, client, env, head, limits)
            journal.step = "load"
            try:
                await _passed(work.load, client, env, head, limits)
            except StepFailed as error:
                raise StepFailed(error.reason, f"{error}{work.whole()}") from error
            journal.step = "compare"
            _judge(await aside(work.finish), work, journal)
        except (StepFailed, StorageError):
            if asked.drop:
                await _drop(work, journal)
            raise
        finally:
            work.stop()
    if asked.drop:
        await _drop(work, journal)
    result = journal.complete = WorkerResult(
        outcome=Outcome.COMPLETE,
        started=started,
        finished=now(),
        path=env.task.target.url,
        size=head.size,
        checksum=f"sha256:{manifest.sha256}" if manifest else "",
        commitTs=manifest.commitTs if manifest else "",
        databases=work.databases,
        databaseCount=len(work.databases),
        tables=work.tables,
        rows=work.rows,
    )
    return result


def _wanted(asked: RestoreSettings, manifest: Manifest | None, target: Target) -> Wanted:
    try:
        rules = read_filter(asked.tableFilter, target.system) if asked.tableFilter else None
    except ValueError as error:
        raise StepFailed(reasons.INVALID_SPEC, f"spec.tableFilter: {error}") from error
    return Wanted(
        manifest, rules, asked.overwrite, asked.threads, suffix=asked.databaseSuffix, drop=asked.drop
    )


async def _head(client: S3Client, env: Environment) -> ObjectHead:
    target = env.task.target
    head = await objects.head(client, target, target.key)
    if head is None:
        raise StepFailed(
            reasons.ARCHIVE_NOT_FOUND,
            f"there is no {target.url}: is the address right, has the archive been deleted "
            "(`tidbbackup list` shows those of a bucket)",
        )
    if head.storage_class in _FROZEN and not head.restored:
        raise StepFailed(
            reasons.ARCHIVE_NOT_FOUND,
            f"{target.url} is in class {head.storage_class}, from which nothing can be read at once: have "
            "the storage restore it first (aws s3api restore-object), which takes hours",
        )
    return head


async def _manifest(
    client: S3Client, env: Environment, head: ObjectHead, journal: Journal
) -> Manifest | None:
    target = env.task.target
    body = await objects.read(client, target, target.manifest_key)
    if body is None:
        journal.notice(
            reasons.MANIFEST_MISSING,
            f"{target.url} has no manifest: its digest and the number of its rows cannot be checked",
        )
        return None
    try:
        manifest = read_manifest(body)
    except msgspec.MsgspecError as error:
        raise StepFailed(
            reasons.ARCHIVE_BROKEN, f"s3://{target.bucket}/{target.manifest_key} is no manifest: {error}"
        ) from error
    if manifest.size != head.size:
        raise broken(f"it has {head.size} bytes, its manifest says {manifest.size}")
    return manifest


async def _passed(
    work: Callable[[Reader], None], client: S3Client, env: Environment, head: ObjectHead, limits: Limits
) -> None:
    """Have a thread read the whole archive."""
    feed = Feed(_PIECES)
    working = asyncio.create_task(aside(work, feed))
    try:
        async with aclosing(download(client, env.task.target, head, limits.patience)) as pieces:
            await feed.fill(pieces, working.done)
        await working
    except StorageError:
        working.cancel()
        raise
    finally:
        feed.close()


async def _drop(work: Restoration, journal: Journal) -> None:
    """What cannot be dropped is told: the archive is judged by the comparison alone."""
    try:
        left = await aside(work.drop)
    except StepFailed as error:
        journal.notice(
            reasons.NOT_DROPPED, f"what this restore created is not dropped: {error}; drop it by hand"
        )
        return
    if left:
        journal.notice(
            reasons.NOT_DROPPED,
            f"{some(left)} is not dropped: it holds something that this restore did not create",
        )


def _judge(mismatches: list[Mismatch], work: Restoration, journal: Journal) -> None:
    if work.definers:
        names = ", ".join(f"`{user}`@`{host}`" for user, host in sorted(work.definers)[:_NAMED])
        journal.notice(
            reasons.DEFINER_MISSING,
            f"views or programs run as {names}, which the server does not have: they fail until these "
            "accounts are created",
        )
    elif not work.definers_known:
        journal.notice(
            reasons.DEFINER_MISSING,
            "views or programs run as accounts that may not exist: the user may not read mysql.user to tell",
        )
    if work.left_out:
        journal.notice(
            reasons.PROGRAMS_LEFT_OUT,
            f"views, triggers, routines and events ({work.left_out} files) are not restored: their texts "
            "name databases, and with databaseSuffix these have other names",
        )
    if mismatches:
        more = f"; and {len(mismatches) - _NAMED} more" if len(mismatches) > _NAMED else ""
        raise StepFailed(
            reasons.ROWS_DIFFER,
            f"{'; '.join(m.text for m in mismatches[:_NAMED])}{more}: does somebody write to the restored "
            "tables; stop that, then restore again with overwrite: Tables",
        )
