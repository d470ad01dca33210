"""What a run shows on its pod's address, and that nobody who looks can harm it."""

import asyncio
import logging
import re
import socket
import time

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from manifests.compose import FOLDER
from tidbbackup.model.contract.progress import Report, decode_report
from tidbbackup.worker.exporter import RunMetrics, serve
from tidbbackup.worker.failure import Journal

HOST = "127.0.0.1"
_, _, PAGE = (FOLDER.parent / "docs" / "reference" / "metrics.md").read_text().partition("## The workers'")


def journal() -> Journal:
    """Of a run that has dumped half of what it expects."""
    found = Journal(step="dump")
    found.counters.estimated_bytes = 200
    found.counters.see(dumped=100, packed=60, freed=60)
    found.counters.uploaded_bytes = 10
    found.counters.parts = 1
    found.counters.retries = 3
    return found


async def get(port: int | None, path: str) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{HOST}:{port}{path}") as answer:
        return answer.status, answer.content_type, await answer.read()


async def test_it_shows_how_far_the_run_is_now() -> None:
    run = journal()
    async with serve(run, HOST, 0) as port:
        status, kind, body = await get(port, "/progress")
        assert (status, kind) == (200, "application/json")
        assert decode_report(body) == Report("dump", 100, 200, 10, 40)
        run.step = "upload"
        run.counters.see(dumped=100, packed=100, freed=100)
        assert decode_report((await get(port, "/progress"))[2]) == Report("upload", 100, 200, 10, 99)


async def test_metrics_are_those_of_the_counters_and_have_no_label() -> None:
    async with serve(journal(), HOST, 0) as port:
        status, kind, body = await get(port, "/metrics")
    assert (status, kind) == (200, "text/plain")
    samples = [s for family in text_string_to_metric_families(body.decode()) for s in family.samples]
    assert all(not sample.labels for sample in samples)
    assert {sample.name.removeprefix("tidbbackup_worker_"): sample.value for sample in samples} == {
        "dumped_bytes_total": 100,
        "packed_bytes_total": 60,
        "uploaded_bytes_total": 10,
        "parts_total": 1,
        "retries_total": 3,
        "held_seconds_total": 0,
        "estimated_bytes": 200,
        "staged_bytes": 40,
    }


def test_every_metric_is_documented_and_none_that_is_not_there() -> None:
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in RunMetrics(Journal()).collect()
    }
    assert dict(re.findall(r"^\| `([a-z_]+)` \| ([a-z]+) \|", PAGE, re.MULTILINE)) == exported


async def test_other_ways_lead_nowhere() -> None:
    async with serve(journal(), HOST, 0) as port:
        assert (await get(port, "/"))[0] == 404
        url = f"http://{HOST}:{port}/progress"
        async with aiohttp.ClientSession() as session, session.post(url, data=b"x" * 100_000) as answer:
            assert answer.status == 405


@pytest.mark.parametrize("host", ["", "192.0.2.1", "no address", "0.0.0.0.0"])
async def test_without_an_address_of_its_own_the_run_goes_on(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        async with serve(journal(), host) as port:
            assert port is None
    assert "no /metrics and no progress of this run" in caplog.text
    assert host in caplog.text


async def test_a_port_that_is_taken_costs_the_metrics_and_nothing_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server((HOST, 0)) as other:
        taken = other.getsockname()[1]
        async with serve(journal(), HOST, taken) as port:
            assert port is None
    assert f"cannot listen on {HOST}:{taken}" in caplog.text


async def test_clients_that_say_nothing_are_few_and_hold_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects and waits takes a bounded number of descriptors, and the run ends without him."""
    monkeypatch.setattr("tidbbackup.worker.exporter._CLIENT_SECONDS", 60.0)
    async with serve(journal(), HOST, 0) as port:
        idle = [await asyncio.open_connection(HOST, port) for _ in range(60)]
        ends = [asyncio.create_task(reader.read()) for reader, _ in idle]
        async with asyncio.timeout(20):
            # Those above the limit, and no more than could be taken in before it was seen, are sent away.
            while sum(end.done() for end in ends) < 28:
                await asyncio.wait([end for end in ends if not end.done()], return_when="FIRST_COMPLETED")
        began = time.monotonic()
    assert time.monotonic() - began < 10, "one of them had a minute"
    for _, writer in idle:
        writer.transport.abort()
    await asyncio.gather(*ends, return_exceptions=True)


async def test_a_slow_client_is_cut_off_and_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidbbackup.worker.exporter._CLIENT_SECONDS", 0.2)
    async with serve(journal(), HOST, 0) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /metrics HT")
        assert (await get(port, "/progress"))[0] == 200
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.transport.abort()
