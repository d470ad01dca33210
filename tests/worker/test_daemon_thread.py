"""Blocking calls beside the loop."""

import asyncio
import threading

import pytest

from tidbbackup.worker.daemon_thread import aside


def divide(a: int, *, by: int) -> float:
    return a / by


async def test_result_and_error_come_back() -> None:
    assert await aside(divide, 6, by=3) == 2
    with pytest.raises(ZeroDivisionError):
        await aside(divide, 6, by=0)


async def test_a_cancelled_caller_does_not_wait() -> None:
    release, ended = threading.Event(), threading.Event()

    def hang() -> None:
        release.wait()
        ended.set()

    task = asyncio.create_task(aside(hang))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not ended.is_set()
    release.set()
    await asyncio.to_thread(ended.wait)


def test_a_loop_that_is_gone_is_no_error() -> None:
    release = threading.Event()
    threads = threading.active_count()

    async def leave() -> None:
        task = asyncio.create_task(aside(release.wait))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    (left,) = [thread for thread in threading.enumerate() if thread.name == "wait"]
    release.set()
    left.join()
    assert threading.active_count() <= threads
