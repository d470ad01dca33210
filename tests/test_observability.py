"""Metrics, health and readiness, as Prometheus and the kubelet see them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from tidbbackup import observability
from tidbbackup.kube.queue import WorkQueue
from tidbbackup.kube.reflector import Health
from tidbbackup.kube.resources import JOBS, PODS
from tidbbackup.observability import CannotListen, Metrics, not_ready, serve


def _samples(text: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


async def _get(port: int, path: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text(), answer.headers["Content-Type"]


async def test_what_prometheus_reads() -> None:
    metrics = Metrics()
    metrics.request("200", "GET")
    metrics.reconciled("backup", "success", 0.5)
    metrics.reflector(JOBS).listed()
    metrics.reflector(JOBS).watched()
    metrics.reflector(JOBS).restarted("expired")
    queue: WorkQueue[str] = WorkQueue("backup", metrics=metrics.queue("backup"), jitter=lambda: 0.0)
    metrics.watch_queue(queue)
    metrics.watch_reflector(partial(Health, JOBS, synced=True, age_seconds=3.0))
    metrics.gauges(lambda: [GaugeMetricFamily("tidbbackup_backups", "Backups.", value=4)])
    queue.add("a")
    queue.retry("b")
    await queue.take()
    queue.done("a")
    async with serve(metrics, tuple, host="127.0.0.1", port=0) as port:
        code, text, kind = await _get(port, "/metrics")
    assert (code, kind.split(";")[0]) == (200, "text/plain")
    expected = {
        ("rest_client_requests_total", "code=200", "method=GET"): 1,
        ("controller_runtime_reconcile_total", "controller=backup", "result=success"): 1,
        ("controller_runtime_reconcile_time_seconds_sum", "controller=backup"): 0.5,
        ("reflector_lists_total", "resource=jobs.batch"): 1,
        ("reflector_watches_total", "resource=jobs.batch"): 1,
        ("reflector_restarts_total", "reason=expired", "resource=jobs.batch"): 1,
        ("reflector_last_event_age_seconds", "resource=jobs.batch"): 3,
        ("workqueue_adds_total", "name=backup"): 2,
        ("workqueue_retries_total", "name=backup"): 1,
        ("workqueue_queue_duration_seconds_count", "name=backup"): 1,
        ("workqueue_work_duration_seconds_count", "name=backup"): 1,
        ("workqueue_unfinished_work_seconds", "name=backup"): 0,
        ("workqueue_longest_running_processor_seconds", "name=backup"): 0,
        ("tidbbackup_backups",): 4,
    }
    found = _samples(text)
    assert {name: found.get(name) for name in expected} == expected
    assert ("workqueue_depth", "name=backup") in found
    assert ("process_resident_memory_bytes",) in found


@pytest.mark.parametrize(("lines", "code", "text"), [((), 200, "ok\n"), (("a", "b"), 503, "a\nb\n")])
async def test_ready_or_what_is_not(lines: Sequence[str], code: int, text: str) -> None:
    async with serve(Metrics(), lambda: lines, host="127.0.0.1", port=0) as port:
        assert (await _get(port, "/readyz"))[:2] == (code, text)
        assert (await _get(port, "/healthz"))[:2] == (200, "ok\n")
        assert (await _get(port, "/else"))[0] == 404


def test_who_is_not_ready() -> None:
    reflectors = [
        Health(JOBS, synced=True, age_seconds=100),
        Health(PODS, synced=False, age_seconds=float("inf")),
        Health(JOBS, synced=True, age_seconds=200),
    ]
    assert not_ready(reflectors) == (
        "pods: not listed yet",
        "jobs.batch: the API server is silent since 200 s",
    )


async def test_a_taken_port_names_the_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            CannotListen, match=f"127.0.0.1:{port} is taken by another program: .* --metrics-port"
        ):
            async with serve(Metrics(), tuple, host="127.0.0.1", port=port):
                raise AssertionError("it cannot listen")
    with pytest.raises(CannotListen, match=r"cannot listen on 192.0.2.1:0 \(--metrics-port\)"):
        async with serve(Metrics(), tuple, host="192.0.2.1", port=0):
            raise AssertionError("it cannot listen")


def test_of_chosen_namespaces_the_one_that_is_not_ready_is_named() -> None:
    reflectors = [
        Health(JOBS, synced=True, age_seconds=100, namespace="a"),
        Health(JOBS, synced=False, age_seconds=float("inf"), namespace="b"),
    ]
    assert not_ready(reflectors) == ("jobs.batch in b: not listed yet",)


async def test_the_age_of_chosen_namespaces_is_that_of_the_worst() -> None:
    metrics = Metrics()
    for namespace, age in (("a", 5.0), ("b", 90.0), ("c", 7.0)):
        metrics.watch_reflector(partial(Health, JOBS, synced=True, age_seconds=age, namespace=namespace))
    lines = [
        line for line in (await metrics.text()).decode().splitlines() if line.startswith("reflector_last")
    ]
    assert lines == ['reflector_last_event_age_seconds{resource="jobs.batch"} 90.0']


class Rendered:
    """A source of gauges: how often it was asked, and where it was iterated over; held up until `go`."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.asked: list[int] = []
        self.iterated: list[int] = []
        self.size = 1
        self.bug = False

    def __call__(self) -> Iterator[GaugeMetricFamily]:
        """See Metrics.gauges."""
        self.asked.append(threading.get_ident())
        return self._gauges()

    def _gauges(self) -> Iterator[GaugeMetricFamily]:
        self.iterated.append(threading.get_ident())
        self.begun.set()
        assert self.go.wait(60)
        if self.bug:
            raise KeyError("a bug")
        yield GaugeMetricFamily("tidbbackup_backups", "x" * self.size, value=4)


@asynccontextmanager
async def rendering(lines: Sequence[str] = ()) -> AsyncIterator[tuple[Rendered, int]]:
    """A server with such a source; its port."""
    metrics, source = Metrics(), Rendered()
    metrics.gauges(source)
    try:
        async with serve(metrics, lambda: lines, host="127.0.0.1", port=0) as port:
            yield source, port
    finally:
        source.go.set()


async def test_health_is_answered_while_a_hundred_wait_for_one_rendering(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observability, "SHARED_SECONDS", 600.0)
    monkeypatch.setattr(observability, "CLIENT_SECONDS", 600.0)
    async with rendering() as (source, port):
        scrapes = [asyncio.create_task(_get(port, "/metrics")) for _ in range(100)]
        assert await asyncio.to_thread(source.begun.wait, 60)
        for _ in range(3):
            assert (await _get(port, "/healthz"))[0] == 200
            assert (await _get(port, "/readyz"))[0] == 200
        assert not any(scrape.done() for scrape in scrapes)
        source.go.set()
        answers = await asyncio.gather(*scrapes)

    assert {(code, "tidbbackup_backups 4.0" in text) for code, text, _ in answers} == {(200, True)}
    assert source.asked == [threading.get_ident()]
    assert len(source.iterated) == 1
    assert source.iterated != source.asked, "rendered in the event loop"


async def test_after_a_while_it_is_rendered_anew_also_after_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observability, "SHARED_SECONDS", 0.0)
    async with rendering() as (source, port):
        source.go.set()
        source.bug = True
        assert (await _get(port, "/metrics"))[0] == 500
        source.bug = False
        assert (await _get(port, "/metrics"))[0] == 200
        assert (await _get(port, "/metrics"))[0] == 200
    assert len(source.asked) == 3


async def test_those_who_stay_shut_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observability, "CLIENT_SECONDS", 600.0)
    async with serve(Metrics(), tuple, host="127.0.0.1", port=0) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * observability.CLIENTS)]
        ends = [asyncio.create_task(reader.read()) for reader, _ in idle]
        assert (await _get(port, "/healthz"))[0] == 200
        assert (await _get(port, "/metrics"))[0] == 200
        async with asyncio.timeout(60):
            while sum(end.done() for end in ends) < 2 * observability.CLIENTS - 32:
                await asyncio.wait([end for end in ends if not end.done()], return_when="FIRST_COMPLETED")
        # The oldest went.
        assert not any(end.done() for end in ends[-observability.CLIENTS // 2 :])
    for _, writer in idle:
        writer.transport.abort()
    await asyncio.gather(*ends, return_exceptions=True)


async def test_a_slow_client_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observability, "CLIENT_SECONDS", 0.2)
    async with serve(Metrics(), tuple, host="127.0.0.1", port=0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HT")
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.transport.abort()


async def test_who_goes_away_amid_an_answer_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with rendering() as (source, port):
        source.size = 64 * 1024 * 1024
        source.go.set()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        # Most of it is yet to be sent.
        writer.transport.abort()
    assert [each.getMessage() for each in caplog.records] == []
