"""`worker aftermath`: inspects, cleans and releases after a run, as the task asks. Safe to repeat.

What concerns the storage is done beside what concerns the database: neither waits for the other, nor needs
its Secret. Must not know why a part is asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import attrs

from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Part, PartResult
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.storage.client import S3Client, access_keys_from, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.worker.clean import clean
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import Journal, StepFailed
from tidbbackup.worker.gc.hold import release
from tidbbackup.worker.inspection import inspect
from tidbbackup.worker.run import Limits

log = logging.getLogger(__name__)


async def aftermath(
    env: Environment, journal: Journal, limits: Limits, now: Callable[[], datetime]
) -> WorkerResult:
    """Do the parts that the task asks for, and say of each how it ended; FAILED if one is not done."""
    journal.step = "aftermath"
    asked, work = env.task.aftermath, _Work(env, journal, limits)
    results = await asyncio.gather(*(work.do(part) for part in asked.parts))
    whole = work.whole or WorkerResult(Outcome.DONE, started=now(), finished=now(), path=env.task.target.url)
    failed = next((each for each in results if not each.done), None)
    return attrs.evolve(
        whole,
        outcome=Outcome.FAILED if failed else Outcome.DONE,
        step=journal.step if failed else "",
        reason=failed.reason if failed else "",
        message=failed.message if failed else "",
        parts=tuple(results),
    )


@attrs.define
class _Work:
    env: Environment
    journal: Journal
    limits: Limits
    whole: WorkerResult | None = None
    """What an inspection has found."""

    async def do(self, part: Part) -> PartResult:
        """One part, to its end; only being asked to end is raised."""
        try:
            match part:
                case Part.INSPECT:
                    return await self._at_the_storage(self._inspect)
                case Part.CLEAN:
                    return await self._at_the_storage(self._clean)
                case Part.RELEASE:
                    await release(self.env, self.journal, self.limits)
        except (StepFailed, StorageError) as error:
            log.error("%s is not done: %s: %s", part, error.reason, error)
            return PartResult(part, done=False, reason=error.reason, message=str(error))
        except Exception as error:
            log.exception("%s is not done: a bug of the worker", part)
            told = f"{type(error).__name__}: {error}"
            return PartResult(part, done=False, reason=reasons.INTERNAL_ERROR, message=told)
        return PartResult(part)

    async def _at_the_storage(self, work: Callable[[S3Client], Awaitable[PartResult]]) -> PartResult:
        env, keys = self.env, access_keys_from(self.env.keys)
        if keys is None and env.task.keysInSecret:
            text = "the Secret of spec.s3.secretName is missing, or has neither `access_key` nor `secret_key`"
            raise StorageError(reasons.CREDENTIALS_MISSING, f"{text}: create it in this namespace")
        async with open_client(env.task.target, keys, env.s3_ca, self.limits.patience, env.proxies) as client:
            return await work(client)

    async def _inspect(self, client: S3Client) -> PartResult:
        try:
            self.whole = await inspect(client, self.env.task)
        except StepFailed as error:
            return PartResult(Part.INSPECT, reason=error.reason, message=str(error))
        return PartResult(Part.INSPECT)

    async def _clean(self, client: S3Client) -> PartResult:
        deleted = await clean(client, self.env.task, self.journal, self.env.task.aftermath.data)
        return PartResult(Part.CLEAN, reason=reasons.ARCHIVE_DELETED if deleted else reasons.DATA_KEPT)
