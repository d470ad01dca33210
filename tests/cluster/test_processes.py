"""Processes that are gone when the run is gone, however it ends."""

import asyncio
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.processes import NotReady, ProcessDied, processes, tail, wait_ready
from tests.cluster.reaper import is_alive

pytestmark = pytest.mark.integration


async def _never() -> bool:
    return False


async def _eventually(what: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def test_a_program_runs_in_its_own_session_with_only_the_environment_it_was_given() -> None:
    async with processes() as owned:
        child = await owned.start(
            "env", ["sh", "-c", "env; readlink /proc/self/fd/0"], env={"PATH": os.defpath}
        )
        assert await child.process.wait() == 0
        assert os.getsid(0) != child.pid
        lines = child.log.read_text().splitlines()
    # A shell sets PWD and _ for what it starts.
    assert {line.split("=")[0] for line in lines[:-1]} - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH"}
    assert lines[-1] == "/dev/null"


async def test_a_process_that_dies_while_starting_shows_the_end_of_its_log() -> None:
    async with processes() as owned:
        child = await owned.start("doomed", ["sh", "-c", "echo the reason >&2; exit 7"])
        with pytest.raises(ProcessDied, match=r"(?s)doomed ended with 7 .*the reason"):
            await wait_ready(child, _never)


async def test_a_process_that_does_not_become_ready_shows_the_end_of_its_log() -> None:
    async with processes() as owned:
        child = await owned.start("slow", ["sh", "-c", "echo still at it; exec sleep 60"])
        await _eventually(lambda: "still" in child.last_lines())
        with pytest.raises(NotReady, match=r"(?s)slow is not ready after 0.1 s.*still at it"):
            await wait_ready(child, _never, timeout=0.1)


async def test_a_program_that_does_not_exist_is_named() -> None:
    async with processes() as owned:
        with pytest.raises(FileNotFoundError, match="there is no program no-such-program"):
            await owned.start("ghost", ["no-such-program"])


async def test_a_clean_end_stops_the_newest_first_and_removes_the_folder() -> None:
    trap = "trap 'echo $0 >> ended; exit' TERM; echo began; while :; do sleep 0.02; done"
    async with processes() as owned:
        order = owned.folder / "ended"
        children = [await owned.start(name, ["sh", "-c", trap, name]) for name in ("first", "second")]
        for child in children:
            await _eventually(lambda child=child: "began" in child.last_lines())  # type: ignore[misc]
        await owned.stop_all()
        assert order.read_text().split() == ["second", "first"]
        folder = owned.folder
    assert not folder.exists()


async def test_a_process_that_ignores_sigterm_or_is_stopped_is_killed() -> None:
    async with processes() as owned:
        deaf = await owned.start(
            "deaf", ["sh", "-c", "trap '' TERM; echo began; while :; do sleep 1; done"], grace=0.2
        )
        await _eventually(lambda: "began" in deaf.last_lines())
        frozen = await owned.start("frozen", ["sleep", "60"])
        frozen.signal(signal.SIGSTOP)
        assert await owned.stop(deaf) == -signal.SIGKILL
        assert await owned.stop(frozen) == -signal.SIGTERM
        assert not is_alive(deaf.pid)


async def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(FileExistsError, match="is not empty"):
        async with processes(tmp_path):
            pass
    assert (tmp_path / "precious").exists()


# A shell without job control (`make test &` in a script) starts its background commands with SIGINT ignored.
# Their children inherit that, and asyncio.run leaves it so: the owner therefore sets a handler of its own.
_OWNER = textwrap.dedent("""
    import asyncio, signal, sys
    from pathlib import Path
    from tests.cluster.processes import processes

    async def main() -> None:
        async with processes(Path(sys.argv[1])) as owned:
            # The second one leaves a grandchild behind whose parent is gone: only the group still has it.
            for script in ("exec sleep 300", "sleep 300 & echo $! > grandchild; exec sleep 300"):
                child = await owned.start("child", ["sh", "-c", script])
                print(child.pid, flush=True)
            await asyncio.sleep(300)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    asyncio.run(main())
""")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
async def test_when_the_owner_is_killed_nothing_is_left(number: signal.Signals, tmp_path: Path) -> None:
    await _owner_is_killed(number, tmp_path / "run")


async def test_the_same_where_the_tests_run_in_the_background_and_ignore_sigint(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        await _owner_is_killed(signal.SIGINT, tmp_path / "run")
    finally:
        signal.signal(signal.SIGINT, before)


async def test_nothing_is_left_when_the_start_of_the_reaper_is_cancelled(tmp_path: Path) -> None:
    async def use() -> None:
        async with processes(tmp_path / "run"):
            pytest.fail("it is cancelled before")

    descriptors = len(os.listdir("/proc/self/fd"))
    task = asyncio.create_task(use())
    await asyncio.sleep(0)
    assert (tmp_path / "run").exists()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (tmp_path / "run").exists()
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def _owner_is_killed(number: signal.Signals, folder: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _OWNER, folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    assert owner.stdout
    groups = [int(await owner.stdout.readline()) for _ in range(2)]
    await _eventually((folder / "grandchild").exists)
    assert all(is_alive(group) for group in groups)
    owner.send_signal(number)
    try:
        await asyncio.wait_for(owner.wait(), 30)
    except TimeoutError:
        owner.kill()
        raise
    await _eventually(lambda: not any(is_alive(group) for group in groups) and not folder.exists())


def test_the_tail_of_a_log_says_when_there_is_none(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert "No such file" in tail(log)
    log.touch()
    assert "is empty" in tail(log)
    log.write_text("1\n2\n3\n")
    assert tail(log, 2) == "2\n3"
