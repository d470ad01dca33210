"""One container: its image, its configuration, its process, its end. Knows no other container."""

import asyncio
import shutil
import signal
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from attrs import define, frozen

from tests.cluster.api import JSON
from tests.cluster.processes import Child, Processes

from .downward import PodFacts
from .environment import ConfigError, Mounts, command_line, references, resolve_environment
from .events import Occurrence, Recorder
from .images import Images, pull_delay
from .sessions import kill_container, processes_of, send
from .sources import PodSources
from .status import Running, State, Terminated, Waiting
from .termination import termination_message
from .volumes import mounts

TERMINATION_PATH = "/dev/termination-log"

_CONFIG_RETRY_SECONDS = 1.0
_START_FAILED = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: "
)


@frozen(eq=False)
class Surroundings:
    """What the containers of one pod share. `folder` has their own files, `logs` what they print."""

    processes: Processes
    images: Images
    recorder: Recorder
    sources: PodSources
    facts: PodFacts
    volumes: Mapping[str, Path]
    folder: Path
    logs: Path
    search_path: str
    changed: Callable[[], None]


@frozen
class Launch:
    """A process that is ready to be started."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path


@define(eq=False)
class Container:
    """A container of a pod, run at most once. `state` is what the pod's status says of it."""

    spec: JSON
    around: Surroundings
    state: State
    init: bool = False
    starting: bool = False
    oom_killed: bool = False
    _child: Child | None = None

    @property
    def name(self) -> str:
        """The name of the container in its pod."""
        return str(self.spec["name"])

    @property
    def alive(self) -> bool:
        """Whether there is, or is about to be, a process."""
        return self.starting or isinstance(self.state, Running)

    @property
    def log(self) -> Path:
        """The file with what the container has printed."""
        return self.around.logs / f"{self.name}.log"

    @property
    def _folder(self) -> Path:
        return self.around.folder / self.name

    @property
    def _termination_log(self) -> Path:
        return self._folder / "termination-log"

    def pids(self) -> list[int]:
        """The living processes, the main one first."""
        return processes_of(self._child.pid) if self._child and isinstance(self.state, Running) else []

    def signal_main(self, number: signal.Signals) -> None:
        """Signal the main process only, as a runtime signals PID 1."""
        if self._child and self._child.running:
            send(self._child.pid, number)

    def kill(self) -> None:
        """SIGKILL every process."""
        if self._child:
            kill_container(self._child.pid)

    async def live(self) -> None:
        """Wait for image and configuration, start, and return when everything in the container is dead."""
        entrypoint = await self._pull()
        launch = await self._configure(entrypoint)
        self._say("Created", f"Created container: {self.name}")
        child = await self._start(launch)
        if child is not None:
            self._say("Started", f"Started container {self.name}")
            await self._end(child)

    async def _pull(self) -> tuple[str, ...]:
        image, policy = self.spec.get("image", ""), self.spec.get("imagePullPolicy", "IfNotPresent")
        failures = 0
        while failure := self.around.images.failure(image, policy):
            failures += 1
            if failure.reason == "ErrImagePull":
                self._say("Pulling", f'Pulling image "{image}"')
                self._warn("Failed", f'Failed to pull image "{image}": {failure.message}')
            else:
                self._warn(failure.reason, failure.message)
            self._warn("Failed", f"Error: {failure.reason}")
            self._become(Waiting(failure.reason, failure.message))
            delay = pull_delay(failures)
            await asyncio.sleep(delay / 4)
            if failure.back_off_reason != failure.reason:
                self._say("BackOff", f'Back-off pulling image "{image}"')
                self._warn("Failed", f"Error: {failure.back_off_reason}")
            self._become(Waiting(failure.back_off_reason, failure.back_off_message))
            await asyncio.sleep(delay * 3 / 4)
        there = f'Container image "{image}" already present on machine'
        self._say("Pulled", there)
        return self.around.images.entrypoint(image)

    async def _configure(self, entrypoint: tuple[str, ...]) -> Launch:
        while True:
            try:
                # Asked for again at every attempt: a Secret made meanwhile is what we wait for.
                return await self._launch(entrypoint)
            except (ConfigError, OSError) as error:
                self._warn("Failed", f"Error: {error}")
                self._become(Waiting("CreateContainerConfigError", str(error)))
            await asyncio.sleep(_CONFIG_RETRY_SECONDS)

    async def _launch(self, entrypoint: tuple[str, ...]) -> Launch:
        sources = await self.around.sources.fetch(references(self.spec))
        seen_inside = resolve_environment(self.spec, self.around.facts, sources)
        mounted = mounts(self.spec, dict(self.around.volumes), seen_inside)
        root = self._make_root()
        local = Mounts({self._termination_path: self._termination_log, **mounted.paths}).local
        default = {"PATH": self.around.search_path, "HOME": str(root)}
        working = Path(local(self.spec["workingDir"])) if self.spec.get("workingDir") else root
        return Launch(
            argv=command_line(self.spec, entrypoint, seen_inside, local),
            env=default | {key: local(value) for key, value in seen_inside.items()},
            cwd=working if working.is_dir() else root,
        )

    @property
    def _termination_path(self) -> str:
        return str(self.spec.get("terminationMessagePath") or TERMINATION_PATH)

    def _make_root(self) -> Path:
        root = self._folder / "root"
        root.mkdir(parents=True, exist_ok=True)
        self.around.logs.mkdir(parents=True, exist_ok=True)
        self._termination_log.touch()
        self._termination_log.chmod(0o666)
        return root

    async def _start(self, launch: Launch) -> Child | None:
        self.starting = True
        try:
            argv = program_found(launch)
            self._child = await self.around.processes.start(
                self.name, argv, env=launch.env, cwd=launch.cwd, log=self.log, grace=0
            )
        except (OSError, ValueError) as error:
            message = f"{_START_FAILED}{error}: unknown"
            self._become(Terminated(128, "StartError", datetime.now(UTC), message))
            self._warn("Failed", f"Error: {message}")
            return None
        finally:
            self.starting = False
        self._become(Running(datetime.now(UTC), f"process://{uuid.uuid4().hex}"))
        return self._child

    async def _end(self, child: Child) -> None:
        running = self.state
        assert isinstance(running, Running)
        try:
            code = await child.process.wait()
        finally:
            # What the main process leaves behind dies with it, as a PID namespace dies with its first
            # process; and all of it dies when the node ends.
            kill_container(child.pid)
            await self.around.processes.stop(child)
        exit_code = code if code >= 0 else 128 - code
        self._become(self._terminated(running, exit_code))

    def _terminated(self, running: Running, exit_code: int) -> Terminated:
        policy = self.spec.get("terminationMessagePolicy", "File")
        message = termination_message(self._termination_log, self.log, policy=policy, exit_code=exit_code)
        reason = "OOMKilled" if self.oom_killed else "Error" if exit_code else "Completed"
        return Terminated(
            exit_code, reason, datetime.now(UTC), message, running.started, running.container_id
        )

    def _become(self, state: State) -> None:
        self.state = state
        self.around.changed()

    def _say(self, reason: str, message: str) -> None:
        self.around.recorder.record(Occurrence(reason, message, self.name, init=self.init))

    def _warn(self, reason: str, message: str) -> None:
        occurrence = Occurrence(reason, message, self.name, warning=True, init=self.init)
        self.around.recorder.record(occurrence)


def program_found(launch: Launch) -> list[str]:
    """The command with its program as a path. Raises OSError in runc's words, ValueError for a NUL."""
    if not launch.argv:
        raise ValueError("no command specified")
    name, *arguments = launch.argv
    if any("\0" in text for text in (*launch.argv, *launch.env, *launch.env.values())):
        raise ValueError(f'exec: "{name}": invalid argument')
    if "/" in name:
        path = launch.cwd / name
        if not path.exists():
            raise FileNotFoundError(f'exec: "{name}": stat {name}: no such file or directory')
        if not shutil.which(path):
            raise PermissionError(f'exec: "{name}": permission denied')
        return [str(path), *arguments]
    found = shutil.which(name, path=launch.env["PATH"])
    if found is None:
        raise FileNotFoundError(f'exec: "{name}": executable file not found in $PATH')
    return [found, *arguments]
