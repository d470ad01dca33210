"""The progress task against real listeners in the place of workers; the API server is a double."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from tests.decide.builders import NOW, backup, status
from tests.decide.test_restore import its_job, one, told
from tests.reconcile.recording import Recording, refusal
from tests.reconcile.scene import caches, job_of, pod_of
from tidbbackup.kube.store import Change
from tidbbackup.model.contract.progress import MAX_BYTES, Report, encode_report
from tidbbackup.model.names import labels
from tidbbackup.model.resource.backup import Backup, Progress
from tidbbackup.model.resource.kubernetes import ContainerState, ContainerStatus, Pod, PodStatus, Running
from tidbbackup.progress import Pace, ProgressTask, has_stale_progress
from tidbbackup.reconcile.kinds import Caches

REPORT = encode_report(Report("dump", 50, 200, 10, 12))
PATCHED = "patch Backup ns/demo/status"


def worker(address: str = "127.0.0.1") -> tuple[Backup, Pod]:
    """A running Backup `demo` and its pod at that address."""
    state = ContainerState(running=Running(NOW))
    told = PodStatus("Running", podIP=address, containerStatuses=(ContainerStatus("backup", state),))
    return backup(status=status("Running")), attrs.evolve(pod_of("demo"), status=told)


def world(found: Backup, *pods: Pod) -> Caches:
    """Caches with that Backup, its Job and its pods."""
    return caches((found,), (job_of("demo"),), pods)


def http(body: bytes, status_line: str = "200 OK", headers: str = "") -> bytes:
    """One HTTP answer."""
    return f"HTTP/1.1 {status_line}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@asynccontextmanager
async def listener(answer: bytes, *, hang: bool = False) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answers every request with these bytes, then closes or (hang) waits; its port and what it was asked."""
    asked: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            asked.append((await reader.readuntil(b"\r\n")).strip())
            writer.write(answer)
            await writer.drain()
            if not hang:
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


async def settled() -> None:
    """All caches are filled."""


@asynccontextmanager
async def at_work(task: ProgressTask, synced: Awaitable[object] | None = None) -> AsyncIterator[None]:
    """The task runs for as long as the block lasts."""
    running = asyncio.create_task(task.run(synced or settled()))
    try:
        yield
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    """Wait for what has to come."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  what is waited for is a double's list
            await asyncio.sleep(0.01)


async def outcome(held: Caches, port: int, answer_within: float = 2.0) -> Recording:
    """What one round writes."""
    api = Recording()
    task = ProgressTask(api.client, held, Pace(answer_within=answer_within), port)
    async with task._session() as session:
        await task._ask_all(session)
    return api


async def test_a_report_becomes_the_progress() -> None:
    async with listener(http(REPORT)) as (port, asked):
        api = await outcome(world(*worker()), port)
    assert asked == [b"GET /progress HTTP/1.1"]
    assert api.asked == [PATCHED]
    assert api.bodies[0]["status"]["progress"]["text"] == "dump 12%"


async def test_a_restore_is_asked_too() -> None:
    _, its_pod = worker()
    made = its_job(labels=labels("restore", "demo"), uid="restore-uid")
    pods = (attrs.evolve(pod_of("demo", "restore"), status=its_pod.status),)
    held = caches(jobs=(made,), pods=pods, restores=(one(told("Scheduled", "Running")),))
    loads = encode_report(Report("load", percent=40, loadedBytes=5000, loadedRows=7))
    async with listener(http(loads)) as (port, _):
        api = await outcome(held, port)
    assert api.asked == ["patch Restore ns/demo/status"]
    assert api.bodies[0]["status"]["progress"]["text"] == "load 40%"


async def test_the_same_again_is_not_written() -> None:
    found, pod = worker()
    told = Progress("dump 12%", "dump", 50, 200, 10, 12)
    found = attrs.evolve(found, status=attrs.evolve(found.status, progress=told))
    async with listener(http(REPORT)) as (port, asked):
        api = await outcome(world(found, pod), port)
    assert (len(asked), api.asked) == (1, [])


@pytest.mark.parametrize(
    "answer",
    [
        http(b"gone", "404 Not Found"),
        http(b"<html>"),
        http(b'{"step": "dump", "dumpedBytes": -5}'),
        http(b" " * MAX_BYTES + REPORT),
        http(REPORT, headers=f"X: {'x' * 5000}\r\n"),
        http(REPORT)[:20],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
async def test_nonsense_is_no_progress(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "tidbbackup.progress"):
        async with listener(answer) as (port, asked):
            api = await outcome(world(*worker()), port)
    assert asked
    assert api.asked == []
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert "no progress of Backup ns/demo from 127.0.0.1" in caplog.text


async def test_a_redirect_leads_nowhere() -> None:
    async with listener(http(REPORT)) as (elsewhere, lured):
        there = f"Location: http://127.0.0.1:{elsewhere}/progress\r\n"
        async with listener(http(b"", "302 Found", there)) as (port, asked):
            api = await outcome(world(*worker()), port)
    assert (len(asked), lured, api.asked) == (1, [], [])


async def test_an_endless_answer_is_read_no_further_than_it_may_be_long() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (8 << 20)
    async with listener(endless, hang=True) as (port, _):
        began = time.monotonic()
        api = await outcome(world(*worker()), port, answer_within=30)
    assert api.asked == []
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("answer", [b"", http(REPORT)[:-5]])
async def test_one_that_hangs_is_left_alone_in_time(answer: bytes) -> None:
    async with listener(answer, hang=True) as (port, _):
        api = await outcome(world(*worker()), port, answer_within=0.2)
    assert api.asked == []


@pytest.mark.parametrize("address", ["", "worker.example", "127.0.0.1/x?", "::1"])
async def test_only_an_address_is_asked(address: str) -> None:
    async with listener(http(REPORT)) as (port, asked):
        api = await outcome(world(*worker(address)), port, answer_within=1)
    assert (asked, api.asked) == ([], [])


async def test_an_api_server_that_refuses_costs_the_progress_and_nothing_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = Recording(patch_Backup=refusal(409))
    async with listener(http(REPORT)) as (port, asked):
        task = ProgressTask(api.client, world(*worker()), Pace(interval=0.05), port)
        async with at_work(task):
            await until(lambda: len(asked) > 2)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_nobody_is_asked_before_the_caches_are_filled() -> None:
    filled = asyncio.Event()
    async with listener(http(REPORT)) as (port, asked):
        task = ProgressTask(Recording().client, world(*worker()), Pace(), port)
        async with at_work(task, filled.wait()):
            for _ in range(20):
                await asyncio.sleep(0)
            assert asked == []
            filled.set()
            await until(lambda: asked)


@pytest.mark.looptime
async def test_what_is_over_loses_its_progress_at_once() -> None:
    done = backup(status=attrs.evolve(status("Complete"), progress=Progress("upload 97%")))
    api = Recording()
    task = ProgressTask(api.client, caches((done,)), Pace(interval=60))
    async with at_work(task):
        await asyncio.sleep(0.05)
        assert api.asked == []
        task.take_away(done.key)
        await until(lambda: api.asked)
        await asyncio.sleep(0.05)
    assert api.asked == [PATCHED]
    assert api.bodies == [{"status": {"progress": None}}]


@pytest.mark.looptime
async def test_that_is_tried_again_until_it_is_done() -> None:
    done = backup(status=attrs.evolve(status("Complete"), progress=Progress("upload 97%")))
    api = Recording(patch_Backup=refusal(500))
    task = ProgressTask(api.client, caches((done,)), Pace())
    async with at_work(task):
        task.take_away(done.key)
        await asyncio.sleep(25)
        assert len(api.asked) == 3
        api.answers.clear()
        tried = len(api.asked)
        await asyncio.sleep(60)
    assert len(api.asked) == tried + 1


@pytest.mark.looptime
async def test_a_bug_stops_neither_it_nor_anything_else(caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = None
    async with at_work(ProgressTask(Recording().client, broken)):
        await asyncio.sleep(25)
        assert caplog.text.count("a bug in the progress task") == 3


@pytest.mark.parametrize(
    ("phase", "routed"), [("Complete", True), ("Scheduled", True), ("Running", False), ("Failed", False)]
)
def test_the_route(phase: str, routed: bool) -> None:
    found = backup(status=attrs.evolve(status(phase), progress=Progress("upload 97%")))

    assert list(has_stale_progress(Change(found.key, None, found))) == ([found.key] if routed else [])
    assert list(has_stale_progress(Change(found.key, found, None))) == []
