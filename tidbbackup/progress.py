"""The progress of Backups and Restores: asks their workers every ten seconds and writes `status.progress`.

The one loop that does not go through the API server, and the only writer of its field. It is no reconciler:
if a pod cannot be reached, only the progress is missing. Must not decide what is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Awaitable, Iterable
from typing import Any

import aiohttp
from attrs import frozen

from tidbbackup.decide.progress import report_patch, stale_patch
from tidbbackup.decide.status import Subject
from tidbbackup.kube.client import Client
from tidbbackup.kube.errors import ApiError
from tidbbackup.kube.store import Change
from tidbbackup.model.contract.progress import MAX_BYTES, PROGRESS_PATH, WORKER_PORT, Report, decode_report
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.restore import Restore
from tidbbackup.reconcile.kinds import KINDS, Caches
from tidbbackup.reconcile.observe import working

log = logging.getLogger(__name__)

_HEADER_BYTES = 2048


@frozen
class Pace:
    """How often workers are asked, and how many at a time. Seconds."""

    interval: float = 10.0
    answer_within: float = 2.0
    at_once: int = 32


def has_stale_progress(change: Change[Any]) -> Iterable[ObjectKey]:
    """The route to `ProgressTask.take_away`: a Backup or Restore with a progress, of which no worker runs."""
    found = change.new
    return [change.key] if isinstance(found, Backup | Restore) and stale_patch(found) else []


class ProgressTask:
    """Invariant: the task never waits for a worker longer than `answer_within`, and believes only numbers
    within their bounds."""

    def __init__(self, client: Client, caches: Caches, pace: Pace = Pace(), port: int = WORKER_PORT) -> None:
        self._client = client
        self._caches = caches
        self._pace = pace
        self._port = port
        self._stale: set[ObjectKey] = set()
        self._woken = asyncio.Event()

    def take_away(self, key: ObjectKey) -> None:
        """The progress of that Backup or Restore is stale: it is removed soon."""
        self._stale.add(key)
        self._woken.set()

    async def run(self, synced: Awaitable[object]) -> None:
        """Run without end once the caches are filled; cancel it to stop.

        Dying at any point: the next controller asks again, and its caches show every stale progress.
        """
        await synced
        loop = asyncio.get_running_loop()
        async with self._session() as session:
            while True:
                next_at = loop.time() + self._pace.interval
                await self._guarded(self._ask_all(session))
                while (left := next_at - loop.time()) > 0:
                    await self._guarded(self._take_stale_away())
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(left):
                            await self._woken.wait()

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._pace.answer_within),
            connector=aiohttp.TCPConnector(limit=self._pace.at_once, force_close=True),
            # A pod's answer cannot control this client: no cookies, no decompression, short headers.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        )

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            # An error here must never stop the reconcilers.
            log.exception("a bug in the progress task")

    async def _ask_all(self, session: aiohttp.ClientSession) -> None:
        slots = asyncio.Semaphore(self._pace.at_once)

        async def one(subject: Subject, address: str) -> None:
            async with slots:
                if report := await self._ask(session, subject, address):
                    await self._write(subject, report)

        async with asyncio.TaskGroup() as group:
            for subject, address in working(self._caches):
                group.create_task(one(subject, address))

    async def _ask(self, session: aiohttp.ClientSession, subject: Subject, address: str) -> Report | None:
        try:
            async with session.get(_url(address, self._port), allow_redirects=False) as answer:
                if answer.status != 200:
                    raise ValueError(f"answered {answer.status}")
                return decode_report(await _at_most(answer.content, MAX_BYTES + 1))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.debug("no progress of %s from %s: %s", subject.key, address, error or type(error).__name__)
            return None

    async def _write(self, subject: Subject, report: Report) -> None:
        # The run may have changed while the worker was asked.
        newest = self._caches.subject(subject.key)
        if newest is not None and newest.metadata.uid == subject.metadata.uid:
            await self._patch(newest, report_patch(newest, report))

    async def _take_stale_away(self) -> None:
        self._woken.clear()
        for key in tuple(self._stale):
            found = self._caches.subject(key)
            if found is None or await self._patch(found, stale_patch(found)):
                self._stale.discard(key)

    async def _patch(self, subject: Subject, patch: dict[str, object] | None) -> bool:
        if patch is None:
            return True
        meta, resource = subject.metadata, KINDS[subject.kind].resource
        try:
            await self._client.patch(resource, meta.namespace, meta.name, patch, subresource="status")
        except ApiError as error:
            log.debug("progress of %s not written: %s", subject.key, error)
            return False
        return True


def _url(address: str, port: int) -> str:
    host = ipaddress.ip_address(address)
    return f"http://{f'[{host}]' if host.version == 6 else host}:{port}{PROGRESS_PATH}"


async def _at_most(stream: aiohttp.StreamReader, count: int) -> bytes:
    try:
        return await stream.readexactly(count)
    except asyncio.IncompleteReadError as short:
        return short.partial
