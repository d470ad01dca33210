"""What is seen of a run from outside while it is on: /metrics for Prometheus, /progress for the controller.

Shows and never steers: whatever happens here, the run goes on. Must not know the steps.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tidbbackup.clients import bounded
from tidbbackup.model.contract.progress import PROGRESS_PATH, WORKER_PORT, encode_report
from tidbbackup.worker.failure import Journal

log = logging.getLogger(__name__)

_TEXT = "text/plain; version=0.0.4; charset=utf-8"

# Prometheus, the controller and a curious human are three. Every connection holds a descriptor, which the
# run itself may want.
_CLIENTS = 16
_CLIENT_SECONDS = 5.0
"""A connection is closed after this time, however it is used."""
_CLOSING_SECONDS = 0.2


class RunMetrics(Collector):
    """The counters of one run as Prometheus' metrics, none with a label."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def collect(self) -> Iterator[Metric]:
        """All of them, as they are now."""
        counters = self._journal.counters
        for name, text, total in (
            ("dumped_bytes", "Bytes that mydumper has written.", counters.dumped_bytes),
            ("packed_bytes", "Bytes of the dump that are in the archive.", counters.packed_bytes),
            ("uploaded_bytes", "Bytes of the archive that the storage has taken.", counters.uploaded_bytes),
            ("parts", "Parts of the upload that the storage has taken.", counters.parts),
            ("retries", "Parts that had to be sent again.", counters.retries),
            ("held_seconds", "How long mydumper was held as the volume was full.", counters.held_seconds),
        ):
            yield CounterMetricFamily(f"tidbbackup_worker_{name}", text, total)
        for name, text, now in (
            ("estimated_bytes", "Bytes expected of the dump; 0: not known.", counters.estimated_bytes),
            ("staged_bytes", "Bytes of the dump on the staging volume now.", counters.staged_bytes),
        ):
            yield GaugeMetricFamily(f"tidbbackup_worker_{name}", text, now)


@asynccontextmanager
async def serve(journal: Journal, host: str, port: int = WORKER_PORT) -> AsyncIterator[int | None]:
    """Serves for as long as the block lasts, on this address alone; yields the port (chosen for 0).

    Where that cannot be, it says so in the log and yields None.
    """
    runner = web.AppRunner(_app(journal), access_log=None, handle_signals=False, shutdown_timeout=0)
    await runner.setup()
    listening = await _listen(runner, host, port)
    try:
        yield listening.sockets[0].getsockname()[1] if listening else None
    finally:
        if listening:
            listening.close()
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                await runner.cleanup()
        except TimeoutError:
            log.info("a client of /metrics was cut off")


def _app(journal: Journal) -> web.Application:
    registry = CollectorRegistry()
    registry.register(RunMetrics(journal))
    app = web.Application()
    app.router.add_get("/metrics", _answer(lambda: generate_latest(registry), _TEXT))
    app.router.add_get(PROGRESS_PATH, _answer(lambda: encode_report(journal.report()), "application/json"))
    return app


def _answer(make: Callable[[], bytes], kind: str) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.Response:
        answer = web.Response(body=make(), headers={"Content-Type": kind})
        # One answer for one connection: nobody can keep the event loop busy over one that stays.
        answer.force_close()
        return answer

    return handler


async def _listen(runner: web.AppRunner, host: str, port: int) -> asyncio.Server | None:
    if not host:
        log.info("no POD_IP: no /metrics and no progress of this run")
        return None
    server = runner.server
    assert server is not None
    try:
        address = str(ipaddress.ip_address(host))
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            bounded(server, _CLIENTS, _CLIENT_SECONDS), address, port, backlog=_CLIENTS
        )
    except (OSError, ValueError) as error:
        log.warning("no /metrics and no progress of this run: cannot listen on %s:%d: %s", host, port, error)
        return None
