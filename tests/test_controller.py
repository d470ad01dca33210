"""What runs in the controller: nothing of it ends unnoticed, and a stop ends all of it."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from typing import Any, cast

import pytest
from attrs import define, field

from tests.decide.builders import backup
from tidbbackup import cli
from tidbbackup.controller import GARBAGE_AFTER, SHARES, Parts, _run_parts, assemble, line
from tidbbackup.kube.client import Client
from tidbbackup.kube.connection import Connection, Credentials
from tidbbackup.kube.fence import Fence
from tidbbackup.kube.queue import WorkQueue
from tidbbackup.kube.reflector import Health
from tidbbackup.kube.resources import JOBS, PODS, Resource
from tidbbackup.kube.runner import Runner
from tidbbackup.kube.tasks import TaskEnded
from tidbbackup.kube.updates import Relisted
from tidbbackup.model.meta import ObjectKey
from tidbbackup.observability import Metrics
from tidbbackup.settings import Settings

pytestmark = pytest.mark.looptime

KEY = ObjectKey("Backup", "ns", "demo")
ENDS = ["returned", "raised", "cancelled"]


@define
class Part:
    """A reflector or the progress task, until it is told to end."""

    resource: Resource = JOBS
    end: asyncio.Future[None] = field(factory=lambda: asyncio.get_running_loop().create_future())
    ran: bool = False
    syncs: bool = True
    sent: int = 0

    async def run(self, synced: Awaitable[object] | None = None) -> None:
        """Works on."""
        if synced is not None:
            await synced
        self.ran = True
        await self.end

    async def wait_synced(self) -> None:
        """At once, or never."""
        if not self.syncs:
            await asyncio.Event().wait()

    async def resend(self) -> None:
        """Notes it."""
        self.sent += 1

    def health(self) -> Health:
        """Well."""
        return Health(self.resource, synced=True, age_seconds=0.0)


@define
class Bench:
    """The parts at work."""

    parts: Parts
    following: tuple[Part, ...]
    stop: asyncio.Event
    running: asyncio.Task[None]
    reconciles: asyncio.Event


async def bench(*, syncs: bool = True, leads: bool = True) -> Bench:
    """All of it, started; a reconcile of KEY goes on for an hour, in another a cancellation strays."""
    at_work = asyncio.Event()

    async def reconcile(key: ObjectKey) -> None:
        if key != KEY:
            raise asyncio.CancelledError
        at_work.set()
        await asyncio.sleep(3600)

    queue: WorkQueue[ObjectKey] = WorkQueue("keys")
    runner = Runner("keys", queue, reconcile, timeout=7200)
    following = Part(JOBS, syncs=syncs), Part(PODS), Part(), Part()
    *reflectors, progress, election = cast(Any, following)
    fence = Fence()
    if leads:
        fence.extend()
    parts = Parts(queue, tuple(reflectors), runner, progress, fence, election)
    stop = asyncio.Event()
    running = asyncio.create_task(_run_parts(parts, Settings(), stop))
    await asyncio.sleep(1)
    return Bench(parts, following, stop, running, at_work)


def task(name: str) -> asyncio.Task[Any]:
    """The one of that name."""
    (found,) = (each for each in asyncio.all_tasks() if each.get_name() == name)
    return found


async def ends(found: Bench, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """All of it has ended, and the log and the error name the task."""
    with pytest.raises(TaskEnded, match=f"task {name} has ended unexpectedly: it "):
        async with asyncio.timeout(1):
            await found.running
    assert f"task {name} has ended unexpectedly" in caplog.text
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "reflector of jobs.batch"), (1, "reflector of pods"), (2, "progress"), (3, "lease")],
)
async def test_a_part_that_ends_ends_the_process(
    number: int, name: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = await bench()
    assert all(part.ran for part in found.following)
    if how == "returned":
        found.following[number].end.set_result(None)
    elif how == "raised":
        found.following[number].end.set_exception(KeyError("a bug"))
    else:
        task(name).cancel()
    await ends(found, name, caplog)
    assert how in caplog.text


@pytest.mark.parametrize("name", ["keys-0", "keys-3", "reconcilers", "stop"])
async def test_a_task_that_somebody_cancels_ends_the_process(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = await bench()
    found.parts.queue.add(KEY)
    task(name).cancel()
    await ends(found, name, caplog)


async def test_a_reconcile_in_which_a_cancellation_strays_ends_the_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = await bench()
    found.parts.queue.add(ObjectKey("Backup", "ns", "other"))
    await ends(found, "keys-0", caplog)


@pytest.mark.parametrize("syncs", [True, False])
@pytest.mark.parametrize("busy", [True, False])
async def test_a_stop_ends_all_of_it_and_is_no_error(
    *, syncs: bool, busy: bool, caplog: pytest.LogCaptureFixture
) -> None:
    found = await bench(syncs=syncs)
    if busy:
        found.parts.queue.add(KEY)
        await asyncio.sleep(1)
    assert found.reconciles.is_set() == (busy and syncs)
    began = asyncio.get_running_loop().time()
    found.stop.set()
    await found.running

    assert asyncio.get_running_loop().time() - began == (8 if busy and syncs else 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_one_that_stands_by_works_on_nothing_until_it_leads() -> None:
    found = await bench(leads=False)
    *reflectors, progress, election = found.following
    found.parts.queue.add(KEY)
    await asyncio.sleep(3600)
    assert [part.ran for part in (*reflectors, progress, election)] == [True, True, False, True]
    assert not found.reconciles.is_set()

    found.parts.fence.extend()
    await asyncio.sleep(1)
    assert progress.ran
    assert found.reconciles.is_set()
    assert [part.sent for part in reflectors] == [1, 1], "it had thrown their keys away"
    found.stop.set()
    await found.running


async def test_a_stop_while_it_stands_by_ends_all_of_it() -> None:
    found = await bench(leads=False)
    found.stop.set()
    await found.running
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("leads", [True, False])
async def test_only_the_leader_keeps_keys_and_shows_metrics_of_objects(*, leads: bool) -> None:
    connection = Connection("http://127.0.0.1:9", None, Credentials(cast(Any, None), ""))
    metrics, fence = Metrics(), Fence()
    parts = assemble(Client(connection), Settings(), metrics, fence, cast(Any, None if leads else Part()))
    backups = parts.reflectors[0]
    await backups._take_in(Relisted((backup(),), "1"))
    for other in parts.reflectors[1:]:
        await other._take_in(Relisted((), "1"))

    text = (await metrics.text()).decode()
    assert f'leader_election_master_status{{name="tidbbackup-controller"}} {leads:d}' in text
    assert ("tidbbackup_backups{" in text) == leads
    assert parts.queue.stats().depth == leads
    fence.extend()
    await backups.resend()
    assert parts.queue.stats().depth == 1


def test_the_process_ends_with_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ended(settings: Settings) -> None:
        raise TaskEnded("task progress has ended unexpectedly: it returned")

    monkeypatch.setattr("tidbbackup.controller.run", ended)
    # The handlers of a process are those of pytest here.
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert cli.main(["controller"]) == 1
    assert "task progress has ended unexpectedly" in capsys.readouterr().err


_ASKED_WHILE_IT_CONNECTS = """
import asyncio, os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
from tidbbackup import cli, controller
from tidbbackup.kube.connection import Connection, Credentials

async def asked(*_):
    os.kill(os.getpid(), signal.Signals[sys.argv[2]])
    await asyncio.sleep(0.5)
    print("went on", flush=True)
    os._exit(7)

async def connected(*_):
    return Connection("http://127.0.0.1:9", None, Credentials(None, ""))

controller.load_connection = connected
setattr(controller, sys.argv[1], asked)
sys.exit(cli.main(["controller", "--metrics-port", "0"]))
"""


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
@pytest.mark.parametrize("step", ["load_connection", "check_crds"])
def test_asked_to_end_while_it_connects_it_does_so(step: str, number: str, code: int) -> None:
    """A login plugin may take half a minute, and so may the API server's answer."""
    ended = subprocess.run(
        [sys.executable, "-c", _ASKED_WHILE_IT_CONNECTS, step, number],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, b"", b"")


@pytest.fixture
def without_garbage_collection() -> Iterator[None]:
    """As the controller starts."""
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("without_garbage_collection")
@pytest.mark.parametrize("syncs", [True, False])
async def test_garbage_is_looked_for_once_the_caches_are_filled_and_not_among_what_they_hold(
    syncs: bool,
) -> None:
    held = gc.get_freeze_count()
    found = await bench(syncs=syncs, leads=False)
    assert gc.isenabled() is syncs
    assert (gc.get_freeze_count() > held) is syncs
    await asyncio.sleep(GARBAGE_AFTER)
    assert gc.isenabled()
    found.stop.set()
    await found.running


async def test_a_namespace_whose_webhook_takes_30_seconds_delays_no_other_by_5() -> None:
    workers = Settings().workers
    queue: WorkQueue[ObjectKey] = WorkQueue("test", line=line, share=workers // SHARES)
    made: dict[str, float] = {}

    async def create_job(key: ObjectKey) -> None:
        await asyncio.sleep(30 if key.namespace == "slow" else 0.1)
        made[key.namespace] = asyncio.get_running_loop().time()

    async def ready() -> None:
        return None

    runner = Runner("test", queue, create_job, workers=workers)
    running = asyncio.create_task(runner.run(ready()))
    for number in range(200):
        queue.add(ObjectKey("Backup", "slow", f"b{number}"))
    await asyncio.sleep(7)
    queue.add(ObjectKey("Backup", "other", "b"))
    await asyncio.sleep(40)
    assert made["other"] - 7 < 5
    assert await runner.stop(within=60)
    await running


@pytest.mark.parametrize(("waiting_in", "slower"), [("other", 1.01), ("due", 2.01)])
async def test_schedules_that_are_due_do_not_stand_behind_4000_backups_that_wait(
    waiting_in: str, slower: float
) -> None:
    workers, seconds, schedules = Settings().workers, 0.02, 1000
    share = workers // SHARES
    queue: WorkQueue[ObjectKey] = WorkQueue("test", line=line, share=share)
    made: list[float] = []

    async def reconcile(key: ObjectKey) -> None:
        await asyncio.sleep(seconds)
        if key.kind == "BackupSchedule":
            made.append(asyncio.get_running_loop().time())

    async def ready() -> None:
        return None

    for number in range(4000):
        queue.add(ObjectKey("Backup", waiting_in, f"b{number}"))
    for number in range(schedules):
        queue.add(ObjectKey("BackupSchedule", "due", f"s{number}"))
    runner = Runner("test", queue, reconcile, workers=workers)
    running = asyncio.create_task(runner.run(ready()))
    await asyncio.sleep(30)
    assert len(made) == schedules
    assert made[-1] <= slower * schedules * seconds / share
    assert await runner.stop(within=60)
    await running
