"""Build programs from a Go module, once per machine and version, with progress shown.

It knows a recipe, a target folder and a Go toolchain; not what the programs are for. Two checkouts never
build at once (a file lock), and a folder under its final name is always whole (built beside, then renamed).
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from attrs import Factory, define, frozen

from tests.cluster import cache, toolchain

_PROGRESS_SECONDS = 10.0


class BuildFailed(RuntimeError):
    """The build did not succeed; the message has the compiler's last lines."""


@frozen
class Recipe:
    """What is built, and from what."""

    title: str
    """For people, such as `MinIO`."""
    name: str
    """The binary's own file name."""
    module: Path
    """A folder with go.mod and go.sum, which pin everything that goes into the build."""
    source: str
    """The module whose version in go.mod is that of the whole."""
    package: str
    """What is compiled, as `go build` is told."""
    stamps: Sequence[str]
    """The variables that get the version: without them programs call themselves v0.0.0."""
    cost: str
    """For people: how long it takes and how much is downloaded."""
    programs: Sequence[str] = ()
    """Further names for the binary, where it is several programs in one."""

    @property
    def version(self) -> str:
        """The version that go.mod names, such as `v1.34.4`. Raises BuildFailed when it names none."""
        go_mod = self.module / "go.mod"
        found = re.search(rf"^\s*{re.escape(self.source)} (v\S+)", go_mod.read_text(), re.MULTILINE)
        if found is None:
            raise BuildFailed(f"{go_mod} names no version of {self.source}")
        return found[1]

    @property
    def folder_name(self) -> str:
        """A folder name that changes with everything the result of the build depends on."""
        digest = hashlib.sha256()
        for path in (self.module / "go.mod", self.module / "go.sum", *sorted(self.module.glob("*.go"))):
            digest.update(path.read_bytes())
        return f"{self.name}-{self.version}-{digest.hexdigest()[:12]}-{platform.machine()}"


def built(recipe: Recipe, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder with the programs in the user's cache, built first where it is not there.

    Raises BuildFailed, toolchain.NoGo.
    """
    return built_together([recipe], environ)[0]


def program(recipe: Recipe) -> Path:
    """The one program of a recipe, built first if this machine has none of this version.

    Raises BuildFailed, toolchain.NoGo.
    """
    return built(recipe) / recipe.name


def main(recipe: Recipe, find: Callable[[Recipe], Path] = built) -> int:
    """Make sure the programs are there, for `make setup`; 1 and one clear line when they cannot be had."""
    try:
        folder = find(recipe)
    except (BuildFailed, toolchain.NoGo, OSError) as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    print(f"setup: {recipe.title} {recipe.version} is in {folder}", file=sys.stderr)
    return 0


def built_together(recipes: Sequence[Recipe], environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The same for several with much code in common: what one has compiled serves the next.

    Raises BuildFailed, toolchain.NoGo.
    """
    folder = cache.folder(environ)
    # One for each first recipe: another one may be built at the same time.
    go_cache = folder / f"go-build-{recipes[0].name}"
    targets = [folder / recipe.folder_name for recipe in recipes]
    missing = [each for each in zip(recipes, targets, strict=True) if not each[1].is_dir()]
    for recipe, target in missing:
        build(recipe, target, cache.home(environ), go_cache)
    if missing:
        # A gigabyte of objects that only a change of version would use again.
        shutil.rmtree(go_cache, ignore_errors=True)
    return targets


def build(recipe: Recipe, target: Path, home: Path, go_cache: Path) -> None:
    """Build into `target`, a folder with one binary and a link for each program; keep what it takes there.

    Returns at once when another checkout has built it meanwhile. Raises BuildFailed, toolchain.NoGo.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f".{target.name}.lock")):
        if target.is_dir():
            return
        # Left behind by a build that was killed. Under the lock nobody else can be at work in it.
        beside = target.with_name(f".building-{target.name}")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        try:
            _compile(recipe, beside / recipe.name, _environment(home, go_cache))
            for program in recipe.programs:
                (beside / program).symlink_to(recipe.name)
            # Dying before this leaves nothing under the final name: the next run resumes with Go's cache.
            beside.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _environment(home: Path, go_cache: Path) -> dict[str, str]:
    unwanted = ("GOROOT", "GOFLAGS", "GO111MODULE", "GOWORK", "GOOS", "GOARCH", "CGO_ENABLED")
    inherited = {name: value for name, value in os.environ.items() if name not in unwanted}
    # No cgo, hence no C compiler and no C library: the binary runs in any image.
    fixed = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "CGO_ENABLED": "0"}
    return inherited | fixed | {"HOME": str(home), "GOCACHE": str(go_cache)}


def _compile(recipe: Recipe, output: Path, env: Mapping[str, str]) -> None:
    go = str(toolchain.find_or_install(output.parent.parent))
    title = f"{recipe.title} {recipe.version}"
    say(f"building {title} with {go}: a one-time job, {recipe.cost}")
    download = Steps("downloading modules", done=lambda line: "downloading" in line)
    packages = run([go, "list", "-deps", recipe.package], recipe.module, env, download)
    flags = " ".join(["-s -w", *(f"-X {stamp}={recipe.version}" for stamp in recipe.stamps)])
    compiled = Steps("compiling packages", done=lambda line: " " not in line, total=len(packages))
    started = time.monotonic()
    command = [go, "build", "-v", "-trimpath", "-ldflags", flags, "-o", str(output), recipe.package]
    run(command, recipe.module, env, compiled)
    say(f"built {title} in {time.monotonic() - started:.0f} s")


@define
class Steps:
    """The progress of one command: how many lines of its stderr counted, and the last lines for an error."""

    what: str
    done: Callable[[str], bool]
    total: int = 0
    count: int = 0
    last: list[str] = Factory(list)

    def follow(self, stream: IO[str]) -> None:
        """Read `stream` to its end."""
        for line in stream:
            self.count += self.done(line.strip())
            self.last = [*self.last[-19:], line.rstrip()]

    def line(self, elapsed: float) -> str:
        """One line of progress after `elapsed` seconds."""
        of = f" of {self.total}" if self.total else ""
        return f"{self.what}: {self.count}{of}, {elapsed:.0f} s"


def run(argv: Sequence[str], cwd: Path, env: Mapping[str, str], steps: Steps) -> list[str]:
    """Run a command with a line of progress every ten seconds; its standard output as lines.

    Raises BuildFailed with the last lines of its standard error.
    """
    started = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(
        argv, cwd=cwd, env=dict(env), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        # Two readers, so that neither pipe can fill up while we wait.
        readers = [
            threading.Thread(target=steps.follow, args=(process.stderr,)),
            threading.Thread(target=lines.extend, args=(process.stdout,)),
        ]
        for reader in readers:
            reader.start()
        while True:
            try:
                process.wait(_PROGRESS_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(steps.line(time.monotonic() - started))
        for reader in readers:
            reader.join()
    if process.returncode:
        raise BuildFailed(
            f"`{' '.join(argv[:2])}` ended with {process.returncode}:\n" + "\n".join(steps.last)
        )
    return lines


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file; the kernel gives it back when we die."""
    started = time.monotonic()
    said = -_PROGRESS_SECONDS
    with path.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                elapsed = time.monotonic() - started
                if elapsed - said >= _PROGRESS_SECONDS:
                    say(f"another checkout is building the same thing, waiting, {elapsed:.0f} s")
                    said = elapsed
                time.sleep(0.2)
        yield


def say(line: str) -> None:
    """Show a line of progress at once, on stderr."""
    print(f"setup: {line}", file=sys.stderr, flush=True)
