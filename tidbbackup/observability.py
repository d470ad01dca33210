"""The controller's metrics, health and readiness over HTTP.

Serves all metrics: those of kube/, and gauges that are computed at each scrape. Must not know how Backups are
counted: the caller passes a function for those gauges.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

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
"""Seconds that a connection may take; Prometheus waits no longer by default."""
_BACKLOG = 16
"""Connections accepted at once: far below CLIENTS, so that a probe is answered before it is the oldest."""

SHARED_SECONDS = 1.0
"""Seconds for which all clients share one rendering of the metrics."""
_PIECE = 16 * 1024
"""Bytes that are buffered for a client that does not read."""

STALE_AFTER = 180.0
"""Seconds without an answer of the API server; after a minute without one it is asked again."""


class CannotListen(Exception):
    """The address is in use or not ours; the message has the address, the flag and the cure."""


class Metrics(KubeMetrics, Collector):
    """Every metric of the controller, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__(self.registry)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._healths: list[Callable[[], Health]] = []
        self._sources: list[Callable[[], Iterable[Metric]]] = []
        self._taken: tuple[Iterable[Metric], ...] = ()
        self._rendering: asyncio.Task[bytes] | None = None
        self._shared_until = 0.0
        self.registry.register(self)

    def watch_queue(self, queue: WorkQueue[Any]) -> None:
        """Shows that queue's depth and unfinished work."""
        self.gauges(partial(_of_queue, queue))

    def watch_reflector(self, health: Callable[[], Health]) -> None:
        """Shows how long ago a reflector last heard of the API server."""
        self._healths.append(health)

    def watch_leader(self, name: str, leads: Callable[[], bool]) -> None:
        """Shows whether this process leads; `name` is the Lease's."""
        text = "1 if this process leads, 0 if it stands by."
        self.gauges(lambda: [_gauge("leader_election_master_status", text, "name", {name: leads()})])

    def gauges(self, source: Callable[[], Iterable[Metric]]) -> None:
        """Shows the metrics of `source`, an instant of the caches: called in the event loop, iterated
        over in a thread."""
        self._sources.append(source)

    def take(self) -> CollectorRegistry:
        """All of it, as it is now; to be called in the event loop."""
        ages = _of_reflectors(health() for health in self._healths)
        self._taken = (ages, *(each() for each in self._sources))
        return self.registry

    def collect(self) -> Iterator[Metric]:
        """The gauges as they were taken."""
        for part in self._taken:
            yield from part

    async def text(self) -> bytes:
        """All metrics as Prometheus reads them; requests within one second get the same text."""
        done = self._rendering is None or self._rendering.done()
        if self._rendering is None or (done and asyncio.get_running_loop().time() >= self._shared_until):
            self._rendering = asyncio.create_task(self._render())
        return await asyncio.shield(self._rendering)

    async def _render(self) -> bytes:
        try:
            # In a thread: thousands of series take seconds, in which the event loop must run.
            return await asyncio.to_thread(generate_latest, self.take())
        finally:
            self._shared_until = asyncio.get_running_loop().time() + SHARED_SECONDS


def _of_queue(queue: WorkQueue[Any]) -> list[Metric]:
    stats = queue.stats()
    return [
        _gauge(f"workqueue_{name}", text, "name", {queue.name: value})
        for name, text, value in (
            ("depth", "Keys that are due and wait.", stats.depth),
            ("unfinished_work_seconds", "Time spent so far on unfinished keys.", stats.unfinished_seconds),
            ("longest_running_processor_seconds", "The longest of these.", stats.longest_seconds),
        )
    ]


def _of_reflectors(healths: Iterable[Health]) -> list[Metric]:
    ages: dict[str, float] = {}
    for health in healths:
        # With one reflector for each namespace, the largest value: the label is the kind alone.
        ages[str(health.resource)] = max(health.age_seconds, ages.get(str(health.resource), 0.0))
    text = "Seconds since the last event from the API server."
    return [_gauge("reflector_last_event_age_seconds", text, "resource", ages)]


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    gauge = GaugeMetricFamily(name, text, labels=[label])
    for each, value in values.items():
        gauge.add_metric([each], value)
    return gauge


def not_ready(healths: Iterable[Health], stale_after: float = STALE_AFTER) -> tuple[str, ...]:
    """A line for each reflector that keeps the controller from being ready."""
    lines = []
    for health in healths:
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
    app.router.add_get("/healthz", _answer(tuple))
    app.router.add_get("/readyz", _answer(readiness))
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


def _answer(faults: Callable[[], Sequence[str]]) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.Response:
        # /healthz succeeds because this code runs: the event loop runs.
        found = faults()
        text = "".join(f"{line}\n" for line in found) or "ok\n"
        headers = {"Content-Type": TEXT}
        answer = web.Response(status=503 if found else 200, body=text.encode(), headers=headers)
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
            await asyncio.sleep(0)  # If the client reads at once, writing alone never yields.
    return answer
