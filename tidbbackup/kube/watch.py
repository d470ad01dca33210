"""Follows one kind of object: lists once, then watches, and continues with as few lists as is safe.

The thin loop around the rules of `updates` and `pace`. Must not know what is done with the updates.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from attrs import frozen

from tidbbackup.kube.client import EVERYTHING, Selector
from tidbbackup.kube.decode import Decode, HasMeta, Lines, Malformed, read_frame, read_object, read_page
from tidbbackup.kube.errors import ApiError, Silence, TooLong
from tidbbackup.kube.metrics import ReflectorMetrics
from tidbbackup.kube.pace import Pace, Round, Timing
from tidbbackup.kube.resources import Resource
from tidbbackup.kube.transport import ANSWER_LIMIT
from tidbbackup.kube.updates import Relisted, Update, advance, reason_of, resume_from

log = logging.getLogger(__name__)

T = TypeVar("T", bound=HasMeta)

SLICE = 256 * 1024
"""Bytes of a list that are decoded before the loop runs again."""


class Source(Protocol):
    """The two requests of list and watch; the Client has them."""

    async def list_page(
        self, resource: Resource, namespace: str = "", *, selector: Selector, limit: int, token: str
    ) -> bytes:
        """One page of a consistent list."""

    def watch(
        self, resource: Resource, namespace: str = "", *, version: str, seconds: int, selector: Selector
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A watch from that version on, in chunks of bytes."""


@frozen
class Target(Generic[T]):
    """What to watch, and how to decode it."""

    resource: Resource
    decode: Decode[T]
    namespace: str = ""
    selector: Selector = EVERYTHING
    known: Callable[[msgspec.Raw], T | Malformed | None] = lambda _: None
    """The object as it was read before, if it has not changed since: it is not decoded again."""

    def __str__(self) -> str:
        return f"{self.resource} in {self.namespace}" if self.namespace else str(self.resource)


async def updates(
    source: Source,
    target: Target[T],
    *,
    timing: Timing,
    metrics: ReflectorMetrics,
    heard: Callable[[], None],
    jitter: Callable[[], float] = random.random,
) -> AsyncGenerator[Update[T], None]:
    """Every update of one kind, without end; the first is Relisted. No failure ends it.

    `heard` is called whenever the server sends anything, also a bookmark.
    """
    clock = asyncio.get_running_loop().time
    pace = Pace(timing)
    version: str | None = None
    while True:
        began, moved, error = clock(), False, None
        try:
            if version is None:
                relisted = await list_all(source, target, timing.page)
                version = relisted.version
                metrics.listed()
                heard()
                yield relisted
                began = clock()
            seconds = int(timing.watch * (1 - 0.2 * jitter()))
            watched = _Watched(source, target, metrics, heard)
            async with aclosing(watched.follow(version, seconds, timing.idle)) as frames:
                async for following, update in frames:
                    moved = moved or following not in (None, version)
                    version = following
                    if update is not None:
                        yield update
        except ApiError as failure:
            error, version = failure, resume_from(version, failure)
        past = Round(clock() - began, moved, error, expired=error is None and version is None)
        pause = pace.after(past, jitter())
        if pause or error:
            _tell(target, past, pause, pace.failures, metrics)
        await asyncio.sleep(pause)


async def list_all(source: Source, target: Target[T], most: int) -> Relisted[T]:
    """The whole list, in pages of `most` objects, or as many as are not TooLong.

    Raises ApiError; half a list is never returned.
    """
    objects: list[T | Malformed] = []
    token, limit = "", most
    while True:
        try:
            body = await source.list_page(
                target.resource, target.namespace, selector=target.selector, limit=limit, token=token
            )
        except TooLong:
            if limit <= 1:
                raise
            limit = max(1, limit // 8)
            continue
        page = read_page(body)
        taken = 0
        for raw in page.items:
            objects.append(target.known(raw) or read_object(raw, target.decode))
            taken += len(raw)
            if taken > SLICE:
                # Other tasks run, however large the objects are.
                taken = 0
                await asyncio.sleep(0)
        token = page.token
        if not token:
            return Relisted(tuple(objects), page.version)
        # The next page has as many objects as fit into half of an answer, if they are of the same size.
        limit = min(most, max(1, limit * ANSWER_LIMIT // (2 * len(body))))
        await asyncio.sleep(0)


@frozen
class _Watched(Generic[T]):
    source: Source
    target: Target[T]
    metrics: ReflectorMetrics
    heard: Callable[[], None]

    async def follow(
        self, version: str, seconds: int, idle: float
    ) -> AsyncGenerator[tuple[str | None, Update[T] | None], None]:
        """One watch. An incomplete last line is dropped: the version before it still counts."""
        lines, target = Lines(), self.target
        async with self.source.watch(
            target.resource, target.namespace, version=version, seconds=seconds, selector=target.selector
        ) as chunks:
            self.metrics.watched()
            self.heard()
            while chunk := await _next_chunk(chunks, idle):
                self.heard()
                for line in lines.feed(chunk):
                    following, update = advance(version, read_frame(line, target.decode))
                    yield following, update
                    if following is None:
                        return
                    version = following


async def _next_chunk(chunks: AsyncIterator[bytes], idle: float) -> bytes:
    try:
        async with asyncio.timeout(idle):
            return await anext(chunks, b"")
    except TimeoutError as error:
        raise Silence(f"nothing came for {idle:g} s") from error


def _tell(target: Target[Any], past: Round, pause: float, failures: int, metrics: ReflectorMetrics) -> None:
    if past.error is not None:
        reason, why = reason_of(past.error), str(past.error)
    elif past.expired:
        reason, why = "expired", "the version is too old"
    else:
        reason, why = "short", "the watch ended at once"
    metrics.restarted(reason)
    # Once is normal (a server restarts, a version expires); several times in a row is not.
    level = logging.WARNING if failures > 1 else logging.INFO if pause else logging.DEBUG
    log.log(level, "%s: %s; again in %.1f s", target, why, pause)
