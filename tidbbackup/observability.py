"""What is seen of the controller from outside: metrics, health, readiness.

Serves all metrics over HTTP: those of kube/, and gauges that are looked up at each scrape. Must not know how
Backups are counted: those gauges come from a function that is handed in.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tidbbackup.clients import bounded
from tidbbackup.kube.metrics import KubeMetrics
from tidbbackup.kube.queue import WorkQueue
from tidbbackup.kube.reflector import Health

TEXT = "text/plain; version=0.0.4; charset=utf-8"

CLIENTS = 128
CLIENT_SECONDS = 10.0
"""So long a connection may take; Prometheus waits no longer by default."""
_BACKLOG = 16
"""Taken in at once: far below CLIENTS, so that a probe is answered before it can be the oldest of all."""

SHARED_SECONDS = 1.0
"""So long one rendering of the metrics is everybody's."""
_PIECE = 16 * 1024
"""Bytes that are kept for a client who does not read."""

STALE_AFTER = 180.0
"""Seconds without an answer of the API server, which is asked again after a minute of silence."""


class HasHealth(Protocol):
    """A reflector, as far as this module cares."""

    def health(self) -> Health:
        """How it is doing now."""


class CannotListen(Exception):
    """The address is taken or not ours; the message names it, the flag and the cure."""


class _Scraped(Collector):
    """Gauges that are looked up when someone asks, rather than kept up to date."""

    def __init__(self) -> None:
        self.queues: list[WorkQueue[Any]] = []
        self.reflectors: list[HasHealth] = []
        self.sources: list[Callable[[], Iterable[Metric]]] = []
        self._taken: tuple[Iterable[Metric], ...] = ()

    def take(self) -> None:
        """One instant of it, in the event loop; what `sources` give is computed where it is collected."""
        self._taken = ((*self._queue_gauges(), *self._reflector_gauges()), *(each() for each in self.sources))

    def collect(self) -> Iterator[Metric]:
        for part in self._taken:
            yield from part

    def describe(self) -> Iterable[Metric]:
        return ()  # says that nothing is to be looked up at registration

    def _queue_gauges(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("workqueue_depth", "Keys that are due and wait.", labels=["name"])
        unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds", "Time spent so far on unfinished keys.", labels=["name"]
        )
        longest = GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds", "The longest of these.", labels=["name"]
        )
        for queue in self.queues:
            stats = queue.stats()
            depth.add_metric([queue.name], stats.depth)
            unfinished.add_metric([queue.name], stats.unfinished_seconds)
            longest.add_metric([queue.name], stats.longest_seconds)
        yield from (depth, unfinished, longest)

    def _reflector_gauges(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "reflector_last_event_age_seconds", "Since the API server was last heard of.", labels=["resource"]
        )
        ages: dict[str, float] = {}
        for health in (reflector.health() for reflector in self.reflectors):
            # Where namespaces are followed one by one, the worst of them: the label is the kind alone.
            ages[str(health.resource)] = max(health.age_seconds, ages.get(str(health.resource), 0.0))
        for resource, seconds in ages.items():
            age.add_metric([resource], seconds)
        yield age


class Metrics(KubeMetrics):
    """Every metric of the controller, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__(self.registry)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._scraped = _Scraped()
        self._rendering: asyncio.Task[bytes] | None = None
        self._shared_until = 0.0
        self.registry.register(self._scraped)

    def watch_queue(self, queue: WorkQueue[Any]) -> None:
        """Shows that queue's depth and unfinished work."""
        self._scraped.queues.append(queue)

    def watch_reflector(self, reflector: HasHealth) -> None:
        """Shows how long ago that reflector last heard of the API server."""
        self._scraped.reflectors.append(reflector)

    def gauges(self, source: Callable[[], Iterable[Metric]]) -> None:
        """Shows what `source` gives, an instant of the caches: it is called in the event loop, and iterated
        over in a thread."""
        self._scraped.sources.append(source)

    def take(self) -> CollectorRegistry:
        """All of it, as it is now."""
        self._scraped.take()
        return self.registry

    async def text(self) -> bytes:
        """All of it, as Prometheus reads it; whoever asks within a second gets the same."""
        done = self._rendering is None or self._rendering.done()
        if self._rendering is None or (done and asyncio.get_running_loop().time() >= self._shared_until):
            self._rendering = asyncio.create_task(self._render())
        return await asyncio.shield(self._rendering)

    async def _render(self) -> bytes:
        try:
            # In a thread: of thousands of series it takes seconds, in which the loop has to turn.
            return await asyncio.to_thread(generate_latest, self.take())
        finally:
            self._shared_until = asyncio.get_running_loop().time() + SHARED_SECONDS


def not_ready(reflectors: Sequence[HasHealth], stale_after: float = STALE_AFTER) -> tuple[str, ...]:
    """A line for each reflector that keeps the controller from being ready."""
    lines = []
    for health in (reflector.health() for reflector in reflectors):
        if not health.synced:
            lines.append(f"{health}: not listed yet")
        elif health.age_seconds > stale_after:
            lines.append(f"{health}: the API server is silent since {health.age_seconds:.0f} s")
    return tuple(lines)


@asynccontextmanager
async def serve(
    metrics: Metrics,
    readiness: Callable[[], Sequence[str]],
    *,
    host: str,
    port: int,
    flag: str = "--metrics-port",
) -> AsyncIterator[int]:
    """Serves /metrics, /healthz and /readyz; yields the port, which the system chooses for 0.

    `readiness` names what is not ready, one line each. Raises CannotListen.
    """
    app = web.Application()
    app.router.add_get("/metrics", partial(_show, metrics), allow_head=False)
    app.router.add_get("/healthz", _answer(lambda: (200, b"ok\n")))
    app.router.add_get("/readyz", _answer(lambda: _ready(readiness())))
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        listening = await _listen(runner, host, port, flag)
        async with listening:
            yield int(listening.sockets[0].getsockname()[1])
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, flag: str) -> asyncio.Server:
    assert runner.server is not None
    accept = bounded(runner.server, CLIENTS, CLIENT_SECONDS)
    try:
        return await asyncio.get_running_loop().create_server(accept, host, port, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(
                f"{host}:{port} is taken by another program: choose another port with {flag}"
            ) from None
        raise CannotListen(f"cannot listen on {host}:{port} ({flag}): {error.strerror or error}") from error


def _ready(lines: Sequence[str]) -> tuple[int, bytes]:
    text = "".join(f"{line}\n" for line in lines) or "ok\n"
    return (503 if lines else 200), text.encode()


def _answer(make: Callable[[], tuple[int, bytes]]) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.Response:
        # That this runs at all is what /healthz is about: the event loop turns.
        status, body = make()
        answer = web.Response(status=status, body=body, headers={"Content-Type": TEXT})
        answer.force_close()
        return answer

    return handler


async def _show(metrics: Metrics, request: web.Request) -> web.StreamResponse:
    text = memoryview(await metrics.text())
    answer = web.StreamResponse(headers={"Content-Type": TEXT, "Content-Length": str(len(text))})
    answer.force_close()
    with suppress(ConnectionError):  # A client that goes away, or is cut off, is nothing to log.
        await answer.prepare(request)
        for start in range(0, len(text), _PIECE):
            await answer.write(text[start : start + _PIECE])
            await asyncio.sleep(0)  # Where the client reads at once, writing alone never lets others in.
    return answer
