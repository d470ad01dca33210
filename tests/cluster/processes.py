"""Child processes of a test run: each in a session of its own, logged, and gone when the run is gone.

A clean end stops them in reverse order. Any other end of this process (SIGKILL, a crash) is the reaper's
business, see reaper.py: it kills what is left and removes the run folder. Knows no particular program.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from attrs import define, frozen

# The child tells the reaper its group before it becomes the program, so there is no moment at which
# it runs unknown. Its standard input is the pipe to the reaper until then. `setpriv` asks the kernel
# for SIGKILL when we die, which is quicker than the reaper but lost on a change of user.
_LAUNCH = 'echo "+$$ $0" >&0; unset PWD OLDPWD; exec "$@" </dev/null'

_READY_POLL_SECONDS = 0.05


class ProcessDied(RuntimeError):
    """A process ended while it was needed; the message has the end of its log."""


class NotReady(RuntimeError):
    """A process is up but did not become ready in time; the message has the end of its log."""


@frozen(eq=False)
class Child:
    """A running program: its name, its process (the group has the same number) and its log file.

    `grace` is how many seconds it gets between SIGTERM and SIGKILL.
    """

    name: str
    process: asyncio.subprocess.Process
    log: Path
    grace: float = 5.0

    @property
    def pid(self) -> int:
        """The process id, which is the process group's and the session's too."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """False once the process has ended."""
        return self.process.returncode is None

    @property
    def arguments(self) -> bytes:
        """The command line that every user of the machine can read, as long as it runs."""
        return Path(f"/proc/{self.pid}/cmdline").read_bytes()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; does nothing when no process of it is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def last_lines(self, count: int = 20) -> str:
        """The end of the log, for error messages."""
        return tail(self.log, count)


@define(eq=False)
class Processes:
    """The processes of one run and the folder they work in."""

    folder: Path
    _to_reaper: int
    _children: list[Child]

    @property
    def children(self) -> tuple[Child, ...]:
        """What was started and not stopped, the oldest first; some may have ended by themselves."""
        return tuple(self._children)

    def own_folder(self, name: str) -> Path:
        """A new empty folder in the run folder, for us alone; no two are the same, whatever their names."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    async def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log: Path | None = None,
        grace: float = 5.0,
    ) -> Child:
        """Start a program in a session of its own; its output goes to `log` (default: `<folder>/<name>.log`).

        `env` is the whole environment (default: PATH and a HOME inside the run folder, nothing else).
        Raises FileNotFoundError when the program does not exist.
        """
        program = shutil.which(str(argv[0]), path=(env or {}).get("PATH") or os.environ.get("PATH"))
        if program is None:
            raise FileNotFoundError(f"{name}: there is no program {argv[0]}")
        log = log or self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = await self._launch(name, [program, *map(str, argv[1:])], env, cwd, output)
        child = Child(name=name, process=process, log=log, grace=grace)
        self._children.append(child)
        return child

    async def _launch(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None,
        cwd: Path | None,
        output: IO[bytes],
    ) -> asyncio.subprocess.Process:
        setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
        return await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", _LAUNCH, name.replace(" ", "-"), setpriv, "--pdeathsig", "KILL", "--", *argv),
            stdin=self._to_reaper,
            stdout=output,
            stderr=output,
            env=self.environment() if env is None else dict(env),
            cwd=cwd or self.folder,
            start_new_session=True,
        )

    def environment(self) -> dict[str, str]:
        """PATH and a HOME inside the run folder: no setting of the user's reaches a server."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder)}

    async def stop(self, child: Child) -> int:
        """SIGTERM, after the child's grace SIGKILL to the group; the exit code as Python counts it."""
        if child.running:
            child.signal(signal.SIGTERM)
            child.signal(signal.SIGCONT)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.process.wait(), child.grace)
        child.signal(signal.SIGKILL)
        code = await child.process.wait()
        self._forget(child)
        return code

    def _forget(self, child: Child) -> None:
        # Only after the group is dead: until then a crash of ours leaves it to the reaper.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._to_reaper, f"-{child.pid}\n".encode())
        with contextlib.suppress(ValueError):
            self._children.remove(child)

    async def stop_all(self) -> None:
        """Stop everything, the newest first."""
        while self._children:
            await self.stop(self._children[-1])


@asynccontextmanager
async def processes(folder: Path | None = None) -> AsyncIterator[Processes]:
    """An empty set of processes with a run folder, both gone at the end whatever happens.

    `folder` must not exist or be empty (default: a new one under the system's temporary folder); it is
    created and **removed**. Raises FileExistsError when there is something in it.
    """
    folder = _new_folder(folder)
    read_end, write_end = os.pipe()
    try:
        reaper = await _start_reaper(folder, read_end)
    except BaseException:
        # Cancelled by SIGINT, for one: asyncio has killed the reaper, so nobody else removes the folder.
        os.close(write_end)
        shutil.rmtree(folder)
        raise
    finally:
        os.close(read_end)
    owned = Processes(folder, write_end, [])
    try:
        yield owned
    finally:
        try:
            await owned.stop_all()
        finally:
            # End of input: the reaper removes the folder, after killing what is left, if anything is.
            os.close(write_end)
            await reaper.wait()


async def _start_reaper(folder: Path, pipe: int) -> asyncio.subprocess.Process:
    program = Path(__file__).with_name("reaper.py")
    return await asyncio.create_subprocess_exec(
        # A session of its own, or Ctrl-C in a terminal would kill the reaper with us.
        *(sys.executable, "-I", "-S", str(program), str(folder)),
        stdin=pipe,
        start_new_session=True,
        cwd="/",
    )


def _new_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="tidbbackup-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: a run folder is removed at the end, name a new one")
    return folder.resolve()


async def wait_ready(child: Child, ready: Callable[[], Awaitable[bool]], timeout: float = 60.0) -> None:
    """Ask `ready` until it says yes.

    Raises ProcessDied when the process ends first, NotReady after `timeout` seconds; both show its log.
    """
    deadline = time.monotonic() + timeout
    while not await ready():
        if not child.running:
            code = child.process.returncode
            raise ProcessDied(f"{child.name} ended with {code} while starting:\n{child.last_lines()}")
        if time.monotonic() > deadline:
            raise NotReady(f"{child.name} is not ready after {timeout:g} s:\n{child.last_lines()}")
        await asyncio.sleep(_READY_POLL_SECONDS)


def tail(path: Path, count: int = 20) -> str:
    """The last `count` lines of a text file; says so when it is empty or missing."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"({path}: {error.strerror})"
    return "\n".join(lines[-count:]) or f"({path} is empty)"
